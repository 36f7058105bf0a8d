"""How many of a row's nearest neighbours a compressed table keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.errors import InputError, UndefinedError
from emcomp.measures.pairs import TablePair, TableSums, make_pair
from emcomp.statistics.row_sums import View, block_bounds, gather_rows


def random_rows(rows: int, count: int, seed: int) -> NDArray[np.int64]:
    """``count`` different row indices of ``rows`` in ascending order, all where there are fewer."""
    if count >= rows:
        return np.arange(rows, dtype=np.int64)
    chosen = np.random.Generator(np.random.Philox(seed)).choice(rows, count, replace=False)
    return np.sort(chosen).astype(np.int64)


@dataclass
class Nearest:
    """The rows of largest cosine with each query, best first; equal ones by their index."""

    cosines: NDArray[np.float32]
    """Array (queries, k)."""
    index: NDArray[np.int64]
    """Array (queries, k)."""

    def merge(self, following: Nearest) -> None:
        """Take over what is better among the rows that follow."""
        cosines = np.concatenate([self.cosines, following.cosines], axis=1)
        index = np.concatenate([self.index, following.index], axis=1)
        # The sort is stable, and what follows has larger indices.
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : self.index.shape[1]]
        self.cosines = np.take_along_axis(cosines, order, axis=1)
        self.index = np.take_along_axis(index, order, axis=1)


@dataclass(frozen=True)
class NearestOf:
    """The rows of a view that are nearest to some of them."""

    view: View
    queries: NDArray[np.float32]
    """Array (queries, dim): rows of length one or zero."""
    own: NDArray[np.int64]
    """Their indices, array (queries,)."""
    k: int

    def __call__(self, first: int, count: int, threads: int) -> Nearest:
        """Among rows [first, first + count)."""
        view = self.view
        cosines = np.full((self.own.size, self.k), -2.0, dtype=np.float32)
        index = np.full((self.own.size, self.k), -1, dtype=np.int64)
        for begin, number in block_bounds(view.source.shape[1], first, count, threads):
            _core.add_neighbours(
                view.source.read(begin, number),
                view.centre,
                begin,
                view.name,
                self.queries,
                self.own,
                threads,
                cosines,
                index,
            )
        return Nearest(cosines, index)


def nearest_rows(table: TableSums, queries: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k rows of largest cosine with each query row, itself left out, array (queries, k).

    Cosines are float32; equal ones go to the smaller index.
    """
    view = table.view
    rows = gather_rows(table.source, queries, table.name, table.engine)
    if view.centre is not None:
        rows = rows - view.centre
    norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0).astype(np.float32)
    search = NearestOf(view, unit, queries, k)
    return table.engine.fold("neighbours", table.source.shape, search).index


def shared_fraction(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Mean fraction of the row indices in a row of ``first`` that are in that row of ``second``."""
    return float((first[:, :, None] == second[:, None, :]).any(axis=2).mean())


def neighbour_overlap_of(pair: TablePair, k: int = 5, queries: int = 1000, seed: int = 0) -> float:
    """Nearest-neighbour overlap of a pair; see `neighbour_overlap`."""
    if k < 1 or queries < 1:
        raise InputError(f"k and queries must be at least 1, not {k} and {queries}")
    if k >= pair.x.rows:
        raise UndefinedError(f"a table of {pair.x.rows} rows has no {k} neighbours of a row")
    rows = random_rows(pair.x.rows, queries, seed)
    key = ("nearest rows", k, queries, seed)
    expected = pair.x.once(key, lambda: nearest_rows(pair.x, rows, k))
    return shared_fraction(expected, nearest_rows(pair.q, rows, k))


def neighbour_overlap(
    X: Any,
    Xq: Any,
    k: int = 5,
    *,
    queries: int = 1000,
    seed: int = 0,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Mean fraction of a row's k nearest cosine neighbours that are still among them in Xq.

    ``mean over queries of |N_X(i) & N_Xq(i)| / k``, exact search among all rows.

    Range: 0 to 1, higher is better. Invariant to rotations of either table, to a common permutation
    of the rows (up to which rows are drawn), and to scaling single rows (not where centred).

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        k: neighbours of a row.
        queries: rows to look from, drawn without replacement.
        seed: of the draw.
        centred: subtract each table's mean row first.
        rows: draw and search among the first rows only; Leszczynski et al. take 10,000.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, k is not below their number, or an entry is not
            finite.

    Source:
        Leszczynski et al., MLSys 2020, section 2 (k-NN measure, 1,000 queries, k = 5).
    """
    pair = make_pair(X, Xq, centred=centred, rows=rows, threads=threads)
    return neighbour_overlap_of(pair, k, queries, seed)
