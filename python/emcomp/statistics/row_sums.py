"""Sums over the rows of one or two tables, in float64 and in one pass, whatever holds the tables.

The rows are cut at fixed indices and the sums merged in order: the same bits for any number of
threads and however a source is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.engine.base import Engine, RowCollector
from emcomp.errors import InputError
from emcomp.io.sources.base import Source, block_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """Rows of a table seen through an affine map: ``(row - centre) @ map``."""

    source: Source
    name: str
    """What messages call the table."""
    centre: Matrix | None = None
    """Array (dim,) subtracted from each row."""
    map: Matrix | None = None
    """Array (dim, width); None for the identity."""
    rows: int = field(init=False)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        rows, dim = self.source.shape
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "width", dim if self.map is None else self.map.shape[1])

    def projected(self, matrix: Matrix | None) -> View:
        """The same rows through another map."""
        return replace(self, map=None if matrix is None else np.ascontiguousarray(matrix))


def block_bounds(dim: int, first: int, count: int, threads: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each block to read, cut where the native sums are merged."""
    step = max(block_rows(dim) // _core.SUM_ROWS, threads) * _core.SUM_ROWS
    for begin in range(first, first + count, step):
        yield begin, min(step, first + count - begin)


class Sums:
    """Float64 arrays that are summed over rows."""

    def __init__(self, **arrays: Matrix) -> None:
        self.arrays = arrays

    def __getitem__(self, name: str) -> Matrix:
        return self.arrays[name]

    def merge(self, following: Sums) -> None:
        """Add the sums over the rows that follow."""
        for name, array in self.arrays.items():
            array += following[name]


class PairSums(NamedTuple):
    """Sums over pairs of rows (a, b) of two views."""

    gram: Matrix
    """Sum of b'b, array (width of b, width of b)."""
    cross: Matrix
    """Sum of a'b, array (width of a, width of b)."""
    distances: Matrix | None
    """Sums of squared error, Euclidean distance and cosine distance; None where not asked."""


def checked_gram(gram: Matrix, name: str) -> Matrix:
    """The whole symmetric matrix of an upper triangle. Raises InputError for an overflow."""
    if not np.isfinite(gram.diagonal().sum()):
        raise InputError(f"{name}: sums of squares overflow float64; scale the table down")
    upper = np.triu(gram)
    return upper + np.triu(gram, 1).T


@dataclass(frozen=True)
class ColumnSums:
    """Sum of a view's rows, before its centre and map."""

    view: View

    def __call__(self, first: int, count: int, threads: int) -> Sums:
        """Of rows [first, first + count)."""
        source = self.view.source
        sums = np.zeros(source.shape[1])
        for begin, number in block_bounds(source.shape[1], first, count, threads):
            _core.add_columns(source.read(begin, number), self.view.name, begin, threads, sums)
        return Sums(columns=sums)


@dataclass(frozen=True)
class GramSums:
    """Gram matrix of a view's rows."""

    view: View

    def __call__(self, first: int, count: int, threads: int) -> Sums:
        """Of rows [first, first + count)."""
        view = self.view
        gram = np.zeros((view.width, view.width))
        for begin, number in block_bounds(view.source.shape[1], first, count, threads):
            rows = view.source.read(begin, number)
            _core.add_gram(rows, view.centre, view.map, view.name, begin, threads, gram)
        return Sums(gram=gram)


@dataclass(frozen=True)
class RowPairSums:
    """Sums over the pairs of rows of two views; see `pair_sums`."""

    a: View
    b: View
    projection: Matrix | None
    distances: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Of the wider of the two tables."""
        return self.a.rows, max(self.a.source.shape[1], self.b.source.shape[1])

    def __call__(self, first: int, count: int, threads: int) -> Sums:
        """Over pairs [first, first + count)."""
        a, b = self.a, self.b
        gram = np.zeros((b.width, b.width))
        cross = np.zeros((a.width, b.width))
        distances = np.zeros(3)
        for begin, number in block_bounds(self.shape[1], first, count, threads):
            _core.add_pair(
                a.source.read(begin, number),
                a.centre,
                a.map,
                a.name,
                b.source.read(begin, number),
                b.centre,
                b.map,
                b.name,
                self.projection,
                begin,
                threads,
                gram,
                cross,
                distances if self.distances else None,
            )
        return Sums(gram=gram, cross=cross, distances=distances)


def column_means(view: View, engine: Engine) -> Matrix:
    """Mean of the rows of a view's table, array (dim,)."""
    sums = engine.fold("mean", view.source.shape, ColumnSums(view))
    return sums["columns"] / view.rows


def gram_matrix(view: View, engine: Engine) -> Matrix:
    """Gram matrix of a view's rows, array (width, width).

    Raises:
        InputError: naming the first entry that is not finite.
    """
    sums = engine.fold("sums", view.source.shape, GramSums(view))
    return checked_gram(sums["gram"], view.name)


def pair_sums(
    a: View, b: View, engine: Engine, *, projection: Matrix | None = None, distances: bool = False
) -> PairSums:
    """Everything that one pass over two views gives.

    Args:
        a: first view.
        b: second view, of as many rows.
        engine: what goes over the rows.
        projection: array (width of a, width of b); ``a @ projection`` is subtracted from b first.
        distances: also sum the distances between the two views' rows, of equal width.

    Raises:
        InputError: naming the first entry that is not finite.
    """
    dense = None if projection is None else np.ascontiguousarray(projection)
    part = RowPairSums(a, b, dense, distances)
    sums = engine.fold("sums", part.shape, part)
    gram = checked_gram(sums["gram"], b.name)
    return PairSums(gram, sums["cross"], sums["distances"] if distances else None)


@dataclass(frozen=True)
class GatherRows:
    """Rows of given indices, as float64 and checked."""

    source: Source
    index: NDArray[np.int64]
    """Ascending."""
    name: str

    def __call__(self, first: int, count: int, threads: int) -> RowCollector:
        """Those in [first, first + count), reading only what holds them."""
        found = RowCollector()
        for begin, number in block_bounds(self.source.shape[1], first, count, threads):
            low, high = np.searchsorted(self.index, (begin, begin + number))
            if low < high:
                rows = self.source.read(begin, number)
                inside = self.index[low:high] - begin
                found.blocks.append(_core.gather_rows(rows, inside, begin, self.name))
        return found


def gather_rows(source: Source, index: NDArray[np.int64], name: str, engine: Engine) -> Matrix:
    """Rows of the given ascending indices, array (len(index), dim)."""
    return engine.fold("gather", source.shape, GatherRows(source, index, name)).rows()
