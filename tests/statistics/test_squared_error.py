import math

import ml_dtypes
import numpy as np
import pytest

import emcomp
from emcomp import _core
from emcomp.errors import InputError
from emcomp.statistics.squared_error import relative_squared_error


def oracle(X, approximation):
    X, approximation = X.astype(np.longdouble), approximation.astype(np.longdouble)
    return float(((X - approximation) ** 2).sum() / (X**2).sum())


@pytest.mark.parametrize("dim", [1, 7, 8, 9, 63, 257])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "bfloat16"])
def test_agrees_with_numpy(dim, dtype):
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    X = np.random.default_rng(dim).standard_normal((531, dim)).astype(kind)
    table = emcomp.compress(X, "uniform:3")
    assert relative_squared_error(X, table) == pytest.approx(oracle(X, table.decode()), rel=1e-12)


def test_float64_is_not_rounded_first():
    X = np.full((300, 5), 1 + 2.0**-40)
    assert relative_squared_error(X, np.ones((300, 5))) == pytest.approx(2.0**-80, rel=1e-9)


def test_threads_and_the_size_of_updates_do_not_matter():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 33)).astype(np.float32)
    Y = X + rng.standard_normal(X.shape).astype(np.float32) * np.float32(0.1)
    whole = {relative_squared_error(X, Y, threads=threads) for threads in (1, 2, 3)}
    sums = _core.SquaredError()
    for first in range(0, 5000, 512):
        sums.update(X[first : first + 512], Y[first : first + 512], 2)
    assert whole == {sums.error / sums.total}


def test_merging_is_adding_the_rows_that_follow():
    X = np.arange(6.0).reshape(3, 2)
    first, second = _core.SquaredError(), _core.SquaredError()
    first.update(X[:2], X[:2] + 1, 1)
    second.update(X[2:], X[2:] + 2, 1)
    first.merge(second)
    assert (first.error, first.total) == (4 + 8, 55)


def test_a_table_of_zeros():
    zeros = np.zeros((4, 3), np.float32)
    assert relative_squared_error(zeros, zeros) == 0.0
    assert relative_squared_error(zeros, zeros + 1) == math.inf


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"\(4, 3\) and \(4, 2\)"):
        relative_squared_error(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(TypeError, match="different shapes"):
        _core.SquaredError().update(np.zeros((4, 3)), np.zeros((3, 3)), 1)
