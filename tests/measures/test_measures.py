"""Measures against float64 SVD and n x n oracles, closed values and invariances."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcomp import measures as m
from emcomp.errors import InputError, RankWarning, UndefinedError

EPSILON = np.finfo(np.float64).eps


def orthonormal(rows, dim, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, dim)))[0]


def conditioned(rows, dim, condition, seed):
    """A table of the given condition number, singular values evenly spaced in the logarithm."""
    values = np.geomspace(1, 1 / condition, dim)
    return (orthonormal(rows, dim, seed) * values) @ orthonormal(dim, dim, seed + 1).T


def noisy(X, scale, seed=9):
    return X + scale * np.random.default_rng(seed).standard_normal(X.shape)


def left(X):
    """Left singular vectors of the numerical rank, and their singular values."""
    u, s, _ = np.linalg.svd(np.asarray(X, dtype=np.float64), full_matrices=False)
    kept = s > s[0] * max(X.shape) * EPSILON
    return u[:, kept], s[kept]


def slow_eos(X, Xq):
    return np.square(left(X)[0].T @ left(Xq)[0]).sum() / max(X.shape[1], Xq.shape[1])


def slow_deltas(X, Xq, lam):
    K, Kq = X @ X.T, Xq @ Xq.T
    g, W = np.linalg.eigh(K)
    scale = 1 / np.sqrt(np.maximum(g, 0) + lam)
    changes = np.linalg.eigvalsh(scale[:, None] * (W.T @ (Kq - K) @ W) * scale)
    return -changes[0], changes[-1]


def centre(X):
    return X - X.mean(axis=0)


X300 = conditioned(300, 12, 20, 1) * 30
Y300 = noisy(X300, 0.3)
Z300 = noisy(X300, 0.3, 8)[:, :7]


@pytest.mark.parametrize(
    ("condition", "tolerance"), [(1, 1e-10), (1e3, 1e-10), (1e6, 1e-10), (1e9, 1e-7), (1e12, 1e-7)]
)
@pytest.mark.parametrize("noise", [1e-2, 1e-5, 1e-9])
def test_eos_agrees_with_the_svd(condition, tolerance, noise):
    X = conditioned(700, 33, condition, 3)
    other = conditioned(700, 20, condition, 5)
    other[:, :9] += X[:, :9]
    assert m.eos(X, noisy(X, noise)) == pytest.approx(slow_eos(X, noisy(X, noise)), abs=tolerance)
    assert m.eos(X, other) == pytest.approx(slow_eos(X, other), abs=tolerance)
    assert m.eos(other, X) == pytest.approx(slow_eos(X, other), abs=tolerance)


@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12])
def test_spectrum_agrees_with_the_svd(condition):
    X = conditioned(500, 20, condition, 2)
    spectrum = m.spectrum(X)
    expected = np.linalg.svd(X, compute_uv=False)
    np.testing.assert_allclose(spectrum.singular_values, expected, atol=1e-13)
    assert spectrum.rank == 20
    assert spectrum.condition == pytest.approx(condition, rel=1e-3)


@pytest.mark.parametrize("dim", [1, 7, 8, 9, 63, 64, 65, 257])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_awkward_sizes_and_types(dim, dtype):
    X = np.random.default_rng(dim).standard_normal((600, dim)).astype(dtype)
    Xq = noisy(X, 0.5).astype(np.float32)
    x64, q64 = X.astype(np.float64), Xq.astype(np.float64)
    assert m.eos(X, Xq) == pytest.approx(slow_eos(x64, q64), abs=1e-10)
    assert m.frobenius_error(X, Xq) == pytest.approx(np.linalg.norm(x64 - q64), rel=1e-12)


def rank_deficient(seed=0):
    X = np.random.default_rng(seed).standard_normal((200, 5)) @ np.random.default_rng(
        seed + 1
    ).standard_normal((5, 9))
    X[:, 8] = 0
    return X


def test_rank_deficient_tables_have_one_meaning():
    X = rank_deficient()
    Xq = noisy(X, 0.1)
    order = np.random.default_rng(3).permutation(200)
    rotation = orthonormal(9, 9, 4)
    with pytest.warns(RankWarning, match="X has numerical rank 5, below its dimension 9"):
        plain = m.eos(X, Xq)
    assert plain == pytest.approx(slow_eos(X, Xq), abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        assert m.eos(X[order], Xq[order]) == pytest.approx(plain, abs=1e-12)
        assert m.eos(X @ rotation, Xq) == pytest.approx(plain, abs=1e-12)
        assert m.eos(X, X) == pytest.approx(5 / 9, abs=1e-12)
        assert m.eos(X, X, denominator="rank") == pytest.approx(1, abs=1e-12)
        assert m.delta1(X, X) == pytest.approx(0, abs=1e-9)
        assert m.linear_map_error(X, X) == pytest.approx(0, abs=1e-12)
    spectrum = m.spectrum(X)
    assert spectrum.rank == 5
    assert spectrum.condition == np.inf


def test_rank_below_the_noise_of_a_gram_matrix_is_still_seen():
    """Duplicated columns that differ by 1e-10: full rank, though a Gram matrix cannot tell."""
    X = np.random.default_rng(0).standard_normal((400, 3))
    X = np.hstack([X, X + 1e-10 * np.random.default_rng(1).standard_normal((400, 3))])
    assert m.spectrum(X).rank == 6
    X[:, 3:] = X[:, :3]
    assert m.spectrum(X).rank == 3
    assert m.spectrum(np.ones((5, 4))).rank == 1
    assert m.spectrum(np.zeros((5, 4))).rank == 0
    assert m.spectrum(np.random.default_rng(0).standard_normal((4, 9))).rank == 4


def test_eos_closed_values():
    X = conditioned(400, 12, 30, 6)
    u, s, vt = np.linalg.svd(X, full_matrices=False)
    for k in (1, 5, 11):
        assert m.eos(X, u[:, :k] * s[:k]) == pytest.approx(k / 12, abs=1e-12)
    with pytest.warns(RankWarning):  # the strongest and the weakest direction cost the same
        assert m.eos(X, (u[:, 1:] * s[1:]) @ vt[1:]) == pytest.approx(11 / 12, abs=1e-12)
    with pytest.warns(RankWarning):
        assert m.eos(X, (u[:, :-1] * s[:-1]) @ vt[:-1]) == pytest.approx(11 / 12, abs=1e-12)
    invertible = np.random.default_rng(7).standard_normal((12, 12))
    assert m.eos(X, X @ invertible) == pytest.approx(1, abs=1e-12)
    assert m.eos(X, orthonormal(400, 12, 99)) < 0.2
    assert m.eos(u[:, :6], u[:, 6:]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("k", "n_sub"), [(0, 3), (2, 4), (5, 10)])
def test_eos_k(k, n_sub):
    X, Xq = X300, noisy(X300, 0.5)
    count = min(n_sub, 12 - k)
    expected = (
        np.square(left(X)[0][:, k : k + count].T @ left(Xq)[0][:, k : k + count]).sum() / count
    )
    assert m.eos_k(X, Xq, k, n_sub) == pytest.approx(expected, abs=1e-10)


def test_dropping_a_singular_direction():
    """The closed forms of the perturbation table: what removing the top direction costs."""
    X = conditioned(300, 10, 50, 11)
    u, s, vt = np.linalg.svd(X, full_matrices=False)
    Xq = (u[:, 1:] * s[1:]) @ vt[1:]
    lam = 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        assert m.frobenius_error(X, Xq) == pytest.approx(s[0], rel=1e-10)
        assert m.spectral_error(X, Xq) == pytest.approx(s[0], rel=1e-10)
        assert m.pip_loss(X, Xq) == pytest.approx(s[0] ** 2, rel=1e-10)
        assert m.delta1(X, Xq, lam) == pytest.approx(s[0] ** 2 / (s[0] ** 2 + lam), rel=1e-10)
        assert m.delta2(X, Xq, lam) == pytest.approx(0, abs=1e-9)
        assert m.linear_map_error(X, Xq) == pytest.approx(s[0], rel=1e-10)
        assert m.linear_map_spectral_error(X, Xq) == pytest.approx(s[0], rel=1e-10)


@pytest.mark.parametrize("Xq", [Y300, Z300], ids=["same dim", "fewer columns"])
@pytest.mark.parametrize("centred", [False, True])
def test_gram_distances_agree_with_n_by_n(Xq, centred):
    a, b = (centre(X300), centre(Xq)) if centred else (X300, Xq)
    assert m.pip_loss(X300, Xq, centred=centred) == pytest.approx(
        np.linalg.norm(a @ a.T - b @ b.T), rel=1e-10
    )
    lams = m.lambdas(X300, centred=centred)
    eigenvalues = np.square(left(a)[1])
    lowest, highest = eigenvalues[-1], eigenvalues[0]
    expected = [lowest * f for f in (0.01, 0.1, 1, 10, 100, 1000)] + [highest]
    np.testing.assert_allclose(lams, expected, rtol=1e-9)
    for lam in (None, lams[0], lams[4], lams[6]):
        below, above = slow_deltas(a, b, lams[2] if lam is None else lam)
        assert m.delta1(X300, Xq, lam, centred=centred) == pytest.approx(below, rel=1e-6, abs=1e-9)
        assert m.delta2(X300, Xq, lam, centred=centred) == pytest.approx(above, rel=1e-6, abs=1e-9)
        assert m.delta(X300, Xq, lam, centred=centred) == pytest.approx(max(below, above), rel=1e-6)
        both = max(1 / (1 - below), above)
        assert m.delta_max(X300, Xq, lam, centred=centred) == pytest.approx(both, rel=1e-6)


def test_deltas_where_the_spans_fill_the_space():
    """n = d + k or less: nothing is left on which the Gram matrices agree, so Delta may be < 0."""
    X = np.random.default_rng(0).standard_normal((6, 4))
    lam = m.lambdas(X)[2]
    with pytest.warns(RankWarning):
        below = m.delta1(X[:4], 9 * np.eye(4, 5))
    assert below < 0
    assert below == pytest.approx(slow_deltas(X[:4], 9 * np.eye(4), m.lambdas(X[:4])[2])[0])
    assert m.delta1(X, 2 * X, lam) == pytest.approx(slow_deltas(X, 2 * X, lam)[0], abs=1e-9)


def test_tiny_differences_do_not_cancel():
    """1e-9 apart: identities on sums of squares would leave only noise."""
    Xq = noisy(X300, 1e-9)
    assert m.pip_loss(X300, Xq) == pytest.approx(
        np.linalg.norm(X300 @ (X300 - Xq).T + (X300 - Xq) @ X300.T), rel=1e-3
    )
    difference = np.linalg.svd(X300 - Xq, compute_uv=False)
    assert m.frobenius_error(X300, Xq) == pytest.approx(np.linalg.norm(difference), rel=1e-6)
    assert m.spectral_error(X300, Xq) == pytest.approx(difference[0], rel=1e-6)
    u = left(Xq)[0]
    residual = X300 - u @ (u.T @ X300)
    assert m.linear_map_error(X300, Xq) == pytest.approx(np.linalg.norm(residual), rel=1e-3)
    assert m.linear_map_spectral_error(X300, Xq) == pytest.approx(
        np.linalg.norm(residual, 2), rel=1e-3
    )
    assert 0 < m.orthogonal_map_error(X300, Xq) <= np.linalg.norm(difference) * (1 + 1e-9)
    assert m.mean_cosine_distance(X300, Xq) == pytest.approx(slow_mean_cosine(X300, Xq), rel=0.1)


def slow_mean_cosine(a, b):
    """From the longer route: half the squared distance between unit vectors."""
    a, b = (
        a / np.linalg.norm(a, axis=1, keepdims=True),
        b / np.linalg.norm(b, axis=1, keepdims=True),
    )
    return np.mean(np.square(a - b).sum(axis=1)) / 2


@pytest.mark.parametrize("centred", [False, True])
def test_reconstruction(centred):
    a, b = (centre(X300), centre(Y300)) if centred else (X300, Y300)
    singular = np.linalg.svd(a - b, compute_uv=False)
    options = {"centred": centred}
    assert m.frobenius_error(X300, Y300, **options) == pytest.approx(
        np.linalg.norm(singular), rel=1e-12
    )
    assert m.spectral_error(X300, Y300, **options) == pytest.approx(singular[0], rel=1e-10)
    euclidean = np.linalg.norm(a - b, axis=1).mean()
    assert m.mean_euclidean_distance(X300, Y300, **options) == pytest.approx(euclidean, rel=1e-12)
    assert m.mean_cosine_distance(X300, Y300, **options) == pytest.approx(
        slow_mean_cosine(a, b), rel=1e-10
    )


@pytest.mark.parametrize("Xq", [Y300, Z300, np.hstack([Y300, Z300])], ids=["same", "fewer", "more"])
def test_best_maps(Xq):
    best = np.linalg.lstsq(Xq, X300, rcond=None)[0]
    residual = X300 - Xq @ best
    assert m.linear_map_error(X300, Xq) == pytest.approx(np.linalg.norm(residual), rel=1e-10)
    assert m.linear_map_spectral_error(X300, Xq) == pytest.approx(
        np.linalg.norm(residual, 2), rel=1e-9
    )
    width = max(X300.shape[1], Xq.shape[1])
    a, b = (np.pad(t, ((0, 0), (0, width - t.shape[1]))) for t in (X300, Xq))
    u, _, vt = np.linalg.svd(b.T @ a)
    assert m.orthogonal_map_error(X300, Xq) == pytest.approx(
        np.linalg.norm(b @ u @ vt - a), rel=1e-10
    )


def test_orthogonal_map_undoes_a_rotation():
    rotation = orthonormal(12, 12, 5)
    assert m.orthogonal_map_error(X300, X300 @ rotation) == pytest.approx(0, abs=1e-11)
    wide = np.hstack([X300, np.zeros((300, 3))]) @ orthonormal(15, 15, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        assert m.orthogonal_map_error(X300, wide) == pytest.approx(0, abs=1e-11)
        assert m.orthogonal_map_error(wide, X300) == pytest.approx(0, abs=1e-11)
        assert m.pip_loss(X300, wide) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("condition", [1, 10, 100])
def test_principal_angles(condition):
    u = orthonormal(100, 6, 3)
    angles = np.array([1e-10, 1e-4, 1.0, 44.0, 80.0])
    radians = np.radians(angles)
    others = orthonormal(100, 100, 3)[:, 6:11]
    others -= u @ (u.T @ others)
    others = np.linalg.qr(others)[0]
    turned = u[:, :5] * np.cos(radians) + others * np.sin(radians)
    turn = orthonormal(6, 6, 1) * np.geomspace(1, 1 / condition, 6) @ orthonormal(6, 6, 2)
    found = m.principal_angles(u @ turn, turned)
    # A Gram matrix squares the condition number; its basis is good to that times the rounding.
    rounding = np.degrees(condition**2 * np.finfo(np.float64).eps)
    np.testing.assert_allclose(found, angles, rtol=1e-8, atol=max(rounding, 1e-12))
    assert m.eos(u, turned) == pytest.approx(np.square(np.cos(radians)).sum() / 6, abs=1e-12)


def slow_eis(X, Y, E, Et, alpha):
    U, V = left(X)[0], left(Y)[0]
    S = sum((p * r ** (2 * alpha)) @ p.T for p, r in (left(E), left(Et)))
    A, B = U @ U.T, V @ V.T
    return np.trace((A + B - 2 * B @ A) @ S) / np.trace(S)


@pytest.mark.parametrize("alpha", [0, 1, 3])
def test_eis(alpha):
    anchors = (noisy(X300, 0.2, 20), noisy(Y300, 0.2, 21))
    expected = slow_eis(X300, Z300, *anchors, alpha)
    assert m.eis(X300, Z300, anchors, alpha) == pytest.approx(expected, rel=1e-9)
    assert m.eis(X300, X300 @ orthonormal(12, 12, 1), anchors, alpha) == pytest.approx(0, abs=1e-12)


def test_eis_with_alpha_zero_is_one_minus_eos():
    assert m.eis(X300, Y300, (X300, Y300), 0) == pytest.approx(1 - m.eos(X300, Y300), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.integers(2, 8), st.integers(2, 8))
def test_invariances(seed, scale, d, k):
    random = np.random.default_rng(seed)
    X = random.standard_normal((60, d)) + 0.3
    Xq = np.hstack([X, random.standard_normal((60, 8))])[:, :k] + 0.2 * random.standard_normal(
        (60, k)
    )
    order = random.permutation(60)
    turn_x, turn_q = (np.linalg.qr(random.standard_normal((w, w)))[0] for w in (d, k))
    moved = (X[order] @ turn_x, Xq[order] @ turn_q)
    for measure in (
        m.eos,
        m.pip_loss,
        m.delta1,
        m.delta2,
        m.linear_map_error,
        m.orthogonal_map_error,
    ):
        assert measure(*moved) == pytest.approx(measure(X, Xq), rel=1e-8, abs=1e-9)
    assert m.eos(X, Xq @ random.standard_normal((k, k))) == pytest.approx(m.eos(X, Xq), abs=1e-8)
    assert m.eos(scale * X, Xq) == pytest.approx(m.eos(X, Xq), abs=1e-10)
    assert m.eos(X, Xq) == pytest.approx(m.eos(Xq, X), abs=1e-10)
    assert m.delta1(scale * X, scale * Xq) == pytest.approx(m.delta1(X, Xq), rel=1e-7, abs=1e-9)
    shifted = (X + 5 * turn_x[0], Xq - 3 * turn_q[0])
    assert m.eos(*shifted, centred=True) == pytest.approx(m.eos(X, Xq, centred=True), abs=1e-9)


def test_rows_takes_the_first():
    for measure in (m.pip_loss, m.delta1, m.delta2, m.delta_max, m.delta):
        assert measure(X300, Y300, rows=200) == measure(X300[:200], Y300[:200])
    assert m.neighbour_overlap(X300, Y300, rows=50) == m.neighbour_overlap(X300[:50], Y300[:50])


def test_the_same_value_for_any_number_of_threads():
    X = np.random.default_rng(0).standard_normal((9000, 20)).astype(np.float32)
    Xq = noisy(X, 0.5)
    for measure in (
        m.eos,
        m.eos_k,
        m.pip_loss,
        m.delta2,
        m.orthogonal_map_error,
        m.mean_cosine_distance,
    ):
        assert len({measure(X, Xq, threads=threads) for threads in (1, 2, 3)}) == 1


def test_paths(tmp_path):
    np.save(tmp_path / "x.npy", X300)
    assert m.eos(tmp_path / "x.npy", Y300) == m.eos(X300, Y300)
    assert m.eos(str(tmp_path / "x.npy"), Y300) == m.eos(X300, Y300)


@pytest.mark.parametrize(
    "measure",
    [m.frobenius_error, m.spectral_error, m.mean_euclidean_distance, m.mean_cosine_distance],
)
def test_different_dimensions_are_an_error_where_undefined(measure):
    with pytest.raises(UndefinedError, match="dimension 12 and Xq has 7"):
        measure(X300, Z300)


def test_bad_input():
    with pytest.raises(InputError, match="X has 300 rows and Xq has 299"):
        m.eos(X300, Y300[:299])
    bad = Y300.copy()
    bad[17, 3] = np.nan
    with pytest.raises(InputError, match="Xq: the entry at row 17, column 3"):
        m.eos(X300, bad)
    with pytest.raises(InputError, match="Xq: the entry at row 17, column 3"):
        m.neighbour_overlap(X300, bad)
    with pytest.raises(InputError, match="denominator"):
        m.eos(X300, Y300, denominator="rows")
    with pytest.raises(InputError, match="lambda"):
        m.delta1(X300, Y300, 0.0)
    with pytest.raises(UndefinedError, match="neighbours"):
        m.neighbour_overlap(X300[:4], Y300[:4])
    with pytest.raises(UndefinedError, match="ranks are 12 and 12"):
        m.eos_k(X300, Y300, 12)
    with pytest.raises(UndefinedError), pytest.warns(RankWarning):
        m.delta1(np.zeros((30, 3)), Z300[:30])
    with pytest.raises(InputError, match="rows"):
        m.pip_loss(X300, Y300, rows=0)
