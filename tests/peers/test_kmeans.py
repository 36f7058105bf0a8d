"""k-means of numbers and of rows, against scikit-learn and the exact solver kmeans1d."""

from __future__ import annotations

import numpy as np
import pytest

import emcomp

cluster = pytest.importorskip("sklearn.cluster")
kmeans1d = pytest.importorskip("kmeans1d")


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_levels_are_never_above_random_restarts(bits):
    X = np.random.default_rng(3).standard_t(3, size=(500, 4)).astype(np.float32)
    theirs = cluster.KMeans(2**bits, n_init=10, random_state=0).fit(X.reshape(-1, 1))
    rebuilt = emcomp.compress(X, f"kmeans:{bits}").decode()
    assert np.square(X.astype(np.float64) - rebuilt).sum() <= 1.0001 * theirs.inertia_


def test_levels_are_those_of_an_exact_solver():
    X = np.random.default_rng(0).normal(size=(100, 10)).astype(np.float32)
    theirs = kmeans1d.cluster(X.ravel(), 16).centroids
    levels = emcomp.compress(X, "kmeans:4").tensors["levels"][0]
    np.testing.assert_allclose(levels, theirs, rtol=1e-3)


@pytest.mark.parametrize(("dim", "spread"), [(20, 0.5), (48, 4.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_rows_are_clustered_no_worse_than_by_scikit_learn(dim, spread, seed):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, dim)) * 3
    X = centres[rng.integers(20, size=3000)] + spread * rng.standard_normal((3000, dim))
    X = X.astype(np.float32)
    theirs = min(
        cluster.KMeans(40, n_init=1, max_iter=25, tol=0, random_state=s).fit(X).inertia_
        for s in range(3)
    )
    assert emcomp.kmeans(X, 40, seed=seed).inertia <= 1.05 * theirs
