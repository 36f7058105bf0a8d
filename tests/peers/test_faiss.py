"""Product and residual quantization: errors no larger than those of faiss."""

from __future__ import annotations

import numpy as np
import pytest

import emcomp
from tests.helpers.learned import correlated_table

faiss = pytest.importorskip("faiss")


@pytest.fixture(autouse=True)
def one_thread():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


def power_law(rows, dim):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0] * np.arange(1, dim + 1) ** -0.7
    return (rng.standard_normal((rows, dim)) @ basis.T + 0.1).astype(np.float32)


def our_error(X, codec):
    return ((X - emcomp.compress(X, codec).decode()) ** 2).sum()


def their_error(X, quantizer):
    quantizer.train(X)
    return ((X - quantizer.decode(quantizer.compute_codes(X))) ** 2).sum()


def test_product_quantization():
    X = correlated_table(4000, 24)
    assert our_error(X, "pq:6x6") <= 1.01 * their_error(X, faiss.ProductQuantizer(24, 6, 6))


def test_optimized_product_quantization():
    X = power_law(2000, 24)
    rotation = faiss.OPQMatrix(24, 4)
    rotation.train(X)
    theirs = their_error(rotation.apply(X), faiss.ProductQuantizer(24, 4, 5))
    assert our_error(X, "opq:4x5") <= 1.005 * theirs


def test_residual_quantization():
    X = correlated_table(3000, 24)
    theirs = faiss.ResidualQuantizer(24, 6, 5)
    theirs.max_beam_size = 5
    assert our_error(X, "rq:6x5(beam=5)") <= 1.02 * their_error(X, theirs)
