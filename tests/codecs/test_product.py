from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcomp import _core
from emcomp.codecs.base import parse_codec
from emcomp.codecs.product import ProductQuantization
from emcomp.engine.base import Engine
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import Block, as_source
from tests.helpers.learned import compressed, correlated_table, rows_of, unpack


def columns(dim, parts):
    """Columns of each part: as even as can be, the longer ones first."""
    return np.array_split(np.arange(dim), parts)


def nearest(X, codebook, parts):
    """Brute force in float64: distances of every part to every codeword."""
    X, codebook = np.asarray(X, np.float64), np.asarray(codebook, np.float64)
    return np.stack(
        [
            ((X[:, None, part] - codebook[None, :, part]) ** 2).sum(axis=2)
            for part in columns(X.shape[1], parts)
        ],
        axis=1,
    )


def decoded(codes, codebook, parts):
    out = np.empty((len(codes), codebook.shape[1]), np.float32)
    for m, part in enumerate(columns(codebook.shape[1], parts)):
        out[:, part] = codebook[codes[:, m]][:, part]
    return out


def encode(X, codebook, parts, bits, threads=1):
    codes = np.empty((len(X), (parts * bits + 7) // 8), np.uint8)
    _core.encode_product(X, 0, parts, bits, codebook, codes, threads)
    return codes


@pytest.mark.parametrize("bits", range(1, 13))
@pytest.mark.parametrize(("dim", "parts"), [(1, 1), (7, 7), (9, 4), (65, 7), (64, 16), (257, 3)])
def test_codes_are_nearest_codewords(dim, parts, bits):
    rng = np.random.default_rng(bits)
    codebook = rng.standard_normal((2**bits, dim)).astype(np.float32)
    X = rng.standard_normal((67, dim)).astype(np.float32)
    packed = encode(X, codebook, parts, bits)
    codes = unpack(packed, parts, bits)
    D = nearest(X, codebook, parts)
    chosen = np.take_along_axis(D, codes[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(chosen, D.min(axis=2), rtol=0, atol=2e-6 * dim)
    two = np.sort(D, axis=2)[:, :, :2]
    clear = two[:, :, 1] - two[:, :, 0] > 4e-6 * -(-dim // parts)
    assert clear.mean() > 0.6 or bits > 8
    np.testing.assert_array_equal(codes[clear], D.argmin(axis=2)[clear])
    reader = ProductQuantization(parts, bits).reader(
        X.shape, {"codes": packed, "codebook": codebook}
    )
    out = np.empty_like(X)
    reader.read(0, out, 1)
    np.testing.assert_array_equal(out, decoded(codes, codebook, parts))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_codes_come_back(data):
    bits = data.draw(st.integers(1, 12))
    dim = data.draw(st.integers(1, 70))
    parts = data.draw(st.integers(1, dim))
    rows = data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    # Codewords that differ in every column, so that encoding a decoded row gives its codes back.
    codebook = np.repeat(rng.permutation(2**bits).astype(np.float32)[:, None], dim, axis=1)
    codes = rng.integers(2**bits, size=(rows, parts))
    X = decoded(codes, codebook, parts)
    packed = encode(X, codebook, parts, bits)
    np.testing.assert_array_equal(unpack(packed, parts, bits), codes)
    reader = ProductQuantization(parts, bits).reader(
        X.shape, {"codes": packed, "codebook": codebook}
    )
    ids = rng.integers(-rows, rows, size=25)
    out = np.empty((25, dim), np.float32)
    reader.gather(ids, out, 2)
    np.testing.assert_array_equal(out, X[ids])
    np.testing.assert_array_equal(reader.row(rows - 1), X[-1])


@pytest.mark.parametrize("spec", ["pq:5x3", "pq:13x5", "pq:1x8", "pq:40x1"])
def test_bags_and_similar_rows(spec):
    X = correlated_table(300, 40)
    codec = parse_codec(spec)
    tensors = compressed(X, codec)
    Y = rows_of(codec, tensors, X.shape)
    reader = codec.reader(X.shape, tensors)
    rng = np.random.default_rng(0)
    ids = rng.integers(-300, 300, size=57)
    offsets = np.array([0, 20, 20, 21])
    bags = np.split(Y[ids], offsets[1:])
    weights = rng.standard_normal(57).astype(np.float32)
    for mode, reduce in (("sum", np.sum), ("mean", np.mean), ("max", np.max)):
        out = np.empty((4, 40), np.float32)
        reader.bag(ids, offsets, None, mode, out, 2)
        for row, bag in zip(out, bags, strict=True):
            expected = reduce(bag, axis=0) if len(bag) else np.zeros(40)
            np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-5)
    out = np.empty((4, 40), np.float32)
    reader.bag(ids, offsets, weights, "sum", out, 1)
    for row, bag, weight in zip(out, bags, np.split(weights, offsets[1:]), strict=True):
        np.testing.assert_allclose(row, weight @ bag, rtol=1e-4, atol=1e-4)
    queries = X[:3].copy()
    rows, cosines = reader.similar(queries, 5, 2)
    norms = np.linalg.norm(Y, axis=1)
    all_cosines = (queries @ Y.T) / (np.linalg.norm(queries, axis=1)[:, None] * norms[None, :])
    np.testing.assert_allclose(cosines, np.sort(all_cosines, axis=1)[:, ::-1][:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(all_cosines, rows, axis=1), cosines, atol=1e-6)


def test_training_learns_each_part():
    X = correlated_table(3000, 20)
    errors = []
    for bits in (1, 3, 5, 7):
        codec = ProductQuantization(4, bits)
        Y = rows_of(codec, compressed(X, codec), X.shape)
        errors.append(((X - Y) ** 2).sum() / (X**2).sum())
    assert errors == sorted(errors, reverse=True)
    # Zador: a source of dimension 5 loses about a factor 2^(-2/5) for each bit at best.
    assert errors[0] > 0.6
    assert errors[-1] < 0.25


def test_codewords_are_means_of_their_rows():
    X = correlated_table(500, 6)
    codec = ProductQuantization(2, 3, iterations=200)
    tensors = compressed(X, codec)
    codes = unpack(tensors["codes"], 2, 3)
    for m, part in enumerate(columns(6, 2)):
        for c in range(8):
            mean = X[codes[:, m] == c][:, part].astype(np.float64).mean(axis=0)
            np.testing.assert_allclose(tensors["codebook"][c, part], mean, atol=0.02)


def test_same_bytes_for_any_threads():
    X = correlated_table(1500, 37)
    codec = ProductQuantization(5, 6)
    expected = compressed(X, codec)
    for threads in (2, 3):
        found = compressed(X, codec, threads)
        for name, tensor in expected.items():
            np.testing.assert_array_equal(found[name], tensor)
    blockwise = np.empty_like(expected["codes"])
    fitted = codec.fit(as_source(X), Engine(2))
    for first in (0, 700):
        rows = slice(first, first + 800)
        fitted.encode(Block(first, X[rows]), {"codes": blockwise[rows]}, 2)
    np.testing.assert_array_equal(blockwise, expected["codes"])


def test_other_layouts_give_the_same():
    X = correlated_table(400, 21).astype(np.float16).astype(np.float32)
    codec = ProductQuantization(4, 4)
    expected = compressed(X, codec)
    for Y in (X.astype(np.float16), X.astype(">f8"), np.asfortranarray(X), X[::-1].copy()[::-1]):
        found = compressed(Y, codec)
        np.testing.assert_array_equal(found["codes"], expected["codes"])
        np.testing.assert_array_equal(found["codebook"], expected["codebook"])


def test_sample_of_the_rows():
    X = correlated_table(2000, 12)
    small = compressed(X, ProductQuantization(3, 4, sample=100))
    full = compressed(X, ProductQuantization(3, 4))
    assert (small["codebook"] != full["codebook"]).any()
    other = compressed(X, ProductQuantization(3, 4, sample=100, seed=1))
    assert (small["codebook"] != other["codebook"]).any()


def test_constant_and_repeated_rows_are_exact():
    X = np.repeat(np.array([[1.5, -2.0, 3.0, 0.25], [0.0, 1.0, 3.0, 8.0]]), 20, axis=0)
    X = X.astype(np.float32)
    codec = ProductQuantization(3, 3)
    np.testing.assert_array_equal(rows_of(codec, compressed(X, codec), X.shape), X)


def test_nbytes_is_what_is_kept():
    for shape, codec in (
        ((300, 10), ProductQuantization(3, 5)),
        ((64, 7), ProductQuantization(7, 6)),
    ):
        assert codec.nbytes(shape) == sum(
            t.nbytes for t in compressed(correlated_table(*shape), codec).values()
        )


def test_strings_name_the_codec():
    assert str(ProductQuantization(75, 8)) == "pq:75x8"
    codec = ProductQuantization(4, 12, sample=9000, seed=7)
    assert parse_codec(str(codec)) == codec
    for bad in ("pq:4", "pq:4x13", "pq:0x8", "pq:4x8(sample=0)", "pq:4x8(seed=-1)", "pq:4x8(a=1)"):
        with pytest.raises(InputError):
            parse_codec(bad)


def test_what_cannot_be_compressed():
    with pytest.raises(InputError, match="11 parts of a table with 10 columns"):
        ProductQuantization(11, 2).check((100, 10))
    with pytest.raises(InputError, match="256 codewords cannot be learned from 255 rows"):
        ProductQuantization(2, 8).check((255, 10))
    with pytest.raises(InputError, match="from 100 rows"):
        ProductQuantization(2, 8, sample=100).check((1000, 10))
    X = correlated_table(50, 4)
    X[49, 3] = np.nan
    with pytest.raises(InputError, match="row 49, column 3"):
        ProductQuantization(2, 2).fit(as_source(X), Engine(1))
    with pytest.raises(InputError, match="row 49, column 3"):
        encode(X, np.zeros((4, 4), np.float32), 2, 2)


def test_tensors_that_do_not_fit():
    X = correlated_table(60, 6)
    codec = ProductQuantization(3, 4)
    tensors = compressed(X, codec)
    for name, bad in (
        ("codes", tensors["codes"][:, :1]),
        ("codes", tensors["codes"].astype(np.int8)),
        ("codebook", tensors["codebook"][:8]),
        ("codebook", tensors["codebook"].astype(np.float64)),
    ):
        with pytest.raises(FormatError, match=name):
            codec.reader(X.shape, {**tensors, name: bad})
    with pytest.raises(FormatError, match="missing"):
        codec.reader(X.shape, {"codes": tensors["codes"]})
    with pytest.raises(FormatError, match="columns"):
        ProductQuantization(7, 4).reader(X.shape, tensors)


def plain_sums(X, codebook, parts):
    """Sums, counts and squared errors of the rows nearest to each codeword, in float64."""
    D = nearest(X, codebook, parts)
    codes = D.argmin(axis=2)
    sums = np.zeros(codebook.shape)
    counts = np.zeros((parts, len(codebook)), np.int64)
    errors = np.zeros(counts.shape)
    for m, part in enumerate(columns(X.shape[1], parts)):
        for c in range(len(codebook)):
            chosen = codes[:, m] == c
            sums[c, part] = X[chosen][:, part].astype(np.float64).sum(axis=0)
            counts[m, c] = chosen.sum()
            errors[m, c] = D[chosen, m, c].sum()
    return sums, counts, errors


@pytest.mark.parametrize(("dim", "parts"), [(1, 1), (9, 4), (65, 7), (150, 2)])
@pytest.mark.parametrize("threads", [1, 3])
def test_sums_of_a_round(dim, parts, threads):
    X, codebook = correlated_table(700, dim), correlated_table(8, dim, 1)
    sums = _core.ProductSums(codebook, parts, 3)
    sums.update(X.astype(np.float64)[:300], 0, threads)
    sums.update(X[300:], 300, threads)
    expected, counts, errors = plain_sums(X, codebook, parts)
    np.testing.assert_allclose(sums.sums, expected, atol=1e-10)
    np.testing.assert_array_equal(sums.counts, counts)
    np.testing.assert_allclose(sums.errors, errors, rtol=1e-5, atol=1e-5)
    moved = sums.next_codebook()
    for m, part in enumerate(columns(dim, parts)):
        full = counts[m] > 0
        means = expected[full][:, part] / counts[m, full, None]
        np.testing.assert_allclose(moved[full][:, part], means, rtol=1e-6)


def test_sums_of_blocks_merge_to_the_same_bits():
    X, codebook = correlated_table(5000, 37), correlated_table(32, 37, 1)
    edges = (0, 256, 1280, 3333, 5000)
    whole = _core.ProductSums(codebook, 5, 5)
    merged = _core.ProductSums(codebook, 5, 5)
    for threads, (first, last) in enumerate(pairwise(edges), 1):
        whole.update(X[first:last], first, 1)
        own = _core.ProductSums(codebook, 5, 5)
        own.update(np.asfortranarray(X[first:last]), first, threads)
        merged.merge(own)
    for name in ("sums", "counts", "errors"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    np.testing.assert_array_equal(merged.next_codebook(), whole.next_codebook())
    with pytest.raises(TypeError, match="different codebooks"):
        merged.merge(_core.ProductSums(codebook + 1, 5, 5))
    bad = X[:5].copy()
    bad[2, 1] = np.inf
    with pytest.raises(InputError, match="row 12, column 1"):
        merged.update(bad, 10, 1)


def test_codewords_without_rows_move_to_the_farthest_rows():
    X = np.array([[0, 0], [1, 0], [9, 5], [20, 5], [21, 0], [30, 0]], np.float32)
    codebook = np.array([[0, 0], [20, 1], [100, 100], [200, 200]], np.float32)
    sums = _core.ProductSums(codebook, 2, 2)
    for first in (0, 3):
        sums.update(X[first : first + 3], first, 1)
    # Column 0: 9 is nearest to 0, 30 to 20; column 1: 5 is the only value off its codeword.
    expected = [[10 / 3, 0], [71 / 3, 5], [30, 5], [9, 200]]
    np.testing.assert_allclose(sums.next_codebook(), expected, rtol=1e-6)
