"""Parquet and Arrow: kinds of lists and numbers, nulls, lengths, and reading by groups."""

import importlib.util
import tracemalloc

import numpy as np
import pytest

import emcomp
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.sources import columns
from tests.helpers.source_files import table

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FLOATS = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}


def write(path, given, groups=3, kind="parquet"):
    given = pa.table(given)
    step = max(len(given) // groups, 1)
    if kind == "parquet":
        pq.write_table(given, path, row_group_size=step)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, given.schema) as writer:
            writer.write_table(given, max_chunksize=step)
    return path


@pytest.fixture(params=["parquet", "arrow"])
def file(request, tmp_path):
    return lambda given, groups=3: write(tmp_path / "x", given, groups, request.param)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["fixed", "list", "large"])
def test_kinds_of_lists_and_numbers(file, dtype, kind):
    X = table(100, 6, dtype)
    lists = {
        "fixed": pa.list_(FLOATS[dtype], 6),
        "list": pa.list_(FLOATS[dtype]),
        "large": pa.large_list(FLOATS[dtype]),
    }
    source = emcomp.open_source(file({"v": pa.array(list(X), lists[kind])}))
    assert (source.shape, source.dtype) == ((100, 6), dtype)
    for first, count in [(0, 100), (30, 10), (99, 1), (32, 40)]:
        rows = source.read(first, count)
        assert rows.dtype == X.dtype
        assert np.array_equal(rows, X[first : first + count])


def rows_but(row, value, count=60, dim=3):
    rows = table(count, dim).tolist()
    rows[row] = value
    return rows


@pytest.mark.parametrize("row", [0, 25, 59])
@pytest.mark.parametrize("fixed", [False, True])
def test_null_rows_and_numbers_are_named(file, row, fixed):
    kind = pa.list_(pa.float32(), 3) if fixed else pa.list_(pa.float32())
    for value, error in [
        (None, f"x: row {row} is null"),
        ([1, None, 2], f"x: row {row}, column 1 is null"),
    ]:
        path = file({"v": pa.array(rows_but(row, value), kind)})
        with pytest.raises(FormatError, match=error):
            emcomp.open_source(path).read(0, 60)


@pytest.mark.parametrize("value", [[], [1.0], [1.0, 2, 3, 4]])
def test_rows_of_another_length_are_named(file, value):
    path = file({"v": pa.array(rows_but(41, value), pa.list_(pa.float32()))})
    source = emcomp.open_source(path)
    assert source.read(0, 20).shape == (20, 3)
    with pytest.raises(
        FormatError, match=f"x: row 41 has {len(value)} numbers, the rows before it 3"
    ):
        source.read(30, 20)
    assert source.read(20, 20).shape == (20, 3)


def test_a_first_row_without_numbers(file):
    path = file({"v": pa.array(rows_but(0, []), pa.list_(pa.float32()))})
    with pytest.raises(FormatError, match="row 0 has no numbers"):
        emcomp.open_source(path)


def test_columns_are_chosen_by_name(file):
    X = table(10, 3)
    vectors = pa.FixedSizeListArray.from_arrays(X.ravel(), 3)
    path = file({"a": vectors, "b": vectors, "n": np.arange(10), "w": list("abcdefghij")})
    with pytest.raises(
        FormatError, match=r"several columns hold lists of numbers; name one .* 'a'"
    ):
        emcomp.open_source(path)
    source = emcomp.open_source(path, column="b")
    assert np.array_equal(source.read(0, 10), X)
    assert source.words() is None
    assert emcomp.open_source(path, column="b", words_column="w").words(3, 2) == ["d", "e"]
    for options, error in [
        ({"column": "c"}, "no column 'c'; the file has 'a' fixed_size_list"),
        ({"column": "n"}, "column 'n' is int64, not lists"),
        ({"column": "a", "words_column": "c"}, "no column 'c'"),
        ({"column": "a", "words_column": "n"}, "column 'n' is int64, not strings"),
        ({"tensor": "a"}, "takes no tensor="),
    ]:
        with pytest.raises(InputError, match=error):
            emcomp.open_source(path, **options)


def test_files_without_vectors(file):
    with pytest.raises(FormatError, match="no column holds lists of numbers"):
        emcomp.open_source(file({"n": np.arange(10)}))
    with pytest.raises(FormatError, match="the file has no rows"):
        emcomp.open_source(file({"v": pa.array([], pa.list_(pa.float32(), 3))}))


@pytest.mark.parametrize("form", ["string", "large_string", "dictionary"])
def test_kinds_of_strings(file, form):
    X, words = table(60, 2), [f"wörd{i % 7}" * (i % 5) for i in range(60)]
    kinds = {
        "string": pa.string(),
        "large_string": pa.large_string(),
        "dictionary": pa.dictionary(pa.int32(), pa.string()),
    }
    path = file(
        {"v": pa.FixedSizeListArray.from_arrays(X.ravel(), 2), "w": pa.array(words, kinds[form])}
    )
    source = emcomp.open_source(path, words_column="w")
    assert source.words() == words
    assert source.words(13, 31) == words[13:44]


def test_a_null_word_is_named(file):
    words = [str(i) for i in range(60)]
    words[44] = None
    vectors = pa.FixedSizeListArray.from_arrays(table(60, 2).ravel(), 2)
    source = emcomp.open_source(file({"v": vectors, "w": words}), words_column="w")
    assert source.words(0, 20) == words[:20]
    with pytest.raises(FormatError, match="row 44 is null"):
        source.words()


def test_empty_row_groups(tmp_path):
    X = table(10, 3)
    vectors = pa.FixedSizeListArray.from_arrays(X.ravel(), 3)
    part = pa.table({"v": vectors})
    with pq.ParquetWriter(tmp_path / "x", part.schema) as writer:
        for rows in (part[:0], part[:4], part[:0], part[4:], part[:0]):
            writer.write_table(rows)
    source = emcomp.open_source(tmp_path / "x")
    assert np.array_equal(source.read(0, 10), X)
    assert np.array_equal(source.read(3, 4), X[3:7])
    assert np.array_equal(source.read(4, 1), X[4:5])


@pytest.mark.parametrize("groups", [1, 40])
def test_reading_a_block_does_not_load_the_file(tmp_path, monkeypatch, groups):
    monkeypatch.setattr(columns, "_BATCH_BYTES", 1 << 18)
    X = table(100_000, 64)
    vectors = pa.FixedSizeListArray.from_arrays(X.ravel(), 64)
    source = emcomp.open_source(
        write(tmp_path / "x", {"v": vectors, "n": np.arange(len(X))}, groups)
    )
    pool = pa.default_memory_pool()
    already, peak = pool.bytes_allocated(), 0
    tracemalloc.start()
    for first in range(0, len(X), 1000):
        source.read(first, 1000)
        peak = max(peak, pool.bytes_allocated() - already)
    peak += tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


def test_damaged_files(tmp_path, file):
    vectors = pa.FixedSizeListArray.from_arrays(table(60, 2).ravel(), 2)
    path = file({"v": vectors})
    data = path.read_bytes()
    path.write_bytes(data[:-9] + b"\xff" + data[-8:])
    with pytest.raises(CorruptFileError, match=rf"^{path}: the file cannot be read"):
        emcomp.open_source(path)
    path.write_bytes(b"FEA1" + data[4:])
    with pytest.raises(FormatError, match="first version of Feather"):
        emcomp.open_source(path)


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path / "x", {"v": pa.FixedSizeListArray.from_arrays(table(6, 2).ravel(), 2)})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'emcomp\[arrow\]'"):
        emcomp.open_source(path)
