"""Measures of how far the column spans of two tables agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emcomp._support.threads import resolve_threads
from emcomp.engine.base import Engine
from emcomp.errors import InputError, UndefinedError
from emcomp.measures.pairs import TablePair, TableSums, make_pair

if TYPE_CHECKING:
    from emcomp.statistics.row_sums import Matrix


def eos_of(pair: TablePair, denominator: str = "dimension") -> float:
    """Eigenspace overlap score of a pair; see `eos`."""
    if denominator not in ("dimension", "rank"):
        raise InputError(f"denominator must be 'dimension' or 'rank', not {denominator!r}")
    overlap = pair.latents.overlap
    full = max(pair.x.dim, pair.q.dim) if denominator == "dimension" else max(overlap.shape)
    if full == 0:
        raise UndefinedError("both tables are zero: they span nothing to compare")
    # Rounding may carry the sum past its bound by a few units in the last place.
    return min(float(np.square(overlap).sum()), float(min(overlap.shape))) / full


def eos(
    X: Any,
    Xq: Any,
    *,
    denominator: str = "dimension",
    centred: bool = False,
    threads: int | None = None,
) -> float:
    """Eigenspace overlap score: how much of the column span of X is left in Xq.

    ``||U' Uq||_F^2 / max(d, k)``, U and Uq the left singular vectors of X (n, d) and Xq (n, k):
    the sum of the squared cosines of the principal angles between the two column spans.

    Range: 0 to 1, higher is better; 1 for equal spans of full rank, rank(Xq) / max(d, k) where the
    span of Xq lies in that of X. Invariant to any invertible linear map of either table's columns,
    to scale, and to a common permutation of the rows. Not to scaling of single rows, nor to adding
    a vector to all rows.

    Of a compressed table whose codec ends in a linear decoder from fewer latents than entries, such
    as ``svd:64``, the latents are compared: they have the same span, and no rounding of decoded rows
    adds directions to it.

    Rank-deficient tables: U holds the left singular vectors whose singular value is above
    ``s_max * max(n, d) * eps`` (eps of float64), with a `RankWarning` where that leaves some out.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        denominator: ``"dimension"`` divides by max(d, k); ``"rank"`` by the larger numerical rank,
            so that a rank-deficient table scores 1 against itself.
        centred: subtract each table's mean row first.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, or an entry is not finite.

    Source:
        May, Zhang, Dao and Re, On the downstream performance of compressed word embeddings,
        NeurIPS 2019, section 3.
    """
    return eos_of(make_pair(X, Xq, centred=centred, threads=threads), denominator)


def eos_k_of(pair: TablePair, k: int = 5, n_sub: int = 10) -> float:
    """Residual eigenspace overlap score of a pair; see `eos_k`."""
    if k < 0 or n_sub < 1:
        raise InputError(f"k must be at least 0 and n_sub at least 1, not {k} and {n_sub}")
    count = min(n_sub, pair.x.basis.rank - k, pair.q.basis.rank - k)
    if count < 1:
        raise UndefinedError(
            f"nothing is left after removing {k} directions: the ranks are {pair.x.basis.rank} "
            f"and {pair.q.basis.rank}"
        )
    part = pair.overlap[k : k + count, k : k + count]
    return min(float(np.square(part).sum()) / count, 1.0)


def eos_k(
    X: Any,
    Xq: Any,
    k: int = 5,
    n_sub: int = 10,
    *,
    centred: bool = False,
    threads: int | None = None,
) -> float:
    """Residual eigenspace overlap score: EOS of the directions after the k strongest.

    ``(1/m) * sum of squared singular values of U_r' Uq_r``, U_r and Uq_r the left singular vectors
    k+1 to k+m of each table and m = n_sub, or what the smaller rank leaves.

    Range: 0 to 1, higher is better. Invariant to rotations of either table and to scale; not to
    other linear maps, which change the order of directions. Unstable where the singular values
    around k or k + n_sub are close together.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        k: strongest directions of each table to leave out.
        n_sub: directions to compare.
        centred: subtract each table's mean row first.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, have no rank left after k directions, or hold an
            entry that is not finite.

    Source:
        TextEmbedCompress toolkit, Findings of EMNLP 2025, paper 717.
    """
    return eos_k_of(make_pair(X, Xq, centred=centred, threads=threads), k, n_sub)


def principal_angles_of(pair: TablePair) -> Matrix:
    """Principal angles of a pair; see `principal_angles`."""
    inside, outside = pair.latents.joint
    count = min(inside.shape)
    cosines = np.linalg.svd(inside, compute_uv=False)[:count]
    sines = np.sort(np.linalg.svd(outside, compute_uv=False))[:count]
    # Each is exact where the other is close to one.
    angles = np.where(cosines > np.sqrt(0.5), np.arcsin(sines), np.arccos(np.minimum(cosines, 1)))
    return np.degrees(angles)


def principal_angles(
    X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None
) -> Matrix:
    """Principal angles between the column spans of two tables, in degrees, smallest first.

    ``cos(angle_i) = s_i(U' Uq)``; as many as the smaller numerical rank. Small angles are computed
    from their sines. Latents stand for compressed tables as in `eos`.

    Range: 0 to 90, lower is better. Invariances as those of `eos`, which is the sum of their
    squared cosines over max(d, k).

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        centred: subtract each table's mean row first.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, or an entry is not finite.

    Source:
        Bjorck and Golub, Numerical methods for computing angles between linear subspaces, 1973.
    """
    return principal_angles_of(make_pair(X, Xq, centred=centred, threads=threads))


def eis(
    X: Any,
    Y: Any,
    anchors: tuple[Any, Any],
    alpha: float = 3.0,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Eigenspace instability: how differently models trained on X and on Y would predict.

    ``tr((U U' + V V' - 2 V V' U U') S) / tr(S)`` with ``S = E^(alpha) + Et^(alpha)``, where U and V
    are the left singular vectors of X and Y, and ``E^(alpha) = P diag(r^(2 alpha)) P'`` for an
    anchor with left singular vectors P and singular values r.

    Range: 0 to 1, lower is more stable; 0 when the spans agree. Invariant to any invertible linear
    map of X or of Y, to rotations of an anchor, to a scale common to both anchors. With alpha 0 and
    anchors that span what X and Y span, ``1 - eos``.

    Args:
        X: table (n, d): array, path, or source.
        Y: table (n, k) of the same words.
        anchors: two tables of n rows, the largest full-precision ones at hand.
        alpha: exponent of the anchors' singular values.
        centred: subtract each table's mean row first.
        rows: use the first rows only; the paper takes the 10,000 most frequent words.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, or an entry is not finite.

    Source:
        Leszczynski, May, Zhang, Wu, Aberger and Re, Understanding the downstream instability of
        word embeddings, MLSys 2020, definition 2.
    """
    engine = Engine(resolve_threads(threads))
    x, y, *others = (
        TableSums(table, name, centred=centred, rows=rows, engine=engine)
        for table, name in zip(
            (X, Y, *anchors), ("X", "Y", "first anchor", "second anchor"), strict=True
        )
    )
    x, y = x.latents, y.latents
    between = TablePair(x, y).overlap
    largest = max(float(anchor.basis.singular_values[:1].sum()) for anchor in others)
    if largest == 0:
        raise UndefinedError("both anchors are zero")
    total = 0.0
    mass = 0.0
    for anchor in others:
        weights = (anchor.basis.singular_values / largest) ** alpha
        from_x = TablePair(anchor, x).overlap.T * weights
        from_y = TablePair(anchor, y).overlap.T * weights
        mass += float(np.square(weights).sum())
        total += float(np.square(from_x).sum() + np.square(from_y).sum())
        total -= 2.0 * float(np.sum((between.T @ from_x) * from_y))
    return min(max(total / mass, 0.0), 1.0)
