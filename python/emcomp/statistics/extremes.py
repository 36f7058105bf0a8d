"""The entries of a table before anything is learned from it: all finite, and how large they are."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from emcomp import _core
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.io.sources.opened import OpenedSource

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
