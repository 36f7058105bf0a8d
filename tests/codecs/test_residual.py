from __future__ import annotations

import numpy as np
import pytest

from emcomp import _core
from emcomp.codecs.base import parse_codec
from emcomp.codecs.residual import ResidualQuantization
from emcomp.engine.base import Engine
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import as_source
from tests.helpers.learned import compressed, correlated_table, rows_of, unpack


def decoded(codes, codebooks):
    out = np.zeros((len(codes), codebooks.shape[2]), np.float32)
    for m, codebook in enumerate(codebooks):
        out = codebook[codes[:, m]] if m == 0 else out + codebook[codes[:, m]]
    return out


def beam_search(x, codebooks, beam):
    """The errors of the best codings of one row, by plain search in float64."""
    paths = [(float((x**2).sum()), x)]
    for codebook in codebooks:
        longer = [
            (float(((rest - word) ** 2).sum()), rest - word)
            for _, rest in paths
            for word in codebook
        ]
        paths = sorted(longer, key=lambda path: path[0])[:beam]
    return [error for error, _ in paths]


def encode(X, codebooks, bits, beam, threads=1):
    stages = len(codebooks)
    codes = np.empty((len(X), (stages * bits + 7) // 8), np.uint8)
    _core.ResidualEncoder(codebooks, bits, beam, threads).encode(X, 0, codes, threads)
    return codes


@pytest.mark.parametrize("beam", [1, 2, 5, 40])
@pytest.mark.parametrize(("dim", "stages", "bits"), [(1, 3, 2), (9, 4, 3), (65, 2, 5), (64, 5, 1)])
def test_beam_search_equals_a_plain_one(dim, stages, bits, beam):
    rng = np.random.default_rng(dim)
    scales = 0.6 ** np.arange(stages)[:, None, None]
    codebooks = (rng.standard_normal((stages, 2**bits, dim)) * scales).astype(np.float32)
    X = rng.standard_normal((37, dim)).astype(np.float32)
    codes = unpack(encode(X, codebooks, bits, beam), stages, bits)
    errors = ((X.astype(np.float64) - decoded(codes, codebooks)) ** 2).sum(axis=1)
    expected = [beam_search(x, codebooks.astype(np.float64), beam)[0] for x in X.astype(np.float64)]
    np.testing.assert_allclose(errors, expected, rtol=1e-4, atol=1e-5)


def test_codings_without_tables_of_products():
    # 7 stages of 4096 codewords would need 21 tables of 64 MiB.
    rng = np.random.default_rng(0)
    codebooks = rng.standard_normal((7, 4096, 3)).astype(np.float32) * 0.5
    X = rng.standard_normal((9, 3)).astype(np.float32) * 3
    codes = unpack(encode(X, codebooks, 12, 3, threads=2), 7, 12)
    errors = ((X.astype(np.float64) - decoded(codes, codebooks)) ** 2).sum(axis=1)
    rest = X.astype(np.float64)[:, None]  # the three best codings of each row, by plain search
    for codebook in codebooks.astype(np.float64):
        longer = (rest[:, :, None] - codebook).reshape(len(X), -1, 3)
        best = (longer**2).sum(axis=2).argsort(axis=1)[:, :3]
        rest = np.take_along_axis(longer, best[:, :, None], axis=1)
    np.testing.assert_allclose(errors, (rest[:, 0] ** 2).sum(axis=1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("bits", [1, 3, 8, 12])
@pytest.mark.parametrize(("dim", "stages"), [(1, 1), (63, 3), (64, 4), (130, 5)])
def test_rows_are_sums_of_codewords(dim, stages, bits):
    rng = np.random.default_rng(bits)
    codebooks = rng.standard_normal((stages, 2**bits, dim)).astype(np.float32)
    X = rng.standard_normal((30, dim)).astype(np.float32)
    packed = encode(X, codebooks, bits, 2)
    expected = decoded(unpack(packed, stages, bits), codebooks)
    tensors = {"codes": packed, "codebooks": codebooks}
    reader = ResidualQuantization(stages, bits).reader(X.shape, tensors)
    out = np.empty_like(X)
    reader.read(0, out, 1)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(reader.row(-1), expected[-1])


def test_each_stage_and_a_wider_beam_lower_the_error():
    X = correlated_table(3000, 24)

    def error(codec):
        return ((X - rows_of(codec, compressed(X, codec), X.shape)) ** 2).sum() / (X**2).sum()

    stages = [error(ResidualQuantization(m, 4)) for m in (1, 2, 4, 8)]
    assert stages == sorted(stages, reverse=True)
    assert stages[-1] < 0.35
    assert error(ResidualQuantization(8, 4, beam=8)) < error(ResidualQuantization(8, 4, beam=1))


def test_first_codebook_is_k_means():
    from emcomp.codecs.row_kmeans import kmeans

    X = correlated_table(1000, 8)
    tensors = compressed(X, ResidualQuantization(2, 4, iterations=50, refine=0))
    assert kmeans(X, 16, iterations=50).inertia == pytest.approx(
        (((X[:, None] - tensors["codebooks"][0]) ** 2).sum(axis=2)).min(axis=1).sum(), rel=1e-3
    )


def test_same_bytes_for_any_threads():
    X = correlated_table(1500, 37)
    codec = ResidualQuantization(3, 5)
    expected = compressed(X, codec)
    for threads in (2, 3):
        found = compressed(X, codec, threads)
        for name, tensor in expected.items():
            np.testing.assert_array_equal(found[name], tensor)


def test_constant_and_repeated_rows_are_exact():
    X = np.repeat(np.array([[1.5, -2.0, 3.0], [0.0, 1.0, 8.0]], np.float32), 20, axis=0)
    codec = ResidualQuantization(3, 2)
    np.testing.assert_allclose(rows_of(codec, compressed(X, codec), X.shape), X, atol=1e-6)


def test_nbytes_and_strings():
    codec = ResidualQuantization(3, 5, beam=2)
    assert str(codec) == "rq:3x5(beam=2)"
    assert parse_codec(str(codec)) == codec
    tensors = compressed(correlated_table(300, 10), codec)
    assert codec.nbytes((300, 10)) == sum(t.nbytes for t in tensors.values())
    for bad in ("rq:0x4", "rq:2x13", "rq:2x4(beam=0)", "rq:2x4(iterations=0)"):
        with pytest.raises(InputError):
            parse_codec(bad)


def test_what_cannot_be_compressed():
    with pytest.raises(InputError, match="256 codewords cannot be learned from 255 rows"):
        ResidualQuantization(2, 8).check((255, 10))
    X = correlated_table(50, 4)
    X[49, 3] = np.inf
    with pytest.raises(InputError, match="row 49, column 3"):
        ResidualQuantization(2, 2).fit(as_source(X), Engine(1))
    with pytest.raises(InputError, match="row 49, column 3"):
        encode(X, np.zeros((2, 4, 4), np.float32), 2, 1)


def test_tensors_that_do_not_fit():
    X = correlated_table(60, 6)
    codec = ResidualQuantization(3, 4)
    tensors = compressed(X, codec)
    for name, bad in (
        ("codes", tensors["codes"][:, :1]),
        ("codebooks", tensors["codebooks"][:2]),
        ("codebooks", tensors["codebooks"].astype(np.float64)),
    ):
        with pytest.raises(FormatError, match=name):
            codec.reader(X.shape, {**tensors, name: bad})
    with pytest.raises(FormatError, match="missing"):
        codec.reader(X.shape, {"codes": tensors["codes"]})


def test_refining_lowers_the_error_and_keeps_the_best():
    X = correlated_table(2000, 24)
    errors = []
    for refine in (0, 1, 4):
        codec = ResidualQuantization(6, 4, refine=refine)
        out = rows_of(codec, compressed(X, codec), X.shape)
        errors.append(((X - out) ** 2).sum())
    assert errors[0] > 1.01 * errors[1] > 1.01 * errors[2]
