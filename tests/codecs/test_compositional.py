from __future__ import annotations

import itertools

import numpy as np
import pytest

import emcomp
from emcomp.codecs.base import parse_codec
from emcomp.codecs.compositional import DeepCompositionalCodes
from emcomp.codecs.compositional_training import train
from emcomp.engine.base import silent
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import ArraySource
from tests.helpers.learned import correlated_table

QUICK = "epochs=2,batch=16,refine=2"


@pytest.mark.parametrize(
    ("rows", "dim", "codewords", "expected"),
    [
        (400_000, 300, (4, 4, 8), (143, 286, 376)),
        (999_994, 300, (8, 4, 8), (98, 294, 390)),
        (400_001, 400, (4, 4, 8), (188, 376, 491)),
    ],
)
def test_codes_for_a_budget_are_those_of_may(rows, dim, codewords, expected):
    for bits, words, codes in zip((1, 2, 4), codewords, expected, strict=True):
        codec = parse_codec(f"dccl:{bits}(codewords={words})")
        assert codec.layout((rows, dim)) == (codes, words)
        entries = 8 * codec.nbytes((rows, dim)) / (rows * dim)
        assert entries == pytest.approx(bits, rel=0.02)
    assert parse_codec("dccl:1").layout((400_000, 300)) == (143, 4)


@pytest.mark.parametrize(
    "text", ["dccl:32x16", "dccl:2", "dccl:1(codewords=8)", "dccl:4x2(preset=published,epochs=3)"]
)
def test_strings_go_there_and_back(text):
    assert str(parse_codec(text)) == text
    assert parse_codec(str(parse_codec(text))) == parse_codec(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dccl", "dccl:codesxcodewords or dccl:bits"),
        ("dccl:1x2x3", "whole numbers"),
        ("dccl:0x4", "codes must be"),
        ("dccl:4x1", "codewords must be"),
        ("dccl:4x512", "codewords must be"),
        ("dccl:4x12", "power of two"),
        ("dccl:9", "bits must be"),
        ("dccl:4x4(preset=best)", "preset must be"),
        ("dccl:4x4(learning_rate=0)", "learning_rate must be"),
        ("dccl:4x4(learning_rate=nan)", "learning_rate must be"),
        ("dccl:4x4(clip_norm=high)", "clip_norm must be"),
        ("dccl:4x4(batch=0)", "batch must be"),
        ("dccl:4x4(epochs=-1)", "epochs must be"),
        ("dccl:4x4(refine=1.5)", "refine must be"),
        ("dccl:4x4(bits=2)", "codes and codewords, or bits"),
    ],
)
def test_bad_settings_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_codec(text)


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="fewer codewords"):
        emcomp.compress(correlated_table(10, 4), "dccl:2x16")
    with pytest.raises(InputError, match="fewer codewords"):
        emcomp.compress(correlated_table(100, 4), "dccl:2x16(sample=8)")
    with pytest.raises(InputError, match="16384 codewords in all"):
        emcomp.compress(correlated_table(500, 4), "dccl:65x256")
    with pytest.raises(InputError, match="single codebook"):
        emcomp.compress(correlated_table(10, 4), "dccl:1")
    X = correlated_table(50, 4)
    X[7, 2] = np.nan
    with pytest.raises(InputError, match="row 7, column 2"):
        emcomp.compress(X, "dccl:2x4")


def test_divergence_is_reported():
    settings = emcomp.parse_codec("dccl:2x4(preset=published,epochs=1)").settings
    with pytest.raises(InputError, match="diverged in step 1: use a lower learning_rate"):
        train(np.float32(1e30) * correlated_table(100, 8), 2, 4, settings, 0, 1, silent)


def decode(found, codes, codewords):
    """Rows from the tensors, bit by bit."""
    width = codewords.bit_length() - 1
    bits = np.unpackbits(found.tensors["codes"], axis=1, bitorder="little")
    assert not bits[:, codes * width :].any()
    groups = bits[:, : codes * width].reshape(len(bits), codes, width).astype(np.int64)
    numbers = (groups << np.arange(width)).sum(axis=2)
    books = found.tensors["codebooks"]
    rows = books[0][numbers[:, 0]]
    for m in range(1, codes):
        rows = rows + books[m][numbers[:, m]]
    return rows


@pytest.mark.parametrize(
    ("dim", "codes", "codewords"),
    [(1, 1, 2), (7, 3, 2), (8, 5, 8), (63, 2, 32), (65, 3, 128), (257, 2, 256), (64, 9, 4)],
)
def test_rows_are_sums_of_codewords(dim, codes, codewords):
    X = correlated_table(300, dim)
    found = emcomp.compress(X, f"dccl:{codes}x{codewords}({QUICK})", threads=2)
    rows = decode(found, codes, codewords)
    np.testing.assert_array_equal(found.decode(), rows)
    ids = np.array([299, 0, 17, 17])
    np.testing.assert_array_equal(found.lookup(ids), rows[ids])
    np.testing.assert_array_equal(found[5], rows[5])
    np.testing.assert_allclose(found.bag(ids, [0, 3])[0], rows[ids[:3]].sum(axis=0), atol=1e-5)
    assert found.nbytes == found.codec.nbytes(X.shape)


def test_similar_rows_are_those_of_the_decoded_table():
    X = correlated_table(200, 12)
    found = emcomp.compress(X, f"dccl:6x8({QUICK})")
    rows = decode(found, 6, 8).astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ids, cosines = _similar(found, X[3])
    expected = unit @ (X[3] / np.linalg.norm(X[3]))
    np.testing.assert_allclose(cosines, np.sort(expected)[::-1][:5], atol=1e-6)
    np.testing.assert_allclose(expected[ids], cosines, atol=1e-6)


def _similar(found, query):
    reader = found.codec.reader(found.shape, found.tensors)
    ids, cosines = reader.similar(query[None], 5, 1)
    return ids[0], cosines[0]


@pytest.mark.parametrize("preset", ["fast", "published"])
def test_threads_do_not_matter_and_seeds_do(preset):
    X = correlated_table(400, 33)
    codec = f"dccl:5x8(preset={preset},epochs=2"
    first, *others = (emcomp.compress(X, codec + ")", threads=t) for t in (1, 2, 3))
    for other in others:
        for name, tensor in first.tensors.items():
            np.testing.assert_array_equal(tensor, other.tensors[name])
    seeded = emcomp.compress(X, codec + ",seed=1)")
    assert (seeded.tensors["codebooks"] != first.tensors["codebooks"]).any()


def test_training_learns_without_refinement():
    centres = correlated_table(16, 20)
    X = np.repeat(centres, 40, axis=0)
    codec = "dccl:4x4(epochs=60,batch=32,learning_rate=0.003,patience=0,refine=0)"
    found = emcomp.compress(X, codec)
    assert ((found.decode() - X) ** 2).sum() < 0.35 * (X**2).sum()
    assert found.info["epochs"] == 60


def test_refinement_never_raises_the_error():
    X = correlated_table(600, 24)
    found = emcomp.compress(X, "dccl:6x8(epochs=3,refine=6)")
    errors = found.info["refined_squared_error"]
    assert len(errors) == 6
    assert all(b <= a * (1 + 1e-5) for a, b in itertools.pairwise(errors))
    final = ((found.decode().astype(np.float64) - X) ** 2).sum()
    assert final <= errors[-1] * (1 + 1e-5)
    plain = emcomp.compress(X, "dccl:6x8(epochs=3,refine=0)")
    assert final < 0.7 * ((plain.decode().astype(np.float64) - X) ** 2).sum()


def test_patience_ends_training():
    found = emcomp.compress(correlated_table(80, 6), "dccl:2x2(epochs=5000,patience=2,refine=0)")
    assert found.info["epochs"] < 5000
    assert found.info["epochs"] == found.info["best_epoch"] + 2


def test_a_sample_teaches_all_rows():
    X = correlated_table(2000, 16)
    found = emcomp.compress(X, f"dccl:8x8(sample=1000,{QUICK})")
    errors = ((found.decode() - X) ** 2).sum(axis=1) / (X**2).sum(axis=1)
    assert np.median(errors) < 0.45
    assert found.codec.nbytes(X.shape) == found.nbytes


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((40, 5), np.float32),
        np.full((40, 5), 3.0, np.float32),
        np.repeat(correlated_table(2, 5), 20, axis=0),
    ],
    ids=["zeros", "constant", "duplicates"],
)
def test_degenerate_tables_come_back(X):
    found = emcomp.compress(X, "dccl:3x4(epochs=1,refine=6)")
    np.testing.assert_allclose(found.decode(), X, atol=2e-2)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_types_and_strides_give_the_same(dtype):
    X = correlated_table(100, 10).astype(np.float16)
    expected = emcomp.compress(X.astype(np.float32), f"dccl:3x8({QUICK})")
    wide = np.zeros((100, 20), dtype)
    wide[:, ::2] = X
    found = emcomp.compress(wide[:, ::2], f"dccl:3x8({QUICK})")
    np.testing.assert_array_equal(found.tensors["codes"], expected.tensors["codes"])


def test_saved_tables_open(tmp_path):
    X = correlated_table(300, 20)
    found = emcomp.compress(X, f"dccl:1({QUICK})")
    found.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    assert str(opened.codec) == f"dccl:1({QUICK})"
    np.testing.assert_array_equal(opened.decode(), found.decode())


def test_tensors_that_do_not_fit_are_refused():
    codec = DeepCompositionalCodes(4, 8)
    tensors = {
        "codes": np.zeros((10, 2), np.uint8),
        "codebooks": np.zeros((4, 8, 6), np.float32),
    }
    assert codec.reader((10, 6), tensors).dim == 6
    for name, bad in [
        ("codes", np.zeros((10, 1), np.uint8)),
        ("codebooks", np.zeros((4, 4, 6), np.float32)),
        ("codebooks", np.zeros((4, 8, 6))),
    ]:
        with pytest.raises(FormatError, match=name):
            codec.reader((10, 6), {**tensors, name: bad})
    with pytest.raises(FormatError, match="missing"):
        codec.reader((10, 6), {"codes": tensors["codes"]})


@pytest.mark.parametrize("phase", ["train", "refine", "encode"])
def test_interruption_leaves_everything_usable(phase):
    X = correlated_table(200, 8)
    calls = []

    def stop(current, done, total):
        calls.append((current, done, total))
        assert 0 <= done <= total
        if current == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emcomp.compress(X, f"dccl:3x4({QUICK})", progress=stop)
    again = emcomp.compress(ArraySource(X), f"dccl:3x4({QUICK})")
    np.testing.assert_array_equal(again.decode(), emcomp.compress(X, f"dccl:3x4({QUICK})").decode())


def test_published_settings_train_on_the_rows_as_they_are():
    """Other settings do not depend on the table's scale."""
    X = correlated_table(300, 10)
    for preset, same in (("fast", True), ("published", False)):
        codec = f"dccl:3x8(preset={preset},epochs=3,refine=0)"
        plain, scaled = (emcomp.compress(c * X, codec).tensors for c in (1, 64))
        assert np.array_equal(plain["codes"], scaled["codes"]) == same
        assert np.array_equal(64 * plain["codebooks"], scaled["codebooks"]) == same
