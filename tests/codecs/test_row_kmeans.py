from __future__ import annotations

import itertools

import numpy as np
import pytest

from emcomp import _core
from emcomp.codecs.row_kmeans import kmeans
from emcomp.errors import InputError


def squared_distances(X, C):
    """All squared distances in float64."""
    X, C = np.asarray(X, np.float64), np.asarray(C, np.float64)
    return ((X[:, None, :] - C[None, :, :]) ** 2).sum(axis=2)


def lloyd(X, start, rounds):
    """Plain Lloyd in float64: centroids, labels and inertia after `rounds` moves."""
    X = np.asarray(X, np.float64)
    C = np.array(start, np.float64)
    for _ in range(rounds):
        labels = squared_distances(X, C).argmin(axis=1)
        for j in range(len(C)):
            if (labels == j).any():
                C[j] = X[labels == j].mean(axis=0)
        C = C.astype(np.float32).astype(np.float64)
    D = squared_distances(X, C)
    return C, D.argmin(axis=1), D.min(axis=1).sum()


def run_rounds(X, start, rounds, *, use_bounds=True, threads=1, blocks=1):
    state = _core.Lloyd(start, len(X), use_bounds)
    inertias = []
    for i in range(rounds + 1):
        for part in np.array_split(np.arange(len(X)), blocks):
            state.assign(X[part[0] : part[-1] + 1], int(part[0]), threads)
        inertias.append(state.inertia)
        if i < rounds:
            state.update()
    return state, inertias


def table(rows, dim, seed=0, clusters=20, spread=0.5):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim)) * 3
    X = centres[rng.integers(clusters, size=rows)] + spread * rng.standard_normal((rows, dim))
    return X.astype(np.float32)


@pytest.mark.parametrize("dim", [1, 3, 7, 8, 9, 31, 63, 64, 65, 257])
@pytest.mark.parametrize("k", [1, 2, 15, 16, 17, 63, 65, 130])
def test_labels_are_nearest_centroids(dim, k):
    rng = np.random.default_rng(dim * 1000 + k)
    X = rng.standard_normal((301, dim)).astype(np.float32)
    C = rng.standard_normal((k, dim)).astype(np.float32)
    for use_bounds in (False, True):
        state = _core.Lloyd(C, len(X), use_bounds)
        state.assign(X, 0, 1)
        D = squared_distances(X, C)
        chosen = D[np.arange(len(X)), state.labels]
        np.testing.assert_allclose(chosen, D.min(axis=1), rtol=0, atol=1e-5 * dim)
        ordered = np.sort(D, axis=1)
        clear = np.full(len(X), True) if k == 1 else ordered[:, 1] - ordered[:, 0] > 1e-4 * dim
        assert clear.mean() > 0.5
        np.testing.assert_array_equal(state.labels[clear], D.argmin(axis=1)[clear])
        np.testing.assert_allclose(state.inertia, D.min(axis=1).sum(), rtol=1e-5)


def test_equally_near_centroids_give_the_smallest_index():
    C = np.repeat(np.arange(50, dtype=np.float32)[::-1, None], 4, axis=0)
    X = np.arange(50, dtype=np.float32)[:, None]
    for use_bounds in (False, True):
        state = _core.Lloyd(C, 50, use_bounds)
        state.assign(X, 0, 1)
        np.testing.assert_array_equal(state.labels, 4 * np.arange(50)[::-1])


@pytest.mark.parametrize("dim", [2, 40])
def test_rounds_equal_plain_lloyd(dim):
    X = table(700, dim)
    start = X[::35].copy()
    for rounds in (0, 1, 2, 5):
        C, labels, inertia = lloyd(X, start, rounds)
        state, _ = run_rounds(X, start, rounds)
        np.testing.assert_array_equal(state.labels, labels)
        np.testing.assert_allclose(state.centroids, C, rtol=0, atol=2e-5)
        assert state.inertia == pytest.approx(inertia, rel=1e-5)


@pytest.mark.parametrize(("dim", "k"), [(5, 40), (64, 100), (100, 200)])
def test_skipping_distances_changes_nothing(dim, k):
    X = table(3000, dim, clusters=60, spread=1.0)
    start = X[: 3000 // k * k : 3000 // k].copy()
    plain, plain_inertias = run_rounds(X, start, 12, use_bounds=False)
    bounded, inertias = run_rounds(X, start, 12, use_bounds=True)
    assert inertias == plain_inertias
    np.testing.assert_array_equal(bounded.labels, plain.labels)
    np.testing.assert_array_equal(bounded.centroids, plain.centroids)
    assert bounded.distances_computed < 0.8 * plain.distances_computed


def test_same_bits_for_any_threads_and_blocks():
    X = table(3001, 70, spread=2.0)
    start = X[::30].copy()
    expected, _ = run_rounds(X, start, 6)
    for threads, blocks in ((2, 1), (3, 1), (1, 7), (2, 3)):
        state, _ = run_rounds(X, start, 6, threads=threads, blocks=blocks)
        np.testing.assert_array_equal(state.labels, expected.labels)
        np.testing.assert_array_equal(state.centroids, expected.centroids)
        assert state.inertia == expected.inertia
    results = [kmeans(X, 40, seed=3, threads=threads) for threads in (1, 2, 3)]
    for result in results[1:]:
        np.testing.assert_array_equal(result.centroids, results[0].centroids)
        np.testing.assert_array_equal(result.labels, results[0].labels)
        assert result.inertia == results[0].inertia


@pytest.mark.parametrize("dim", [3, 50])
def test_inertia_never_rises(dim):
    X = np.random.default_rng(5).standard_normal((2000, dim)).astype(np.float32)
    _, inertias = run_rounds(X, X[::40].copy(), 15)
    assert all(after <= before for before, after in itertools.pairwise(inertias))
    assert inertias[-1] < 0.95 * inertias[0]


def test_result_is_consistent():
    X = table(2000, 33)
    seen = []
    result = kmeans(
        X, 30, iterations=8, progress=lambda done, inertia: seen.append((done, inertia))
    )
    assert result.centroids.shape == (30, 33)
    assert result.centroids.dtype == np.float32
    assert result.labels.shape == (2000,)
    assert result.labels.dtype == np.int32
    assert result.iterations <= 8
    assert [done for done, _ in seen] == list(range(result.iterations + 1))
    assert seen[-1][1] == result.inertia
    D = squared_distances(X, result.centroids)
    assert result.inertia == pytest.approx(D.min(axis=1).sum(), rel=1e-5)
    np.testing.assert_array_equal(result.labels, D.argmin(axis=1))


@pytest.mark.parametrize("dim", [2, 40])
def test_finds_separate_clusters(dim):
    rng = np.random.default_rng(1)
    centres = rng.permutation(25)[:, None] * 100.0 + rng.standard_normal((25, dim))
    truth = rng.integers(25, size=1500)
    X = (centres[truth] + 0.1 * rng.standard_normal((1500, dim))).astype(np.float32)
    result = kmeans(X, 25)
    assert len({(a, b) for a, b in zip(truth.tolist(), result.labels.tolist(), strict=True)}) == 25
    assert result.inertia < 1500 * dim * 0.02


def test_no_cluster_is_empty():
    rng = np.random.default_rng(2)
    # Half of the rows coincide: most starts put several centroids on them.
    X = np.concatenate([np.zeros((500, 6)), rng.standard_normal((500, 6))]).astype(np.float32)
    for k in (50, 300, 501):
        result = kmeans(X, k, iterations=3)
        assert np.unique(result.labels).size == k


def test_as_many_centroids_as_different_rows():
    X = np.repeat(np.arange(12.0, dtype=np.float32)[:, None], 3, axis=0)
    result = kmeans(X, 12)
    assert result.inertia == 0.0
    np.testing.assert_array_equal(np.sort(result.centroids.ravel()), np.arange(12.0))
    one = kmeans(np.full((9, 4), 2.5), 1)
    assert one.inertia == 0.0
    np.testing.assert_array_equal(one.centroids, np.full((1, 4), 2.5))


def test_a_common_offset_costs_no_digits():
    X = table(800, 12)
    plain = kmeans(X, 20, seed=1)
    moved = kmeans(X.astype(np.float64) + 4096.0, 20, seed=1)
    assert moved.inertia == pytest.approx(plain.inertia, rel=1e-3)


@pytest.mark.parametrize("kind", ["float16", "float64", "big", "columns", "reversed", "bfloat16"])
def test_other_layouts_give_the_same(kind):
    X = table(600, 20).astype(np.float16).astype(np.float32)
    views = {
        "float16": lambda: X.astype(np.float16),
        "float64": lambda: X.astype(np.float64),
        "big": lambda: X.astype(">f4"),
        "columns": lambda: np.asfortranarray(X),
        "reversed": lambda: X[::-1].copy()[::-1],
    }
    if kind == "bfloat16":
        bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
        Y = X.astype(bfloat16)
        X = Y.astype(np.float32)
    else:
        Y = views[kind]()
    expected, found = kmeans(X, 25, iterations=5), kmeans(Y, 25, iterations=5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.centroids, expected.centroids)


def test_seed_and_sample():
    X = table(2000, 10, spread=2.0)
    first, second = kmeans(X, 20, seed=1), kmeans(X, 20, seed=2)
    assert (first.centroids != second.centroids).any()
    assert first.inertia == pytest.approx(second.inertia, rel=0.1)
    part = kmeans(X, 20, sample=500)
    assert part.labels.shape == (500,)
    rows = _core.sample_rows(2000, 500, 0)
    assert len(set(rows.tolist())) == 500
    assert part.inertia == pytest.approx(
        squared_distances(X[rows], part.centroids).min(axis=1).sum(), rel=1e-5
    )


@pytest.mark.parametrize(("rows", "count"), [(1, 1), (10, 10), (1000, 999), (1000, 7), (257, 256)])
def test_sampled_rows_are_different_and_spread(rows, count):
    sample = _core.sample_rows(rows, count, 4)
    assert (np.diff(sample) > 0).all()
    edges = np.arange(count + 1) * rows // count
    assert ((sample >= edges[:-1]) & (sample < edges[1:])).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be"),
        ({"k": 2.0}, "k must be"),
        ({"k": 101}, "101 centroids need at least as many rows, and there are 100"),
        ({"k": 5, "iterations": 0}, "iterations"),
        ({"k": 5, "seed": -1}, "seed"),
        ({"k": 5, "seed": 2**64}, "seed"),
        ({"k": 5, "sample": 0}, "sample"),
        ({"k": 5, "sample": 4}, "there are 4"),
        ({"k": 5, "threads": 0}, "threads"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        kmeans(np.random.default_rng(0).random((100, 3)), **arguments)


def test_bad_rows():
    X = table(400, 5)
    with pytest.raises(InputError, match="different rows"):
        kmeans(np.ones((20, 3)), 2)
    with pytest.raises(InputError, match="different rows"):
        kmeans(np.repeat(X[:10], 5, axis=0), 11)
    for bad in (np.nan, np.inf):
        Y = X.copy()
        Y[333, 2] = bad
        with pytest.raises(InputError, match="row 333, column 2"):
            kmeans(Y, 4)
    with pytest.raises(InputError, match="scale the rows down"):
        kmeans(X * np.float32(1e19), 4)


def test_interruption_between_rounds_passes_through():
    def interrupt(done, inertia):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kmeans(table(2000, 33, spread=3.0), 30, progress=interrupt)
