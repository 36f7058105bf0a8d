"""Folders, globs, URLs, functions and Dask arrays as sources."""

import pickle

import numpy as np
import pytest

import emcomp
from emcomp.errors import EmcompError, FormatError, InputError
from emcomp.io.sources.base import as_source, blocks
from tests.helpers.source_files import KINDS, MATRIX_KINDS, table, words_for, write_kind

# ---- folders and globs


def write_parts(folder, kind, X, sizes):
    folder.mkdir(exist_ok=True)
    options, words, first = {}, words_for(len(X)), 0
    for i, size in enumerate(sizes):
        path, options = write_kind(
            folder, kind, X[first : first + size], words[first : first + size]
        )
        path.rename(folder / f"part-{i:03}")
        first += size
    return options


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "sharded"])
def test_folders_and_globs_are_one_table(tmp_path, kind):
    X = table(60, 5)
    options = write_parts(tmp_path / "parts", kind, X, [20, 1, 30, 9])
    (tmp_path / "parts" / "_SUCCESS").touch()
    (tmp_path / "parts" / ".hidden").touch()
    for path in (tmp_path / "parts", f"{tmp_path}/parts/part-*"):
        source = emcomp.open_source(path, **options)
        assert source.shape == (60, 5)
        for first, count in [(0, 60), (19, 3), (20, 1), (21, 39), (59, 1), (21, 0)]:
            assert np.array_equal(source.read(first, count), X[first : first + count])
        again = pickle.loads(pickle.dumps(source))
        assert np.array_equal(again.read(10, 45), X[10:55])
        for first, count in [(0, 5), (19, 3), (20, 1), (21, 39), (50, 10), (30, 0)]:
            narrow = pickle.loads(pickle.dumps(source.narrowed(first, count)))
            assert np.array_equal(narrow.read(first, count), X[first : first + count])
            if source.has_words:
                assert narrow.words(first, count) == words_for(60)[first : first + count]
        with pytest.raises(InputError, match="this handle does not have rows 18 to 20"):
            source.narrowed(20, 5).read(18, 2)
        if kind in MATRIX_KINDS:
            assert source.words() is None
        else:
            assert source.words() == words_for(60)
            assert again.words(19, 30) == words_for(60)[19:49]


def test_bfloat16_and_big_endian_parts(tmp_path):
    X = np.arange(60, dtype=np.uint16).reshape(20, 3)
    X[:8].tofile(tmp_path / "a")
    X[8:].tofile(tmp_path / "b")
    source = emcomp.open_source(tmp_path, dtype="bfloat16", shape=(None, 3))
    assert source.dtype == "bfloat16"
    assert np.array_equal(source.read(5, 10), X[5:15])
    np.save(tmp_path / "a", table(8, 3))
    np.save(tmp_path / "b", table(8, 3).astype(">f4"))
    assert np.array_equal(emcomp.open_source(f"{tmp_path}/*.npy").read(6, 4)[2:], table(8, 3)[:2])


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (table(5, 4), r"b\.npy: its dimension is 4, that of .*a\.npy is 3"),
        (table(5, 3, np.float16), r"b\.npy: its type is float16, that of .*a\.npy is float32"),
    ],
)
def test_files_of_one_table_must_agree(tmp_path, other, error):
    np.save(tmp_path / "a.npy", table(5, 3))
    np.save(tmp_path / "b.npy", other)
    with pytest.raises(InputError, match=error):
        emcomp.open_source(tmp_path)


def test_folders_with_something_else(tmp_path):
    with pytest.raises(InputError, match="no files there"):
        emcomp.open_source(tmp_path)
    with pytest.raises(InputError, match="no files there"):
        emcomp.open_source(f"{tmp_path}/*.npy")
    with pytest.raises(FileNotFoundError):
        emcomp.open_source(tmp_path / "nothing.npy")
    np.save(tmp_path / "a.npy", table(5, 3))
    (tmp_path / "readme").write_text("words")
    with pytest.raises(FormatError, match="readme: not a vector file of a known format"):
        emcomp.open_source(tmp_path)
    (tmp_path / "readme").unlink()
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"holds the folder .*/b, which is not read"):
        emcomp.open_source(tmp_path)
    with pytest.raises(InputError, match="files of a folder have rows of their own"):
        emcomp.open_source(f"{tmp_path}/*.npy", dtype="float32", shape=(5, 3))


def test_a_changed_part_is_named(tmp_path):
    write_parts(tmp_path, "npy", table(60, 5), [20, 20, 20])
    source = emcomp.open_source(tmp_path)
    with (tmp_path / "part-001").open("ab") as file:
        file.write(b"x")
    assert source.read(0, 20).shape == (20, 5)
    with pytest.raises(InputError, match="part-001: the file has changed"):
        source.read(10, 20)


# ---- URLs


@pytest.fixture
def memory():
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "fasttext"])
@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_urls(tmp_path, memory, kind, protocol):
    X = table(60, 5)
    path, options = write_kind(tmp_path, kind, X)
    url = f"{protocol}://{path}"
    if protocol == "memory":
        for file in tmp_path.iterdir():
            memory.pipe(str(file), file.read_bytes())
    source = emcomp.open_source(url, **options)
    for first, count in [(0, 60), (59, 1), (17, 20), (17, 0)]:
        assert np.array_equal(source.read(first, count), X[first : first + count])
    if source.has_words:
        assert source.words(3, 4) == words_for(7)[3:]
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(20, 20), X[20:40])


def test_remote_folders_and_globs(tmp_path, memory):
    X = table(60, 5)
    write_parts(tmp_path, "npy", X, [20, 40])
    for file in tmp_path.iterdir():
        memory.pipe(f"/folder/{file.name}", file.read_bytes())
    for url in ("memory://folder", "memory://folder/part-*"):
        assert np.array_equal(emcomp.open_source(url).read(10, 45), X[10:55])
    table_of_url = emcomp.compress("memory://folder", "uniform:4")
    assert np.array_equal(table_of_url.decode(0, 60), emcomp.compress(X, "uniform:4").decode(0, 60))
    assert emcomp.eos("memory://folder", table_of_url) == emcomp.eos(X, table_of_url)
    with pytest.raises(InputError, match="no files there"):
        emcomp.open_source("memory://folder/*.npy")


@pytest.mark.parametrize("kind", ["npy", "glove", "parquet"])
def test_a_remote_file_that_changes_is_refused(tmp_path, memory, kind):
    path, options = write_kind(tmp_path, kind, table(60, 5))
    memory.pipe("/x", path.read_bytes())
    source = emcomp.open_source("memory://x", **options)
    source.read(0, 60)
    memory.pipe("/x", path.read_bytes())
    with pytest.raises(InputError, match="memory://x: the file has changed"):
        source.read(0, 60)


def test_urls_that_cannot_be_opened(memory):
    with pytest.raises(FileNotFoundError):
        emcomp.open_source("memory://nothing")
    with pytest.raises(InputError, match=r"nonsense://x: .*emcomp\[remote\]"):
        emcomp.open_source("nonsense://x")


# ---- functions


def count_up():
    for i in range(4):
        yield np.full((100, 8), i, np.float32)


class Recorder:
    """Yields blocks and counts how often it was asked to."""

    def __init__(self, parts):
        self.parts = parts
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return iter(self.parts)


def test_a_function_is_called_for_each_pass():
    X = table(500, 8)
    make = Recorder(np.split(X, [1, 90, 90, 333]))
    source = emcomp.open_source(make, shape=(500, 8))
    assert (source.shape, source.dtype, make.calls) == ((500, 8), "float32", 1)
    for turn in range(3):
        for first in range(0, 500, 125):
            assert np.array_equal(source.read(first, 125), X[first : first + 125])
        assert make.calls == 2 + turn
    assert np.array_equal(
        emcomp.compress(source, "uniform:4").decode(0, 500),
        emcomp.compress(X, "uniform:4").decode(0, 500),
    )
    again = pickle.loads(pickle.dumps(emcomp.open_source(count_up, shape=(400, 8))))
    assert again.read(250, 2)[:, 0].tolist() == [2, 2]


@pytest.mark.parametrize("dtype", [np.float16, ">f4", np.float64, np.uint16])
def test_types_of_functions(dtype):
    X = table(50, 3).astype(np.float32)
    X = (X * 100).astype(dtype)
    given = "bfloat16" if dtype == np.uint16 else None
    source = emcomp.open_source(lambda: [X[:7], X[7:]], shape=(50, 3), dtype=given)
    assert source.dtype == (given or X.dtype.name)
    assert np.array_equal(source.read(3, 40), X[3:43])


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([table(10, 3)], "the rows end after 10, and 20 were promised"),
        ([table(10, 3), table(11, 3)], "more rows than the 20 that were promised"),
        ([table(20, 3), table(1, 3)], "more rows than the 20 that were promised"),
        (
            [table(10, 3), table(10, 4)],
            r"block at row 10 has shape \(10, 4\), expected \(rows, 3\)",
        ),
        ([table(10, 3), table(10, 3)[0]], r"block at row 10 has shape \(3,\)"),
        ([table(10, 3), table(10, 3, np.float16)], "row 10 holds float16, the first one float32"),
        ([table(10, 3), np.zeros((10, 3), int)], "not int64"),
    ],
)
def test_functions_that_break_their_promise(parts, error):
    source = emcomp.open_source(lambda: parts, shape=(20, 3))
    for _ in range(2):
        with pytest.raises(InputError, match=error):
            for _ in blocks(source):
                pass


def test_arguments_that_are_no_function():
    for factory, shape, error in [
        (iter([table(10, 3)]), (10, 3), "expected a function .* cannot be read again"),
        (list, (10, 3), "there are no rows, and 10 were promised"),
        (lambda: [table(10, 3)], (10, 4), r"has shape \(10, 3\), expected \(rows, 4\)"),
        (lambda: [table(10, 3)], (0, 3), "at least one row"),
        (lambda: [np.zeros((1, 3), np.uint16)], (1, 3), "need dtype='bfloat16'"),
    ]:
        with pytest.raises(InputError, match=error):
            emcomp.open_source(factory, shape=shape)


def test_errors_of_the_function_come_through():
    def broken():
        yield table(10, 3)
        raise OSError("the disk is gone")

    source = emcomp.open_source(broken, shape=(20, 3))
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            source.read(0, 20)
    assert source.read(0, 5).shape == (5, 3)


def test_what_is_no_source():
    for X in ("a path", 7, None):
        with pytest.raises(EmcompError):
            as_source(X)


# ---- the command line


def run(*arguments):
    from click.testing import CliRunner

    from emcomp.cli import program

    return CliRunner().invoke(program, [str(argument) for argument in arguments])


def test_the_command_line_takes_what_only_streams(tmp_path, memory):
    X, out = table(60, 5), tmp_path / "out.emcomp"
    write_parts(tmp_path / "parts", "npy", X, [20, 40])
    memory.pipe("/x.npy", (tmp_path / "parts" / "part-000").read_bytes())
    whole = emcomp.compress(X, "uniform:4").decode(0, 60)
    for given in (tmp_path / "parts", f"{tmp_path}/parts/part-*"):
        assert run("compress", given, out).exit_code == 0
        assert np.array_equal(emcomp.open(out).decode(0, 60), whole)
        assert run("evaluate", given, out, "-m", "eos").exit_code == 0
    assert run("compress", "memory://x.npy", out).exit_code == 0
    assert emcomp.open(out).shape == (20, 5)
    shards = tmp_path / "shards"
    emcomp.compress(X, "uniform:4", out=shards, shard_rows=30)
    assert run("evaluate", tmp_path / "parts", shards, "-m", "eos").exit_code == 0
    assert emcomp.eos(tmp_path / "parts", shards) == emcomp.eos(X, emcomp.open(shards))
    assert run("compress", tmp_path / "parts", out, "--duplicates", "first").exit_code == 0


def test_words_on_the_command_line(tmp_path):
    X, out = table(60, 5), tmp_path / "out.emcomp"
    path, _ = write_kind(tmp_path, "parquet", X)
    assert run("compress", path, out, "--words-column", "word", "--limit", 41).exit_code == 0
    assert list(emcomp.open(out).words) == words_for(41)
    emcomp.write_vectors(tmp_path / "x.npy", X, format="npy")
    (tmp_path / "words").write_text("\n".join(words_for(60)))
    assert run("compress", path, out, "--words", tmp_path / "words").exit_code == 0
    assert list(emcomp.open(out).words) == words_for(60)
    both = run("compress", path, out, "--words", tmp_path / "words", "--words-column", "word")
    assert both.exit_code == 3
    assert run("compress", tmp_path / "x.npy", out, "--column", "vector").exit_code == 3
    (tmp_path / "words").write_text("one")
    assert run("compress", path, out, "--words", tmp_path / "words").exit_code == 3
