"""Bags of rows: sums, means and maxima straight from the packed codes."""

from __future__ import annotations

import numpy as np
import pytest

import emcomp
from emcomp.codecs import Uniform


@pytest.fixture(scope="module")
def table():
    X = np.random.default_rng(0).standard_normal((300, 37)).astype(np.float32)
    return emcomp.compress(X, "uniform:3")


@pytest.fixture(scope="module")
def rows(table):
    return table.decode()


def bag_oracle(rows, ids, offsets, mode, weights):
    out = np.zeros((len(offsets), rows.shape[1]), np.float32)
    ends = [*offsets[1:], len(ids)]
    for b, (first, last) in enumerate(zip(offsets, ends, strict=True)):
        total = None
        for position in range(first, last):
            row = rows[ids[position]]
            if weights is not None:
                row = row * weights[position]
            if total is None:
                total = row.copy() if mode == "max" else np.float32(0) + row
            else:
                total = np.maximum(total, row) if mode == "max" else total + row
        if total is not None:
            out[b] = total / np.float32(last - first) if mode == "mean" else total
    return out


@pytest.mark.parametrize("mode", ["sum", "mean", "max", "weighted"])
@pytest.mark.parametrize("dim", [1, 7, 16, 64, 65, 300])
@pytest.mark.parametrize("granularity", ["matrix", "row", "column", 5])
def test_bags_add_rows_in_order(mode, dim, granularity):
    if granularity == 5 and dim < 5:
        granularity = 1
    rng = np.random.default_rng(dim)
    X = rng.standard_normal((50, dim)).astype(np.float32)
    sizes = [0, 1, 3, 20, 0, 100, 33, 32]
    offsets = np.cumsum([0, *sizes[:-1]])
    ids = rng.integers(-50, 50, sum(sizes))
    weights = rng.standard_normal(len(ids)).astype(np.float32) if mode == "weighted" else None
    mode = "sum" if mode == "weighted" else mode
    table = emcomp.compress(X, Uniform(4, granularity))
    expected = bag_oracle(table.decode(), ids, offsets, mode, weights)
    for core_threads in (1, 2, 3):
        found = table.bag(ids, offsets, mode=mode, weights=weights, threads=core_threads)
        np.testing.assert_array_equal(found, expected)
    out = np.empty_like(expected)
    assert table.bag(ids, offsets, mode=mode, weights=weights, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_bags_of_equal_size(table, rows):
    ids = np.random.default_rng(0).integers(0, 300, (6, 9))
    np.testing.assert_allclose(table.bag(ids), rows[ids].sum(axis=1), rtol=1e-5, atol=1e-5)
    weights = np.full(ids.shape, 2.0)
    np.testing.assert_allclose(table.bag(ids, weights=weights), 2 * table.bag(ids), rtol=1e-6)
    assert table.bag([], []).shape == (0, 37)
    assert (table.bag([], [0, 0]) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([1, 2, 3],), emcomp.InputError),
        (([[1, 2]], [0]), emcomp.InputError),
        (([1, 2], [1]), emcomp.InputError),
        (([1, 2], []), emcomp.InputError),
        (([1, 2, 3], [0, 2, 1]), IndexError),
        (([1, 2, 3], [0, 4]), IndexError),
    ],
)
def test_bags_that_make_no_sense_are_refused(table, arguments, error):
    with pytest.raises(error):
        table.bag(*arguments)


def test_bag_modes_and_weights_are_checked(table):
    with pytest.raises(emcomp.InputError, match="mode"):
        table.bag([1], [0], mode="min")
    with pytest.raises(emcomp.InputError, match="sum"):
        table.bag([1], [0], mode="mean", weights=[1.0])
    with pytest.raises(emcomp.InputError, match="shape"):
        table.bag([1, 2], [0], weights=[1.0])
