"""Measures of how far the Gram matrices XX' and XqXq' of two tables differ, never n x n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emcomp._support.threads import resolve_threads
from emcomp.engine.base import Engine
from emcomp.errors import InputError, UndefinedError
from emcomp.measures.pairs import TablePair, TableSums, make_pair

if TYPE_CHECKING:
    from emcomp.statistics.row_sums import Matrix

SAFE_CANCELLATION = 1e-6
"""A difference of squares at least this part of them is right to about 1e-10."""
LAMBDA_FACTORS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


def _joint_difference(pair: TablePair) -> tuple[Matrix, Matrix]:
    """XqXq' - XX' in an orthonormal basis of both spans, and the eigenvalues of XX' there."""
    inside, outside = pair.joint
    room = min(pair.x.rows - inside.shape[0], outside.shape[0])  # directions that X leaves free
    outside = outside[outside.shape[0] - room :]  # the longest come last
    compressed = np.vstack([inside, outside]) * pair.q.basis.singular_values
    eigenvalues = np.zeros(compressed.shape[0])
    eigenvalues[: inside.shape[0]] = np.square(pair.x.basis.singular_values)
    return compressed @ compressed.T - np.diag(eigenvalues), eigenvalues


def pip_loss_of(pair: TablePair) -> float:
    """Pairwise inner product loss of a pair; see `pip_loss`."""
    cross = pair.sums.cross
    squares = float(np.square(pair.x.gram).sum() + np.square(pair.q.gram).sum())
    loss = squares - 2.0 * float(np.square(cross).sum())
    if loss > SAFE_CANCELLATION * squares:
        return float(np.sqrt(loss))
    return float(np.linalg.norm(_joint_difference(pair)[0]))


def pip_loss(
    X: Any,
    Xq: Any,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Pairwise inner product loss: how much the inner products between rows change.

    ``||X X' - Xq Xq'||_F``, computed from d x d sums.

    Range: 0 up, lower is better. Invariant to rotations of either table and to a common permutation
    of the rows. Grows with the square of the scale.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        centred: subtract each table's mean row first.
        rows: use the first rows only; May et al. take the 10,000 most frequent words.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, or an entry is not finite.

    Source:
        Yin and Shen, On the dimensionality of word embedding, NeurIPS 2018, section 3.
    """
    return pip_loss_of(make_pair(X, Xq, centred=centred, rows=rows, threads=threads))


def spectral_deltas_of(pair: TablePair, lam: float | None = None) -> tuple[float, float]:
    """Delta1 and Delta2 of a pair; see `delta1` and `delta2`."""
    return pair.once(("deltas", lam), lambda: _spectral_deltas(pair, lam))


def _spectral_deltas(pair: TablePair, lam: float | None) -> tuple[float, float]:
    singular_values = pair.x.basis.singular_values
    if singular_values.size == 0:
        raise UndefinedError("X is zero: no lambda makes its Gram matrix a reference")
    if lam is None:
        lam = float(singular_values[-1] ** 2)
    if not lam > 0 or not np.isfinite(lam):
        raise InputError(f"lambda must be positive and finite, not {lam}")
    difference, eigenvalues = _joint_difference(pair)
    scale = 1.0 / np.sqrt(eigenvalues + lam)
    changes = np.linalg.eigvalsh(difference * scale * scale[:, None])
    lowest, highest = float(changes[0]), float(changes[-1])
    if pair.x.rows > eigenvalues.size:  # both Gram matrices are zero on what is left of the space
        lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    return 0.0 - lowest, highest


def delta1(
    X: Any,
    Xq: Any,
    lam: float | None = None,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Spectral approximation from below.

    The smallest Delta1 in ``(1 - Delta1) (XX' + lam I) <= XqXq' + lam I <= (1 + Delta2) (XX' + lam
    I)``: how much weaker some direction has become.

    Range: 0 to below 1, lower is better. Invariant to rotations of either table, to a common
    permutation of the rows, and to a common scale where lam is the default.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, k) of the same words.
        lam: the lambda of the inequality; by default the paper's, the smallest eigenvalue of X'X
            (of those above the numerical rank threshold). See `lambdas` for the paper's whole list.
        centred: subtract each table's mean row first.
        rows: use the first rows only; May et al. take the 10,000 most frequent words.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in rows, lambda is not positive, or an entry is not finite.

    Source:
        Zhang, May, Dao and Re, Low-precision random Fourier features, AISTATS 2019, section 3.
    """
    return spectral_deltas_of(make_pair(X, Xq, centred=centred, rows=rows, threads=threads), lam)[0]


def delta2(
    X: Any,
    Xq: Any,
    lam: float | None = None,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Spectral approximation from above: the smallest Delta2 in the inequality of `delta1`.

    How much stronger some direction has become.

    Range: 0 up, lower is better. Invariances, arguments, errors and source: as `delta1`.
    """
    return spectral_deltas_of(make_pair(X, Xq, centred=centred, rows=rows, threads=threads), lam)[1]


def delta_of(pair: TablePair, lam: float | None = None) -> float:
    """Larger Delta of a pair; see `delta`."""
    return max(spectral_deltas_of(pair, lam))


def delta(
    X: Any,
    Xq: Any,
    lam: float | None = None,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """Spectral approximation from both sides: ``max(Delta1, Delta2)`` of `delta1`.

    Range: 0 up, lower is better. Invariances, arguments and errors: as `delta1`.

    Source:
        Avron, Kapralov, Musco, Musco, Velingker and Zandieh, Random Fourier features for kernel
        ridge regression, ICML 2017.
    """
    return delta_of(make_pair(X, Xq, centred=centred, rows=rows, threads=threads), lam)


def delta_max_of(pair: TablePair, lam: float | None = None) -> float:
    """Delta_max of a pair; see `delta_max`."""
    below, above = spectral_deltas_of(pair, lam)
    return max(1.0 / (1.0 - below), above)


def delta_max(
    X: Any,
    Xq: Any,
    lam: float | None = None,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> float:
    """``max(1 / (1 - Delta1), Delta2)`` of `delta1`: the part of it that bounds generalization.

    Range: 1 up, lower is better. Invariances, arguments and errors: as `delta1`.

    Source:
        Zhang, May, Dao and Re, Low-precision random Fourier features, AISTATS 2019.
    """
    return delta_max_of(make_pair(X, Xq, centred=centred, rows=rows, threads=threads), lam)


def lambdas(
    X: Any, *, centred: bool = False, rows: int | None = None, threads: int | None = None
) -> list[float]:
    """The lambdas that May et al. (2019) tried for `delta1` and `delta2`.

    With e_min and e_max the smallest and largest eigenvalue of X'X: e_min / 100, e_min / 10, e_min
    (index 2, the paper's choice and our default), 10 e_min, 100 e_min, 1000 e_min, e_max.

    Args:
        X: table (n, d): array, path, or source.
        centred: subtract the mean row first.
        rows: use the first rows only.
        threads: threads to use.

    Raises:
        InputError: if X is zero, or an entry is not finite.
    """
    values = TableSums(
        X, centred=centred, rows=rows, engine=Engine(resolve_threads(threads))
    ).basis.singular_values
    if values.size == 0:
        raise UndefinedError("X is zero: it has no eigenvalues above the rank threshold")
    return [float(values[-1] ** 2) * factor for factor in LAMBDA_FACTORS] + [float(values[0] ** 2)]
