"""Tables in very large and very small units: the same codes, or an error that names the cause."""

from __future__ import annotations

import numpy as np
import pytest

import emcomp

CODECS = [
    "uniform:3",
    "uniform:2(granularity=row)",
    "kmeans:3",
    "allocate:2.5",
    "pq:4x4",
    "opq:4x4",
    "rq:3x4",
]


def table(unit=1.0):
    rows = np.random.default_rng(0).standard_normal((400, 12)).astype(np.float32)
    return rows * np.float32(unit)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("power", [-100, -45, -20, 20, 45, 100, 124])
def test_a_power_of_two_changes_no_code(codec, power):
    expected = emcomp.compress(table(), codec)
    found = emcomp.compress(table(2.0**power), codec)
    for name, tensor in expected.tensors.items():
        if tensor.dtype == np.uint8:
            assert np.array_equal(found.tensors[name], tensor)
    assert np.array_equal(found.decode(), np.ldexp(expected.decode(), power))


@pytest.mark.parametrize("codec", ["pq:4x4", "rq:3x4"])
def test_rows_that_are_appended_are_encoded_in_the_same_unit(codec, tmp_path):
    emcomp.compress(table(2.0**80), codec, out=tmp_path / "t", shard_rows=200)
    emcomp.append(tmp_path / "t", table(2.0**80))
    expected = emcomp.compress(table(), codec).decode()
    assert np.array_equal(emcomp.open(tmp_path / "t").decode(400, 400), np.ldexp(expected, 80))


def test_rows_that_would_decode_to_infinity_are_refused(tmp_path):
    X = np.full((300, 8), 3.4e38, np.float32) * np.where(np.arange(8) % 2, 1, -1).astype(np.float32)
    with pytest.raises(emcomp.InputError, match=r"uniform:1.*overflows float32"):
        emcomp.compress(X, "uniform:1")
    with pytest.raises(emcomp.InputError, match="overflows float32"):
        emcomp.compress(X, "uniform:1", out=tmp_path / "t")
    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(emcomp.compress(X, "float:32").decode(), X)


@pytest.mark.parametrize(
    ("codec", "unit"),
    [
        ("dccl:4x4(epochs=1)", 1e20),
        ("dccl:4x4(epochs=1)", 1e-20),
        ("autoencoder:4(epochs=1)", 1e20),
        ("autoencoder:4(epochs=1)", 1e-20),
        ("svd:4", 8e37),
        ("whiten+kmeans:3", 8e37),
    ],
)
def test_the_range_that_a_codec_needs_is_named_before_the_work(codec, unit):
    with pytest.raises(emcomp.InputError, match=r"largest entry is between .* multiply the table"):
        emcomp.compress(table(unit), codec)


def test_numbers_that_float16_loses_are_refused():
    with pytest.raises(emcomp.InputError, match="smaller than any number of float16"):
        emcomp.compress(table(1e-20), "float:16")
    assert not emcomp.compress(np.zeros((3, 2), np.float32), "float:16").decode().any()
