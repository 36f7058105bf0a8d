"""Sums over the rows of one or two tables, in float64 and in one pass, whatever holds the tables.

The rows are cut at fixed indices and the sums merged in order: the same bits for any number of
threads and however a source is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core, container, table
from emcomp.errors import InputError
from emcomp.sources import Source, as_source, block_rows
from emcomp.sources.opening import read_or_open

if TYPE_CHECKING:
    from collections.abc import Iterator

Matrix = NDArray[np.float64]


def open_table(X: Any) -> Source:
    """A source over an array, a source itself, or a path of vectors or a compressed table.

    Files that hold an array as it is, and emcomp files, are mapped, not read.

    Raises:
        InputError: if X is none of these.
        FormatError: if the file cannot be read.
    """
    if not isinstance(X, (str, os.PathLike)):
        return as_source(X)
    if Path(X).is_file() and container.recognises(X):
        return table.open(Path(X))
    return read_or_open(X)


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

    def mapped(self, matrix: Matrix | None) -> View:
        """The same rows through another map."""
        return replace(self, map=None if matrix is None else np.ascontiguousarray(matrix))


class FirstRows:
    """The first rows of a source: the most frequent words, where rows are in that order."""

    def __init__(self, source: Source, rows: int) -> None:
        self._source = source
        self._rows = min(rows, source.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self._rows, self._source.shape[1]

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count) of the underlying source."""
        return self._source.read(first, count)


def chunks(source: Source, threads: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each part to read, cut where the native sums are merged."""
    rows, dim = source.shape
    step = max(block_rows(dim) // _core.SUM_ROWS, threads) * _core.SUM_ROWS
    for first in range(0, rows, step):
        yield first, min(step, rows - first)


class PairSums(NamedTuple):
    """Sums over pairs of rows (a, b) of two views."""

    gram: Matrix
    """Sum of b'b, array (width of b, width of b)."""
    cross: Matrix
    """Sum of a'b, array (width of a, width of b)."""
    distances: Matrix | None
    """Sums of squared error, Euclidean distance and cosine distance; None where not asked."""


def _checked(gram: Matrix, name: str) -> Matrix:
    if not np.isfinite(gram.diagonal().sum()):
        raise InputError(f"{name}: sums of squares overflow float64; scale the table down")
    upper = np.triu(gram)
    return upper + np.triu(gram, 1).T


def column_means(view: View, threads: int) -> Matrix:
    """Mean of the rows of a view's table, array (dim,)."""
    sums = np.zeros(view.source.shape[1])
    for first, count in chunks(view.source, threads):
        _core.add_columns(view.source.read(first, count), view.name, first, threads, sums)
    return sums / view.rows


def gram_matrix(view: View, threads: int) -> Matrix:
    """Gram matrix of a view's rows, array (width, width).

    Raises:
        InputError: naming the first entry that is not finite.
    """
    gram = np.zeros((view.width, view.width))
    for first, count in chunks(view.source, threads):
        rows = view.source.read(first, count)
        _core.add_gram(rows, view.centre, view.map, view.name, first, threads, gram)
    return _checked(gram, view.name)


def pair_sums(
    a: View, b: View, threads: int, *, projection: Matrix | None = None, distances: bool = False
) -> PairSums:
    """Everything that one pass over two views gives.

    Args:
        a: first view.
        b: second view, of as many rows.
        threads: threads to use.
        projection: array (width of a, width of b); ``a @ projection`` is subtracted from b first.
        distances: also sum the distances between the two views' rows, of equal width.

    Raises:
        InputError: naming the first entry that is not finite.
    """
    gram = np.zeros((b.width, b.width))
    cross = np.zeros((a.width, b.width))
    sums = np.zeros(3) if distances else None
    wider = a.source if a.source.shape[1] >= b.source.shape[1] else b.source
    for first, count in chunks(wider, threads):
        _core.add_pair(
            a.source.read(first, count),
            a.centre,
            a.map,
            a.name,
            b.source.read(first, count),
            b.centre,
            b.map,
            b.name,
            None if projection is None else np.ascontiguousarray(projection),
            first,
            threads,
            gram,
            cross,
            sums,
        )
    return PairSums(_checked(gram, b.name), cross, sums)


def gather_rows(source: Source, index: NDArray[np.int64], name: str) -> Matrix:
    """Rows of the given ascending indices, array (len(index), dim), reading only what holds them."""
    parts = []
    for first, count in chunks(source, 1):
        begin, end = np.searchsorted(index, (first, first + count))
        if begin < end:
            rows = source.read(first, count)
            parts.append(_core.gather_rows(rows, index[begin:end] - first, first, name))
    return np.concatenate(parts)
