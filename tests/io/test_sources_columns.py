"""Parquet and Arrow: kinds of lists and numbers, nulls, lengths, and reading by groups."""

import importlib.util
import json
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


# ---- a column for each dimension, words found by themselves, streams and datasets' folders


@pytest.mark.parametrize("names", ["{}", "d{}", "dim_{}"])
@pytest.mark.parametrize("start", [0, 1])
def test_a_column_for_each_dimension(file, names, start):
    X, words = table(90, 12), [f"w{i}" for i in range(90)]
    columns = {names.format(i + start): X[:, i] for i in range(12)}
    path = file({"count": np.arange(90), "word": words, "score": X[:, 0], **columns})
    for read in (emcomp.open_source(path), emcomp.read_vectors(path)):
        assert read.shape == (90, 12)
        assert np.array_equal(read.read(17, 50), X[17:67])
    assert emcomp.open_source(path).words(3, 4) == words[3:7]
    assert emcomp.read_vectors(path).words == words
    given = emcomp.read_vectors(path, words=[f"v{i}" for i in range(90)])
    assert given.words[5] == "v5"


def test_columns_that_are_not_numbered(file):
    with pytest.raises(FormatError, match="columns of numbers are not numbered") as caught:
        emcomp.open_source(file({"x": [0.5, 1.5], "y": [2.5, 3.5], "word": ["a", "b"]}))
    assert "column=" not in str(caught.value)
    many = {f"c{2 * i}": [0.5] for i in range(3000)}
    with pytest.raises(FormatError, match="and so on, 3000 columns"):
        emcomp.open_source(file(many))
    null = pa.array([0.5, None])
    with pytest.raises(FormatError, match="row 1 is null"):
        emcomp.open_source(file({"d0": null, "d1": null}, groups=1)).read(0, 2)


@pytest.mark.parametrize("name", ["word", "token", "__index_level_0__"])
def test_words_are_found_by_the_name_of_their_column(file, name):
    vectors = pa.FixedSizeListArray.from_arrays(table(10, 3).ravel(), 3)
    path = file({"v": vectors, "text": list("jihgfedcba"), name: list("abcdefghij")})
    assert emcomp.open_source(path).words() == list("abcdefghij")
    assert emcomp.open_source(path, words_column="text").words() == list("jihgfedcba")


@pytest.mark.parametrize("wide", [False, True])
def test_arrow_streams(tmp_path, wide):
    X, words = table(60, 4), [f"w{i}" for i in range(60)]
    columns = {"word": words}
    if wide:
        columns |= {f"d{i}": X[:, i] for i in range(4)}
    else:
        columns["v"] = pa.FixedSizeListArray.from_arrays(X.ravel(), 4)
    given = pa.table(columns)
    path = tmp_path / "x"
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, given.schema) as writer:
        writer.write_table(given, max_chunksize=7)
    for first, count in [(0, 60), (13, 1), (30, 30), (5, 20)]:
        source = emcomp.open_source(path)
        assert np.array_equal(source.read(first, count), X[first : first + count])
        assert source.words(first, count) == words[first : first + count]
    assert emcomp.read_vectors(path).words == words
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptFileError, match="cannot be read"):
        emcomp.open_source(path).read(0, 60)


def write_dataset(folder, X, parts, **state):
    folder.mkdir()
    names = []
    for i, rows in enumerate(np.array_split(X, parts)):
        names.append(f"data-{i:05}-of-{parts:05}.arrow")
        given = pa.table({"v": pa.array(list(rows), pa.list_(pa.float32()))})
        path = str(folder / names[-1])
        with pa.OSFile(path, "wb") as out, pa.ipc.new_stream(out, given.schema) as writer:
            writer.write_table(given)
    state = {"_data_files": [{"filename": name} for name in names], **state}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def test_folders_of_datasets(tmp_path):
    X = table(60, 4)
    write_dataset(tmp_path / "a", X, 3)
    assert np.array_equal(emcomp.open_source(tmp_path / "a").read(5, 50), X[5:55])
    assert emcomp.read_vectors(tmp_path / "a").shape == (60, 4)
    write_dataset(tmp_path / "b", X, 1, _indices_data_files=[{"filename": "x"}])
    with pytest.raises(FormatError, match="flatten_indices"):
        emcomp.open_source(tmp_path / "b")
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(InputError, match=r"several splits: name one of \['a', 'b'\]"):
        emcomp.open_source(tmp_path)
    (tmp_path / "a" / "state.json").write_text('{"_data_files": [{"filename": "../x"}]}')
    with pytest.raises(FormatError):
        emcomp.open_source(tmp_path / "a")
