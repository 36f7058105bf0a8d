"""Scales of columns and gains of rows, in whole steps of a logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.io.sources.base import Source
from emcomp.statistics.row_sums import Sums, block_bounds

_GAIN_STEPS = 64
"""Steps of gains in an octave."""
_SCALE_STEPS = 16
_CODES = 255
"""Codes of gains and scales; one more, 0, stands for zero."""
_FEW = 1e-4
"""This part of the rows may be shorter than the smallest gain."""
_ABOVE, _BELOW = _GAIN_STEPS // 4, _GAIN_STEPS // 2


@dataclass(frozen=True)
class CentredSquares:
    """Squares of a source's entries less a centre, summed by column; rows counted by length."""

    source: Source
    centre: NDArray[np.float32] | None

    def __call__(self, first: int, count: int, threads: int) -> Sums:
        """Of rows [first, first + count)."""
        dim = self.source.shape[1]
        squares, lengths = np.zeros(dim), np.zeros(_core.LENGTH_BINS)
        for begin, number in block_bounds(dim, first, count, threads):
            rows = self.source.read(begin, number)
            _core.add_squares(rows, self.centre, threads, squares, lengths)
        return Sums(squares=squares, lengths=lengths)


def gain_grid(lengths: NDArray[np.float64]) -> tuple[int, int]:
    """The smallest gain and the step of gains, in 64ths of an octave, given the rows' lengths."""
    bins = np.flatnonzero(lengths)
    if not bins.size:
        return 0, 0
    shorter = np.cumsum(lengths)
    bottom = int(np.searchsorted(shorter, _FEW * shorter[-1], side="right"))
    origin = _GAIN_STEPS * _core.LENGTH_OCTAVES
    low = max(bottom, int(bins[0])) - _BELOW - origin
    high = int(bins[-1]) + _ABOVE - origin
    return low, max(1, -(-(high - low) // (_CODES - 1)))


def gains_of(grid: NDArray[np.int64]) -> NDArray[np.float32]:
    """The gains that codes 0 to 255 stand for."""
    low, step = int(grid[0]), int(grid[1])
    found = [_core.power_of_two_64ths(low + step * code) for code in range(_CODES)]
    return np.array([0.0, *found], np.float32)


def column_scales(scales: NDArray[np.float64]) -> tuple[NDArray[np.uint8], int]:
    """Codes of scales, and what a code of 0 would stand for, in 16ths of an octave."""
    used = scales > 0
    if not used.any():
        return np.zeros(scales.shape, np.uint8), 0
    steps = np.rint(_SCALE_STEPS * np.log2(np.where(used, scales, 1.0))).astype(np.int64)
    low = int(steps[used].max()) - _CODES
    return np.where(used, np.maximum(steps - low, 0), 0).astype(np.uint8), low


def scales_of(codes: NDArray[np.uint8], low: int) -> NDArray[np.float32]:
    """The scales that codes stand for."""
    steps = _GAIN_STEPS // _SCALE_STEPS
    found = [_core.power_of_two_64ths(steps * (low + code)) for code in range(1, _CODES + 1)]
    return np.array([0.0, *found], np.float32)[codes]
