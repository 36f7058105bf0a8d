from __future__ import annotations

import numpy as np
import pytest

import emcomp
from emcomp.codecs.base import parse_codec
from emcomp.engine.base import Engine
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import Block, as_source
from emcomp.transforms.optimized_product import OptimizedProductQuantization


def table(rows, dim, seed=0):
    """A power-law spectrum in a random basis, off centre."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0] * np.arange(1, dim + 1) ** -0.7
    return (rng.standard_normal((rows, dim)) @ basis.T + 0.1).astype(np.float32)


def relative_error(X, codec):
    return ((X - emcomp.compress(X, codec, threads=1).decode()) ** 2).sum() / (X**2).sum()


def procrustes_error(X, Y):
    """Least squared error of X R to Y over orthogonal R, from singular values (Schönemann 1966)."""
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    return (X**2).sum() + (Y**2).sum() - 2 * np.linalg.svd(X.T @ Y, compute_uv=False).sum()


@pytest.mark.parametrize("spec", ["4x6", "8x4", "5x5", "1x6", "24x2"])
def test_never_worse_than_plain_and_better_where_columns_depend(spec):
    X = table(3000, 24)
    plain, optimized = (relative_error(X, f"{name}:{spec}") for name in ("pq", "opq"))
    assert optimized < (0.9 if spec in ("4x6", "8x4", "5x5") else 1.001) * plain


def test_rotations_lower_the_error_of_the_first_one():
    X = np.exp(table(3000, 24, 3) * 0.7)  # not Gaussian, so principal axes are not the best ones
    first, learned = (relative_error(X, f"opq:6x5(rotations={count})") for count in (0, 20))
    assert learned < 0.97 * first


def test_rotation_is_orthogonal_and_the_best_for_the_codes():
    X = table(2000, 15)
    codec = OptimizedProductQuantization(4, 4, map_dtype="float32")
    fitted = codec.fit(as_source(X), Engine(1))
    R = fitted.shared_tensors["map"]
    np.testing.assert_allclose(R @ R.T, np.eye(15), atol=1e-6)
    Y = emcomp.compress(X, codec, threads=1).decode()
    error = ((X.astype(np.float64) - Y) ** 2).sum()
    assert procrustes_error(X, Y @ R.T) <= error <= 1.02 * procrustes_error(X, Y @ R.T)


def test_first_rotation_balances_the_parts():
    X = table(20000, 12)
    fitted = OptimizedProductQuantization(4, 4, rotations=0, map_dtype="float32").fit(
        as_source(X), Engine(1)
    )
    rotated = (X - X.mean(axis=0)) @ fitted.shared_tensors["map"].T
    covariance = rotated.T @ rotated / len(X)
    np.testing.assert_allclose(covariance, np.diag(covariance.diagonal()), atol=1e-5)
    products = np.log(covariance.diagonal()).reshape(4, 3).sum(axis=1)
    assert np.ptp(products) < 1.0 < 0.5 * np.ptp(np.log(covariance.diagonal()))


@pytest.mark.parametrize(("dim", "parts"), [(1, 1), (7, 3), (8, 8), (9, 4), (65, 7)])
def test_awkward_dimensions(dim, parts, tmp_path):
    X = table(400, dim)
    codec = f"opq:{parts}x4(rotations=2)"
    compressed = emcomp.compress(X, codec)
    assert compressed.nbytes == parse_codec(codec).nbytes(X.shape)
    Y = compressed.decode()
    compressed.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    np.testing.assert_array_equal(opened.decode(), Y)
    np.testing.assert_allclose(opened[[3, -1]], Y[[3, -1]], rtol=1e-5, atol=1e-6)


def test_rows_are_codewords_rotated_back():
    X = table(300, 10)
    codec = OptimizedProductQuantization(3, 4)
    fitted = codec.fit(as_source(X), Engine(1))
    codes = np.empty((300, codec.row_bytes), np.uint8)
    fitted.encode(Block(0, X), {"codes": codes}, 1)
    nibbles = np.stack([codes & 15, codes >> 4], axis=2).reshape(300, -1)[:, :3]
    codebook = fitted.shared_tensors["codebook"]
    rotated = np.empty((300, 10), np.float32)
    for m, part in enumerate(np.array_split(np.arange(10), 3)):
        rotated[:, part] = codebook[nibbles[:, m]][:, part]
        distances = (X @ fitted.shared_tensors["map"].T.astype(np.float32))[:, None, part]
        distances = ((distances - codebook[None, :, part]) ** 2).sum(axis=2)
        chosen = np.take_along_axis(distances, nibbles[:, m : m + 1].astype(int), axis=1)[:, 0]
        # The stored rotation is rounded to float16.
        np.testing.assert_allclose(np.sqrt(chosen), np.sqrt(distances.min(axis=1)), atol=3e-3)
    out = np.empty_like(X)
    codec.reader(X.shape, {"codes": codes, **fitted.shared_tensors}).read(0, out, 1)
    expected = rotated @ fitted.shared_tensors["map"].astype(np.float64)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_same_bytes_for_any_threads_and_a_seed():
    X = table(1500, 37)
    expected = emcomp.compress(X, "opq:5x5(rotations=3)", threads=1).tensors
    for threads in (2, 3):
        found = emcomp.compress(X, "opq:5x5(rotations=3)", threads=threads).tensors
        for name, tensor in expected.items():
            np.testing.assert_array_equal(found[name], tensor)
    other = emcomp.compress(X, "opq:5x5(rotations=3,seed=1)").tensors
    assert (other["codebook"] != expected["codebook"]).any()


def test_rank_deficient_constant_and_sampled_rows():
    X = table(500, 4) @ np.random.default_rng(0).standard_normal((4, 20)).astype(np.float32)
    assert relative_error(X, "opq:4x6") < relative_error(X, "pq:4x6")
    np.testing.assert_allclose(
        emcomp.compress(np.ones((40, 6), np.float32), "opq:3x3").decode(), 1.0, atol=2e-3
    )
    assert (emcomp.compress(np.zeros((40, 6), np.float32), "opq:3x3").decode() == 0.0).all()
    X = table(3000, 16)
    assert relative_error(X, "opq:4x5(sample=1000)") < relative_error(X, "pq:4x5")


def test_strings_and_errors():
    codec = OptimizedProductQuantization(4, 6, rotations=3, map_dtype="float32", seed=7)
    assert str(codec) == "opq:4x6(seed=7,rotations=3,map_dtype=float32)"
    assert parse_codec(str(codec)) == codec
    assert OptimizedProductQuantization.candidates((1000, 64)) == ["opq:4x8", "opq:8x8", "opq:16x8"]
    for bad in ("opq:4", "opq:4x13", "opq:4x8(rotations=-1)", "opq:4x8(map_dtype=float64)"):
        with pytest.raises(InputError):
            parse_codec(bad)
    with pytest.raises(InputError, match="codec opq:11x2: 11 parts of a table with 10 columns"):
        codec = OptimizedProductQuantization(11, 2).check((100, 10))
    X = table(60, 6)
    X[49, 3] = np.nan
    with pytest.raises(InputError, match="row 49, column 3"):
        OptimizedProductQuantization(2, 2).fit(as_source(X), Engine(1))


def test_tensors_that_do_not_fit():
    X = table(60, 6)
    codec = OptimizedProductQuantization(3, 4)
    tensors = emcomp.compress(X, codec).tensors
    for name, bad in (
        ("map", tensors["map"][:5]),
        ("map", tensors["map"].astype(np.float64)),
        ("codebook", tensors["codebook"][:8]),
    ):
        with pytest.raises(FormatError, match=name):
            codec.reader(X.shape, {**tensors, name: bad})
    with pytest.raises(FormatError, match="'map' is missing"):
        codec.reader(X.shape, {n: t for n, t in tensors.items() if n != "map"})


def test_no_worse_than_faiss():
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    X = table(2000, 24)
    rotation = faiss.OPQMatrix(24, 4)
    rotation.train(X)
    theirs = faiss.ProductQuantizer(24, 4, 5)
    Z = rotation.apply(X)
    theirs.train(Z)
    error = ((Z - theirs.decode(theirs.compute_codes(Z))) ** 2).sum() / (X**2).sum()
    assert relative_error(X, "opq:4x5") <= 1.005 * error
