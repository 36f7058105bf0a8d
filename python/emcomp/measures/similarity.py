"""How well a compressed table keeps the cosine similarities between rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emcomp._support.correlation import pearson, spearman
from emcomp.errors import InputError, UndefinedError
from emcomp.measures.pairs import TablePair, TableSums, make_pair
from emcomp.statistics.row_sums import Matrix, gather_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_pairs(rows: int, count: int, seed: int) -> NDArray[np.int64]:
    """``count`` pairs of different row indices, array (2, count), drawn with replacement."""
    random = np.random.Generator(np.random.Philox(seed))
    first = random.integers(rows, size=count)
    second = (first + 1 + random.integers(rows - 1, size=count)) % rows
    return np.stack([first, second])


def pair_cosines(table: TableSums, pairs: NDArray[np.int64]) -> Matrix:
    """Cosine of each pair of rows, array (count,); 0 where a row is zero."""
    index, place = np.unique(pairs, return_inverse=True)
    rows = gather_rows(table.source, index, table.name, table.engine)
    if table.view.centre is not None:
        rows -= table.view.centre
    norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    rows /= np.where(norms > 0, norms, 1.0)
    first, second = place.reshape(pairs.shape)
    return np.asarray(np.einsum("ij,ij->i", rows[first], rows[second]))


def similarity_of(pair: TablePair, pairs: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Pearson and Spearman correlation of a pair's cosines; see `similarity_preservation`."""
    if pairs < 2:
        raise InputError(f"pairs must be at least 2, not {pairs}")
    if pair.x.rows < 2:
        raise UndefinedError("a table of one row has no pairs of rows")
    drawn = random_pairs(pair.x.rows, pairs, seed)
    expected = pair.x.once(("cosines", pairs, seed), lambda: pair_cosines(pair.x, drawn))
    found = pair.q.once(("cosines", pairs, seed), lambda: pair_cosines(pair.q, drawn))
    return pearson(expected, found), spearman(expected, found)


def similarity_preservation(
    X: Any,
    Xq: Any,
    *,
    method: str = "spearman",
    pairs: int = 10_000,
    seed: int = 0,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Correlation between the cosines of random pairs of rows before and after compression.

    ``corr_p(cos(x_i, x_j), cos(xq_i, xq_j))`` over pairs p = (i, j), i != j.

    Range: -1 to 1, higher is better. Invariant to rotations of either table and to scaling single
    rows (not where centred).

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        method: ``"pearson"`` or ``"spearman"``.
        pairs: pairs of rows, drawn with replacement.
        seed: of the draw.
        centred: subtract each table's mean row first.
        rows: draw among the first rows only.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, all cosines are equal, or an entry is not finite.

    Source:
        The protocol of word similarity benchmarks, with the uncompressed table as the judge.
    """
    if method not in ("pearson", "spearman"):
        raise InputError(f"method must be 'pearson' or 'spearman', not {method!r}")
    pair = make_pair(X, Xq, centred=centred, rows=rows, threads=threads)
    return similarity_of(pair, pairs, seed)[method == "spearman"]
