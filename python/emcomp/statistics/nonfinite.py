"""The entries of a table before anything is learned from it: all finite, and how large they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.io.sources.opened import OpenedSource

_SAFE_EXPONENT = 30
"""Entries up to two to this power, and their parts down to its inverse, can be squared in float32."""
_LARGEST_EXPONENT = 126
"""Two to this power is a float32, with room for codewords a little larger than the entries."""

TRAINABLE = (1e-4, 1e4)
"""Largest entries of the tables that networks are trained on: their steps are of one size."""


class Extremes:
    """NaN and infinite entries found so far, and the largest of the others."""

    def __init__(self) -> None:
        self.entries = 0
        self.count = 0
        self.first = -1
        """Index of the first of them among the entries seen, -1 for none."""
        self.largest = 0.0
        """Largest magnitude, where all entries are finite."""

    def update(self, rows: NDArray[Any], threads: int) -> None:
        """Look through the rows that follow."""
        found, number, largest = _core.find_nonfinite(rows, threads)
        self._add(rows.size, number, found, largest)

    def merge(self, following: Extremes) -> None:
        """Add what was found in the rows that follow."""
        self._add(following.entries, following.count, following.first, following.largest)

    def _add(self, entries: int, count: int, first: int, largest: float) -> None:
        if count and not self.count:
            self.first = self.entries + first
        self.entries += entries
        self.count += count
        self.largest = max(self.largest, largest)


def refuse_nonfinite(source: Source, engine: Engine) -> float:
    """The largest magnitude of a table's entries.

    Raises:
        InputError: with the first position and the count of NaN and infinite entries.
    """
    found = engine.fill("check", source, Extremes)
    if found.count:
        row, column = divmod(found.first, source.shape[1])
        place = source.place(row) if isinstance(source, OpenedSource) else ""
        raise InputError(
            f"{found.count} of the table's entries are NaN, infinite or beyond float32, the first "
            f"at row {row}, column {column}{place and f' ({place})'}; replace them before compressing"
        )
    return found.largest


def refuse_outside(name: str, largest: float, least: float, most: float) -> None:
    """Raise InputError unless the largest entry of a table lies in a range, or is zero.

    Args:
        name: what needs entries in the range, as messages say it.
        largest: what `refuse_nonfinite` returned.
        least: lower end of the range.
        most: upper end of the range.
    """
    if largest and not least <= largest <= most:
        factor = 2.0 ** -math.frexp(largest)[1]
        raise InputError(
            f"{name} needs a table whose largest entry is between {least:g} and {most:g}, and it is "
            f"{largest:g}; multiply the table by {factor:g} (a power of two, which loses nothing)"
        )


def unit_of(largest: float) -> float:
    """The power of two in which entries are measured, so that their squares fit float32.

    It is 1 for all ordinary tables. Dividing by it is exact, so a table in another unit is
    compressed to the same codes.
    """
    exponent = math.frexp(largest)[1]
    return 1.0 if abs(exponent) <= _SAFE_EXPONENT else 2.0 ** min(exponent, _LARGEST_EXPONENT)


def in_unit(rows: NDArray[Any], unit: float) -> NDArray[Any]:
    """Rows of any type divided by a unit; the same array for a unit of 1."""
    if unit == 1.0:
        return rows
    if rows.dtype == np.uint16:  # bfloat16: the upper half of a float32
        rows = (rows.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(np.ldexp(rows.astype(np.float64), -math.frexp(unit)[1] + 1), np.float32)


class InUnit:
    """The rows of a source divided by a unit."""

    def __init__(self, source: Source, unit: float) -> None:
        self._source = source
        self._unit = unit

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self._source.shape

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count)."""
        return in_unit(self._source.read(first, count), self._unit)
