"""Measures of how well the rows of a table can be had back from a compressed one."""

from __future__ import annotations

from typing import Any

import numpy as np

from emcomp.measures.gram_distance import SAFE_CANCELLATION
from emcomp.measures.pairs import TablePair, make_pair
from emcomp.statistics.row_sums import Matrix, pair_sums


def _largest_root(gram: Matrix) -> float:
    return float(np.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0)))


def frobenius_error_of(pair: TablePair) -> float:
    """Frobenius reconstruction error of a pair; see `frobenius_error`."""
    return float(np.sqrt(pair.distances[0]))


def frobenius_error(X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None) -> float:
    """Reconstruction error ``||X - Xq||_F``.

    Range: 0 up, lower is better. Invariant to a common rotation and to a common permutation of the
    rows; to nothing that is done to one table alone.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, d) of the same words.
        centred: subtract each table's mean row first.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in shape, or an entry is not finite.

    Source:
        May et al. 2019, appendix (embedding reconstruction error).
    """
    return frobenius_error_of(make_pair(X, Xq, centred=centred, threads=threads))


def spectral_error_of(pair: TablePair) -> float:
    """Spectral reconstruction error of a pair; see `spectral_error`."""
    squared_error = pair.distances[0]
    cross = pair.sums.cross
    if squared_error > SAFE_CANCELLATION * np.trace(pair.x.gram):
        return _largest_root(pair.x.gram - cross - cross.T + pair.q.gram)
    identity = np.eye(pair.x.dim)
    return _largest_root(pair_sums(pair.x.view, pair.q.view, pair.engine, projection=identity).gram)


def spectral_error(X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None) -> float:
    """Reconstruction error ``||X - Xq||_2``, the largest singular value of the difference.

    Range: 0 up, lower is better. Invariances, arguments, errors and source: as `frobenius_error`.
    """
    return spectral_error_of(make_pair(X, Xq, centred=centred, threads=threads))


def _linear_map_residual(pair: TablePair) -> Matrix:
    """Gram matrix of X - Uq Uq' X in the basis of X's right singular vectors, (r, r)."""
    overlap, values = pair.overlap, pair.x.basis.singular_values
    lost = np.eye(values.size) - overlap @ overlap.T
    residual: Matrix = values[:, None] * lost * values
    if np.trace(residual) < SAFE_CANCELLATION * np.square(values).sum():
        x, q = pair.x.basis.left, pair.q.basis.left
        rest = pair_sums(q, x, pair.engine, projection=overlap.T).gram
        residual = values[:, None] * rest * values
    return residual


def linear_map_error_of(pair: TablePair) -> float:
    """Frobenius error of the best linear map of a pair; see `linear_map_error`."""
    return float(np.sqrt(max(np.trace(_linear_map_residual(pair)), 0.0)))


def linear_map_error(
    X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None
) -> float:
    """Reconstruction error of the best linear map, ``min_W ||Xq W - X||_F = ||Uq Uq' X - X||_F``.

    Range: 0 to ``||X||_F``, lower is better. Invariant to any invertible linear map of Xq, to
    rotations of X, and to a common permutation of the rows.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        centred: subtract each table's mean row first.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, or an entry is not finite.

    Source:
        May et al. 2019, appendix (linear-map reconstruction).
    """
    return linear_map_error_of(make_pair(X, Xq, centred=centred, threads=threads))


def linear_map_spectral_error_of(pair: TablePair) -> float:
    """Spectral error of the best linear map of a pair; see `linear_map_spectral_error`."""
    return _largest_root(_linear_map_residual(pair)) if pair.x.basis.rank else 0.0


def linear_map_spectral_error(
    X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None
) -> float:
    """The spectral norm of what the best linear map leaves, ``||Uq Uq' X - X||_2``.

    Range: 0 to ``||X||_2``, lower is better. Invariances, arguments, errors and source: as
    `linear_map_error`.
    """
    return linear_map_spectral_error_of(make_pair(X, Xq, centred=centred, threads=threads))


def orthogonal_map_error_of(pair: TablePair) -> float:
    """Error of the best orthogonal map of a pair; see `orthogonal_map_error`."""
    left, values, right = np.linalg.svd(pair.sums.cross, full_matrices=False)
    norms = float(np.trace(pair.x.gram) + np.trace(pair.q.gram))
    squared = norms - 2.0 * float(values.sum())
    if squared < SAFE_CANCELLATION * norms:
        rotation = left @ right  # rows of X, the wider table's padded with zeros, onto those of Xq
        x, q = pair.x.view, pair.q.view
        if pair.x.dim <= pair.q.dim:
            rest = pair_sums(x, q, pair.engine, projection=rotation)
        else:
            rest = pair_sums(q, x, pair.engine, projection=rotation.T)
        squared = float(np.trace(rest.gram))
    return float(np.sqrt(max(squared, 0.0)))


def orthogonal_map_error(
    X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None
) -> float:
    """Reconstruction error of the best rotation or reflection, ``min_R ||Xq R - X||_F``.

    R is orthogonal; where the dimensions differ, the narrower table is padded with zero columns.
    The minimum is at ``R = A B'`` for the singular value decomposition ``Xq' X = A S B'``.

    Range: 0 up, lower is better. Invariant to rotations of either table and to a common permutation
    of the rows.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        centred: subtract each table's mean row first.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, or an entry is not finite.

    Source:
        Schonemann, A generalized solution of the orthogonal Procrustes problem, 1966; May et al.
        2019, appendix.
    """
    return orthogonal_map_error_of(make_pair(X, Xq, centred=centred, threads=threads))


def mean_euclidean_distance_of(pair: TablePair) -> float:
    """Mean Euclidean distance of a pair; see `mean_euclidean_distance`."""
    return float(pair.distances[1]) / pair.x.rows


def mean_euclidean_distance(
    X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None
) -> float:
    """Mean distance between a row and its compressed row, ``(1/n) sum_i ||x_i - xq_i||``.

    Range: 0 up, lower is better. Invariances, arguments, errors and source: as `frobenius_error`.
    """
    return mean_euclidean_distance_of(make_pair(X, Xq, centred=centred, threads=threads))


def mean_cosine_distance_of(pair: TablePair) -> float:
    """Mean cosine distance of a pair; see `mean_cosine_distance`."""
    return float(pair.distances[2]) / pair.x.rows


def mean_cosine_distance(
    X: Any, Xq: Any, *, centred: bool = False, threads: int | None = None
) -> float:
    """Mean angle error of a row, ``(1/n) sum_i (1 - cos(x_i, xq_i))``.

    A zero row is at distance 0 from a zero row and at distance 1 from any other.

    Range: 0 to 2, lower is better. Invariant to a common rotation, to scaling single rows of either
    table by positive numbers (not where centred), and to a common permutation of the rows. Arguments
    and errors: as `frobenius_error`. Hardly sees what vectors are told apart by where all share a
    common direction: look at the centred value too.

    Source:
        May et al. 2019, appendix (semantic distance); Balazy et al. 2021.
    """
    return mean_cosine_distance_of(make_pair(X, Xq, centred=centred, threads=threads))
