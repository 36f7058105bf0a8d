from __future__ import annotations

import itertools

import numpy as np
import pytest

from emcomp import _core
from tests.helpers.learned import correlated_table


def squared_error(X, codes, codebooks):
    total = X.astype(np.float64)
    for m, codebook in enumerate(codebooks):
        total = total - codebook[codes[:, m]].astype(np.float64)
    return (total**2).sum()


def test_least_squares_codebooks_are_those_of_lstsq():
    rng = np.random.default_rng(0)
    X, codes = correlated_table(400, 7), rng.integers(0, 4, (400, 3)).astype(np.uint8)
    whole, first, second = (_core.AdditiveStatistics(7, 3, 4) for _ in range(3))
    whole.update(X, codes, 3)
    first.update(X[:150], codes[:150], 1)
    second.update(X[150:], codes[150:], 2)
    first.merge(second)
    before = np.zeros((3, 4, 7), np.float32)
    found = whole.solve(before, 2)
    np.testing.assert_array_equal(found, first.solve(before, 1))
    indicators = np.zeros((400, 12))
    for m in range(3):
        indicators[np.arange(400), 4 * m + codes[:, m]] = 1
    best = X - indicators @ np.linalg.lstsq(indicators, X.astype(np.float64), rcond=None)[0]
    assert squared_error(X, codes, found) == pytest.approx((best**2).sum(), rel=1e-6)


def test_codewords_without_rows_stay():
    X, codes = correlated_table(40, 5), np.zeros((40, 2), np.uint8)
    codes[:, 0] = np.arange(40) % 2
    statistics = _core.AdditiveStatistics(5, 2, 4)
    statistics.update(X, codes, 1)
    before = correlated_table(8, 5, seed=1).reshape(2, 4, 5)
    after = statistics.solve(before, 1)
    np.testing.assert_allclose(after[0, 2:], before[0, 2:], rtol=1e-6)
    np.testing.assert_allclose(after[1, 1:], before[1, 1:], rtol=1e-6)


def test_search_ends_where_no_single_code_helps():
    X, codebooks = (
        correlated_table(130, 9),
        0.5 * correlated_table(4 * 8, 9, seed=1).reshape(4, 8, 9),
    )
    search = _core.AdditiveSearch(codebooks, 1)
    codes = np.zeros((130, 4), np.uint8)
    search.pursue(X, codes, 1)
    pursued = squared_error(X, codes, codebooks)
    error = search.improve(X, 0, 0, 0, codes, 2)
    assert error == pytest.approx(squared_error(X, codes, codebooks), rel=1e-5)
    assert error <= pursued * (1 + 1e-6)
    sums = sum(codebooks[m][codes[:, m]] for m in range(4)).astype(np.float64)
    own = ((X - sums) ** 2).sum(axis=1)
    for m, k in itertools.product(range(4), range(8)):
        other = ((X - sums + codebooks[m][codes[:, m]] - codebooks[m][k]) ** 2).sum(axis=1)
        assert (other >= own - 1e-4).all()


def test_restarts_come_near_the_best_codes():
    X, codebooks = (
        correlated_table(60, 6),
        0.6 * correlated_table(3 * 4, 6, seed=1).reshape(3, 4, 6),
    )
    search = _core.AdditiveSearch(codebooks, 1)
    all_codes = np.array(list(itertools.product(range(4), repeat=3)))
    sums = sum(codebooks[m][all_codes[:, m]] for m in range(3))
    best = ((X[:, None] - sums[None]) ** 2).sum(axis=2).min(axis=1).sum()
    errors = []
    for restarts in (0, 1, 50):
        codes = np.zeros((60, 3), np.uint8)
        errors.append(search.improve(X, 0, restarts, 0, codes, 1))
    assert best * (1 - 1e-6) < errors[2] < errors[1] < errors[0]
    assert errors[2] < 1.05 * best


def test_search_depends_on_row_and_seed_alone():
    X, codebooks = (
        correlated_table(300, 16),
        0.3 * correlated_table(8 * 16, 16, seed=1).reshape(8, 16, 16),
    )
    search = _core.AdditiveSearch(codebooks, 2)

    def improved(threads, seed=0, cut=None):
        codes = np.zeros((300, 8), np.uint8)
        for rows in [slice(0, 300)] if cut is None else [slice(0, cut), slice(cut, 300)]:
            search.improve(X[rows], rows.start, 3, seed, codes[rows], threads)
        return codes

    first = improved(1)
    for other in (improved(2), improved(3), improved(2, cut=77)):
        np.testing.assert_array_equal(first, other)
    assert (first != improved(1, seed=1)).any()
