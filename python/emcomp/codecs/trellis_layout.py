"""How the bits of a row of trellis codes are shared out among its columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDEST = 8
"""Bits of a column."""
_LEAST_RATE = 0.02
"""Columns worth fewer bits than this are left out of a row."""
_NEGLIGIBLE = 2.0**-40
"""Mean squares below this, relative to the mean of all, are rounding."""
_HALVINGS = 100


def even_widths(dim: int, bits: int) -> NDArray[np.uint8]:
    """Whole widths of sum ``bits``, as even as can be, array (dim,)."""
    ends = (2 * np.arange(dim + 1) * bits + dim) // (2 * dim)
    return np.diff(ends).astype(np.uint8)


def water_rates(mean_squares: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Bits of each column, 0 to 8, for the least squared error of Gaussian columns.

    Reverse water-filling: columns above a common level get half the logarithm of how far they are
    above it. Columns worth next to nothing get none.

    Args:
        mean_squares: of the columns, array (dim,), not all zero.
        bits: of a row, at most 8 for each column.

    Returns:
        Array (dim,) of sum ``bits``.
    """
    strengths = _strengths(mean_squares)
    found = _rates_of_sum(np.log2(strengths) / 2, bits)
    used = found > _LEAST_RATE
    if bits > WIDEST * np.count_nonzero(used):
        return found
    rates = np.zeros(strengths.size)
    rates[used] = _rates_of_sum(np.log2(strengths[used]) / 2, bits)
    return rates


def water_level(mean_squares: NDArray[np.float64], bits: int) -> float:
    """The mean square above which columns get bits."""
    octaves = np.log2(_strengths(mean_squares)) / 2
    return float(4.0 ** _level_of_sum(octaves, bits))


def _strengths(mean_squares: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.maximum(mean_squares, mean_squares.mean() * _NEGLIGIBLE)
    return found


def _level_of_sum(octaves: NDArray[np.float64], bits: int) -> float:
    low, high = float(octaves.min()) - WIDEST, float(octaves.max())
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        if np.clip(octaves - level, 0, WIDEST).sum() > bits:
            low = level
        else:
            high = level
    return high


def _rates_of_sum(octaves: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    rates: NDArray[np.float64] = np.clip(octaves - _level_of_sum(octaves, bits), 0, WIDEST)
    return rates


def widths_of_rates(rates: NDArray[np.float64], bits: int) -> NDArray[np.uint8]:
    """Whole widths, 0 to 8, whose running sum follows that of the rates, and is ``bits`` at last."""
    widths = np.empty(rates.size, np.uint8)
    given = 0
    wanted = 0.0
    for column, rate in enumerate(rates):
        wanted += rate
        widths[column] = min(max(int(np.floor(wanted + 0.5)) - given, 0), WIDEST)
        given += int(widths[column])
    # Rounding may leave a bit over, and so may columns that have as many as they can.
    for column in np.argsort(-rates, kind="stable"):
        change = min(max(bits - given, -int(widths[column])), WIDEST - int(widths[column]))
        widths[column] += change
        given += change
    return widths


def expected_error(mean_squares: NDArray[np.float64], rates: NDArray[np.float64]) -> float:
    """Squared error of Gaussian columns coded at some rates, as a part of their mean squares."""
    return float((mean_squares * 4.0**-rates).sum() / mean_squares.sum())
