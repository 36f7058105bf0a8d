"""Compressing: codec strings, inputs of every kind, progress, and what is refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import emcomp
from emcomp.codecs import Uniform
from emcomp.io.reading import words_of
from emcomp.io.sources.base import block_rows


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((40, 12)).astype(np.float32)


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        (Uniform(4), "uniform:4"),
        (Uniform(2, "row"), "uniform:2(granularity=row)"),
        (Uniform(3, 64, 1.5), "uniform:3(granularity=64,clip=1.5)"),
        (Uniform(8, clip="quantile:0.999"), "uniform:8(clip=quantile:0.999)"),
        (Uniform(1, rounding="stochastic", seed=7), "uniform:1(rounding=stochastic,seed=7)"),
        (Uniform(5, "column", step_dtype="float16"),
         "uniform:5(granularity=column,step_dtype=float16)"),
    ],
)  # fmt: skip
def test_a_codec_and_its_string_are_the_same(codec, text):
    assert str(codec) == text
    assert emcomp.parse_codec(text) == codec
    assert emcomp.parse_codec(codec) is codec


@pytest.mark.parametrize(
    "text",
    ["", "uniform", "uniform:", "uniform:x", "uniform:4x4", "uniform:4.0", "uniform:-4", "nothing:4",
     "uniform:4(", "uniform:4(rows)", "uniform:4(bits=3)", "uniform:4(size=3)", "uniform:9",
     "uniform:4(seed=1,seed=2)", "uniform:4 (seed=1)", None, 4],
)  # fmt: skip
def test_strings_that_name_no_codec_are_refused(text):
    with pytest.raises(emcomp.InputError):
        emcomp.parse_codec(text)


def test_inputs_of_every_kind_give_the_same_table(tmp_path, X):
    half = X.astype(np.float16)
    codes = emcomp.compress(half).tensors["codes"]
    path = tmp_path / "x.npy"
    np.save(path, half)
    read_only = half.copy()
    read_only.flags.writeable = False
    for same in (
        half.astype(np.float32), half.astype(np.float64), half.astype(">f2"),
        np.asfortranarray(half), half.tolist(), read_only, np.load(path, mmap_mode="r"),
        path, str(path), emcomp.WordVectors(half), memoryview(half.astype(np.float32)),
    ):  # fmt: skip
        np.testing.assert_array_equal(emcomp.compress(same).tensors["codes"], codes)


def test_bfloat16_as_a_type_and_as_bits(X):
    typed = X.astype(ml_dtypes.bfloat16)
    expected = emcomp.compress(typed.astype(np.float32)).tensors["codes"]
    np.testing.assert_array_equal(emcomp.compress(typed).tensors["codes"], expected)
    bits = typed.view(np.uint16)
    np.testing.assert_array_equal(
        emcomp.compress(bits, dtype="bfloat16").tensors["codes"], expected
    )
    with pytest.raises(emcomp.InputError, match="bfloat16"):
        emcomp.compress(bits)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3), np.zeros((2, 2, 2)), np.zeros((2, 2), int),
     np.zeros((2, 2), complex), [["a", "b"]], 3.0, None],
)  # fmt: skip
def test_tables_that_are_none_are_refused(bad):
    with pytest.raises(emcomp.InputError):
        emcomp.compress(bad)


def test_one_row_and_one_column():
    for shape in ((1, 1), (1, 300), (300, 1)):
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        assert np.abs(emcomp.compress(x, "uniform:8").decode() - x).max() < 0.05


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_must_be_a_positive_number(threads, X):
    with pytest.raises(emcomp.InputError, match="threads"):
        emcomp.compress(X, threads=threads)


def test_threads_from_the_environment(monkeypatch, X):
    monkeypatch.setenv("EMCOMP_NUM_THREADS", "3")
    assert emcomp.show_config("dict")["threads"] == 3
    monkeypatch.setenv("EMCOMP_NUM_THREADS", "many")
    with pytest.raises(emcomp.InputError, match="EMCOMP_NUM_THREADS"):
        emcomp.compress(X)


def test_a_source_is_read_block_by_block():
    class Counting:
        shape = (2 * block_rows(4096) + 5, 4096)
        largest = 0

        def read(self, first, count):
            self.largest = max(self.largest, count)
            return np.full((count, 4096), 1 + first % 3, np.float16)

    source, calls = Counting(), []
    table = emcomp.compress(source, progress=lambda *call: calls.append(call))
    assert source.largest == block_rows(4096)
    assert table.shape == source.shape
    assert {phase for phase, _, _ in calls} == {"fit", "encode"}
    assert calls[-1] == ("encode", source.shape[0], source.shape[0])


def test_progress_can_stop_the_work(X):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emcomp.compress(X, progress=stop)


def test_nonfinite_entries_beyond_the_first_block():
    rows = block_rows(4096) + 10

    class Poisoned:
        shape = (rows, 4096)

        def read(self, first, count):
            block = np.zeros((count, 4096), np.float16)
            if first <= rows - 1 < first + count:
                block[rows - 1 - first, 17] = np.nan
            return block

    with pytest.raises(emcomp.InputError, match=f"row {rows - 1}, column 17"):
        emcomp.compress(Poisoned())


def test_the_file_of_a_path_must_be_there(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        emcomp.compress(tmp_path / "nothing.txt")


def test_keyed_vectors_bring_their_words():
    class KeyedVectors:  # as gensim's: NumPy would take it for a sequence of rows
        index_to_key = ("b", "a", "c")
        vectors = np.eye(3, 5, dtype=np.float32)

        def __len__(self):
            return 3

        def __getitem__(self, key):
            raise AssertionError("rows were read one by one")

    table = emcomp.compress(KeyedVectors(), "uniform:8")
    assert list(table.words) == ["b", "a", "c"]
    np.testing.assert_array_equal(
        table.decode(), emcomp.compress(KeyedVectors.vectors, "uniform:8").decode()
    )
    assert list(emcomp.compress(KeyedVectors(), words=["x", "y", "z"]).words) == ["x", "y", "z"]
    assert emcomp.measures.frobenius_error(KeyedVectors(), table) < 0.1
    KeyedVectors.index_to_key = ("b", 7, "c")
    with pytest.raises(emcomp.InputError, match="key 1 is 7, of type int"):
        emcomp.compress(KeyedVectors())


def test_a_compressed_table_keeps_its_words(tmp_path):
    table = emcomp.compress(np.eye(3, 5), "uniform:8", words=["b", "a", "c"])
    again = emcomp.compress(table, "float:32")
    assert list(again.words) == ["b", "a", "c"]
    np.testing.assert_array_equal(again.decode(), table.decode())
    emcomp.write_vectors(tmp_path / "v.txt", table)
    assert list(emcomp.read_vectors(tmp_path / "v.txt").words) == ["b", "a", "c"]
    columns = np.rec.array(np.eye(3), dtype=[("words", float), ("b", float), ("c", float)])
    assert words_of(columns) is None
