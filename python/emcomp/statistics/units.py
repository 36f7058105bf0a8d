"""Measuring a table in a power of two, so that squares of its entries fit float32."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.io.sources.base import Source

_SAFE_EXPONENT = 30
"""Entries up to two to this power, and their parts down to its inverse, can be squared in float32."""
_LARGEST_EXPONENT = 126
"""Two to this power is a float32, with room for codewords a little larger than the entries."""


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
