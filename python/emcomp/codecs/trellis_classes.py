"""Classes of rows that are alike in the strengths of their columns, and bits for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.trellis_layout import WIDEST, water_level
from emcomp.io.sources.base import Source
from emcomp.statistics.row_sums import Matrix, Sums, block_bounds

MOST = 16
_GROUPS = 30
"""Groups of neighbouring columns by whose squares rows are told apart."""
_ROUNDS = 12
_LONGEST = 20
"""One part in so many of the rows, the longest ones, begin as a class of their own."""
_LEAST_PART = 200
"""A class has at least one part in so many of the rows."""
_LEAST_BITS = 16
"""Rows with fewer bits have none."""
_HALVINGS = 80


class ClassTensors(NamedTuple):
    """What tells the class of a row."""

    ends: NDArray[np.int64]
    """Of the groups of columns."""
    prices: NDArray[np.float64]
    """Array (classes, groups), of the squares of a row's entries in a group."""
    costs: NDArray[np.float64]
    """Array (classes,), of a row whatever its entries."""

    def narrowed(self, columns: int) -> ClassTensors:
        """The same for rows with the first columns alone."""
        groups = int(np.searchsorted(self.ends, columns)) + 1
        ends = np.minimum(self.ends[:groups], columns)
        return ClassTensors(ends, np.ascontiguousarray(self.prices[:, :groups]), self.costs)

    def core(self) -> _core.TrellisClasses:
        """What chooses classes natively."""
        return _core.TrellisClasses(*self)


def find_classes(rows: Matrix, classes: int, level: float) -> ClassTensors:
    """Classes of some rows, less their offset, by hard expectation maximization.

    A row is in the class under whose column strengths it is likeliest, if columns are Gaussian with
    these and noise at half the water level: what lies below that level costs nothing.

    Args:
        rows: array (count, dim).
        classes: to find.
        level: the water level of all rows together.
    """
    count, dim = rows.shape
    begins = np.unique(np.linspace(0, dim, min(dim, _GROUPS) + 1)[:-1].astype(np.int64))
    ends = np.append(begins[1:], dim).astype(np.int64)
    sizes = ends - begins
    energies = np.add.reduceat(np.square(rows), begins, axis=1)
    chosen = _by_length(energies.sum(axis=1), classes)
    least = max(count // _LEAST_PART, 1)
    variances = np.zeros((classes, begins.size))
    for _ in range(_ROUNDS):
        counts = np.bincount(chosen, minlength=classes)
        for c in np.flatnonzero(counts):
            variances[c] = energies[chosen == c].mean(axis=0) / sizes + level / 2
        live = counts >= min(least, counts.max())
        scores = np.full((count, classes), np.inf)
        scores[:, live] = energies @ (1 / variances[live]).T + (
            sizes * np.log(variances[live])
        ).sum(axis=1)
        chosen = scores.argmin(axis=1)
    live = np.unique(chosen)
    prices = np.zeros((classes, begins.size))
    costs = np.full(classes, np.finfo(float).max)  # of classes that no row is in
    prices[: live.size] = 1 / variances[live]
    costs[: live.size] = (sizes * np.log(variances[live] / level)).sum(axis=1)
    return ClassTensors(ends, prices, costs)


def _by_length(squares: NDArray[np.float64], classes: int) -> NDArray[np.int64]:
    """Equal shares of the rows by length, but the longest ones by themselves."""
    count = squares.size
    rank = np.argsort(np.argsort(squares, kind="stable"), kind="stable")
    if classes == 1:
        return np.zeros(count, np.int64)
    shares = np.minimum(rank * classes // count, classes - 2)
    return np.where(rank >= count - count // _LONGEST, classes - 1, shares)


@dataclass(frozen=True)
class ClassSquares:
    """Squares of a source's entries less an offset, by class and column; rows by class."""

    source: Source
    offset: NDArray[np.float32] | None
    classes: ClassTensors
    power: float
    """Rows weigh their length to this power, inverted."""

    def __call__(self, first: int, count: int, threads: int) -> Sums:
        """Of rows [first, first + count)."""
        dim = self.source.shape[1]
        number = self.classes.costs.size
        squares, counts, weights = np.zeros((number, dim)), np.zeros(number), np.zeros(number)
        chooser = self.classes.core()
        for begin, rows in block_bounds(dim, first, count, threads):
            chooser.add_sums(
                self.source.read(begin, rows),
                self.offset,
                self.power,
                threads,
                squares,
                counts,
                weights,
            )
        return Sums(squares=squares, counts=counts, weights=weights)


class ClassBits(NamedTuple):
    """Bits of rows by class."""

    bits: NDArray[np.int64]
    """Of the codes of a row, whole bytes, array (classes,)."""
    unused: int
    """Bytes of all that no class can take."""


def class_bits(
    mean_squares: Matrix,
    counts: NDArray[np.float64],
    weights: NDArray[np.float64],
    budget: int,
    least: int,
) -> ClassBits:
    """Share bytes out among classes of rows: all columns of all classes down to one water level.

    Args:
        mean_squares: of the columns of each class, array (classes, dim).
        counts: rows of each class.
        weights: what the squared error of a row of each class counts.
        budget: bytes of all rows.
        least: bits of a row that has any.
    """
    classes, dim = mean_squares.shape
    strengths = np.log2(np.maximum(mean_squares * weights[:, None], 1e-300)) / 2
    least = max(least, _LEAST_BITS)

    def lengths(bits: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(bits > 0, 1 + bits // 8, 0)

    def at_level(level: float) -> NDArray[np.int64]:
        bits = np.clip(strengths - level, 0, WIDEST).sum(axis=1).astype(np.int64) // 8 * 8
        return np.where((bits >= least) & (counts > 0), bits, 0)

    low, high = float(strengths.min()) - WIDEST, float(strengths.max())
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        if counts @ lengths(at_level(level)) > budget:
            low = level
        else:
            high = level
    bits = at_level(high)
    left = budget - int(counts @ lengths(bits))
    while True:  # a byte more where it gains most
        able = (counts > 0) & (counts <= left) & (bits > 0) & (bits + 8 <= WIDEST * dim)
        if not able.any():
            return ClassBits(bits, left)
        levels = [
            water_level(mean_squares[c] * weights[c], int(bits[c]) + 4) if able[c] else -1.0
            for c in range(classes)
        ]
        best = int(np.argmax(levels))
        bits[best] += 8
        left -= int(counts[best])
