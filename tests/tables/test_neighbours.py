"""Neighbour overlap and similarity preservation against brute force."""

import numpy as np
import pytest

from emcomp import measures as m
from emcomp.engine.base import Engine
from emcomp.measures.neighbours import nearest_rows
from emcomp.measures.pairs import TableSums


def noisy(X, scale, seed=9):
    return X + scale * np.random.default_rng(seed).standard_normal(X.shape)


def centre(X):
    return X - X.mean(axis=0)


def slow_neighbours(X, queries, k):
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit[queries] @ unit.T
    cosines[np.arange(len(queries)), queries] = -2
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("centred", [False, True])
def test_neighbour_overlap(centred):
    X = np.random.default_rng(0).standard_normal((4500, 9)).astype(np.float32) + 1
    Xq = noisy(X, 0.4).astype(np.float32)
    tables = [centre(t.astype(np.float64)) if centred else t.astype(np.float64) for t in (X, Xq)]
    everyone = np.arange(0, 4500, 3)
    first, second = (slow_neighbours(t, everyone, 7) for t in tables)
    expected = np.mean([len(set(a) & set(b)) / 7 for a, b in zip(first, second, strict=True)])
    found = nearest_rows(TableSums(X, centred=centred, engine=Engine(2)), everyone, 7)
    assert np.mean(found == first) > 0.999  # cosines are float32
    some = m.neighbour_overlap(X, Xq, 7, queries=500, seed=3, centred=centred, threads=1)
    assert some == m.neighbour_overlap(X, Xq, 7, queries=500, seed=3, centred=centred, threads=3)
    assert some == pytest.approx(expected, abs=0.06)
    assert m.neighbour_overlap(X, X, 7) == 1


def test_equal_cosines_go_to_the_smaller_index():
    X = np.ones((600, 3), dtype=np.float32)
    X[0] = [1, 2, 3]
    other = X.copy()
    other[1:3] = -1
    # In X rows 1 and 2 are neighbours of nearly all; in the other they are of none.
    assert m.neighbour_overlap(X, other, 2, queries=600) < 0.02
    assert m.neighbour_overlap(X, X, 2, queries=600) == 1


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("centred", [False, True])
def test_similarity_preservation(method, centred):
    stats = pytest.importorskip("scipy.stats")
    X = np.random.default_rng(0).standard_normal((9000, 8)) + 2
    Xq = noisy(X, 0.3)
    found = m.similarity_preservation(X, Xq, method=method, seed=4, centred=centred)
    i, j = np.random.default_rng(1).integers(9000, size=(2, 200_000))
    cosines = []
    for t in (X, Xq):
        t = centre(t) if centred else t
        t = t / np.linalg.norm(t, axis=1, keepdims=True)
        cosines.append((t[i] * t[j]).sum(axis=1)[i != j])
    expected = getattr(stats, method + "r")(*cosines)[0]
    assert found == pytest.approx(expected, abs=0.01)
    assert m.similarity_preservation(
        X, X @ np.linalg.qr(np.random.default_rng(1).standard_normal((8, 8)))[0], method=method
    ) == pytest.approx(1)
    assert found == m.similarity_preservation(
        X, Xq, method=method, seed=4, centred=centred, threads=2
    )
