"""What every kind of source owes: the same rows in any blocks, small handles, no stale files."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import emcomp
from emcomp.errors import EmcompError, InputError
from emcomp.io.formats import text as vector_text
from emcomp.io.sources import columns, windows
from emcomp.io.sources.base import ArraySource, Source, as_source, blocks
from tests.helpers.source_files import (
    COLUMN_KINDS,
    KINDS,
    MATRIX_KINDS,
    WORD_KINDS,
    data_file,
    table,
    words_for,
    write_kind,
)

READ_ELSEWHERE = """
import pickle, sys
source = pickle.load(sys.stdin.buffer)
words = source.words(2, 3) if hasattr(source, "words") else None
rows = source.read(1, 4).tobytes()
sys.stdout.buffer.write(pickle.dumps((source.shape, rows, words and words.tolist())))
"""


def elsewhere(source):
    """Shape, rows [1, 5) and words [2, 5), read by another process from the pickled handle."""
    result = subprocess.run(
        [sys.executable, "-c", READ_ELSEWHERE],
        input=pickle.dumps(source),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return pickle.loads(result.stdout)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 7, 8, 9, 63, 64, 65, 257])
def test_rows_and_words_of_any_range(tmp_path, monkeypatch, kind, dim):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 300 + 70 * dim)  # a few rows of text
    X, words = table(101, dim), words_for(101)
    path, options = write_kind(tmp_path, kind, X)
    if kind == "glove" and dim == 1:
        options = {"format": "glove"}
    source = emcomp.open_source(path, **options)
    assert isinstance(source, Source)
    assert (source.shape, source.dtype, len(source)) == ((101, dim), "float32", 101)
    for first, count in [(0, 101), (0, 1), (100, 1), (33, 34), (20, 50), (90, 11), (3, 1), (50, 0)]:
        rows = source.read(first, count)
        assert rows.shape == (count, dim)
        assert np.array_equal(rows, X[first : first + count])
    assert source.has_words == (kind not in MATRIX_KINDS)
    if source.has_words:
        assert source.words() == words
        assert source.words(7, 60) == words[7:67]
        assert source.words(50, 0) == []
        assert source.words(100) == words[100:]
    else:
        assert source.words() is None
    assert np.array_equal(np.concatenate([block.rows for block in blocks(source)]), X)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_not_there(tmp_path, kind):
    path, options = write_kind(tmp_path, kind, table(9, 3))
    source = emcomp.open_source(path, **options)
    for first, count in [(0, 10), (-1, 2), (9, 1), (3, -1)]:
        with pytest.raises(InputError, match="there are no rows"):
            source.read(first, count)


@pytest.mark.parametrize("kind", KINDS)
def test_handles_are_small_and_open_in_another_process(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 1 << 14)
    X = table(2000, 16)
    path, options = write_kind(tmp_path, kind, X)
    source = emcomp.open_source(path, **options)
    source.read(500, 3)
    handle = pickle.dumps(source)
    assert len(handle) < 10_000  # the rows have 128,000 bytes
    shape, rows, words = elsewhere(source)
    assert shape == (2000, 16)
    numbers = source.read(1, 4).dtype
    assert np.array_equal(np.frombuffer(rows, numbers).reshape(4, 16), X[1:5])
    assert words == (words_for(5)[2:] if source.has_words else None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrowed_handle_reads_the_same_rows(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 700)
    X, words = table(2000, 8), words_for(2000)
    path, options = write_kind(tmp_path, kind, X)
    source = emcomp.open_source(path, **options)
    for first, count in [(0, 2000), (0, 1), (777, 300), (1999, 1), (1000, 0)]:
        narrow = pickle.loads(pickle.dumps(source.narrowed(first, count)))
        assert np.array_equal(narrow.read(first, count), X[first : first + count])
        assert np.array_equal(narrow.narrowed(first, count).read(first, min(count, 1)),
                              X[first : first + min(count, 1)])  # fmt: skip
        if source.has_words:
            assert narrow.words(first, count) == words[first : first + count]
    if kind == "glove":  # of the others, this file is a single window
        small, whole = (len(pickle.dumps(s)) for s in (source.narrowed(777, 10), source))
        assert small < 1500
        assert whole > 3 * small
        for first, count in [(776, 2), (780, 8), (0, 1), (1999, 1)]:
            with pytest.raises(InputError, match="this handle does not have rows"):
                source.narrowed(777, 10).read(first, count)
    with pytest.raises(InputError, match="there are no rows 1999 to 2001"):
        source.narrowed(1999, 2)


def rewrite(path):
    """Other content of the same length, later."""
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["content", "longer", "shorter"])
def test_a_file_that_changes_between_passes_is_refused(tmp_path, kind, change):
    path, options = write_kind(tmp_path, kind, table(50, 4))
    source = emcomp.open_source(path, **options)
    source.read(0, 50)
    handle = pickle.dumps(source)
    changed = data_file(path)
    if change == "content":
        rewrite(changed)
    else:
        data = changed.read_bytes()
        changed.write_bytes(data + b"x" if change == "longer" else data[:-1])
    for stale in (source, pickle.loads(handle)):
        with pytest.raises(InputError, match="has changed since it was opened"):
            stale.read(0, 10)
        if stale.has_words:
            with pytest.raises(InputError, match="has changed since it was opened"):
                stale.words()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_gone(tmp_path, kind):
    path, options = write_kind(tmp_path, kind, table(50, 4))
    source = emcomp.open_source(path, **options)
    data_file(path).unlink()
    with pytest.raises(FileNotFoundError):
        source.read(0, 10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 5, 100])
def test_truncated_files_are_found_when_opened(tmp_path, kind, cut):
    path, options = write_kind(tmp_path, kind, table(50, 4))
    file = data_file(path)
    # A fastText model is followed by its output matrix, which nobody reads.
    cut += 6 * (kind == "fasttext")
    # A text that ends inside a number, or without its last newline, cannot be told from a whole one.
    cut += 30 * (kind in ("glove", "word2vec"))
    cut += kind == "binary-newlines"
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(EmcompError, match=rf"^{file}: "):
        emcomp.open_source(path, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_files(tmp_path, kind):
    path, options = write_kind(tmp_path, kind, table(5, 4))
    path.write_bytes(b"")
    with pytest.raises(EmcompError, match=rf"^{path}: the file is empty"):
        emcomp.open_source(path, **options)


@pytest.mark.parametrize("kind", ["gzip", *COLUMN_KINDS])
def test_many_threads_share_a_sequential_source(tmp_path, kind):
    from concurrent.futures import ThreadPoolExecutor

    X = table(3000, 8)
    path, options = write_kind(tmp_path, kind, X)
    source = emcomp.open_source(path, **options)
    firsts = [int(i * 7919 % 2990) for i in range(60)]
    with ThreadPoolExecutor(4) as pool:
        for first, rows in zip(firsts, pool.map(lambda f: source.read(f, 10), firsts), strict=True):
            assert np.array_equal(rows, X[first : first + 10])


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("npz", "sharded")])
def test_compress_evaluate_and_select_take_paths(tmp_path, kind):
    X = table(300, 8)
    path, options = write_kind(tmp_path, kind, X)
    table_of_array = emcomp.compress(X, "uniform:4", words=words_for(300))
    source = emcomp.open_source(path, **options)
    compressed = emcomp.compress(source, "uniform:4")
    assert np.array_equal(compressed.decode(0, 300), table_of_array.decode(0, 300))
    assert (compressed.words is not None) == source.has_words
    if source.has_words:
        assert list(compressed.words) == words_for(300)
    assert emcomp.evaluate(source, compressed)["table"] == emcomp.evaluate(X, compressed)["table"]


def test_kinds_are_complete():
    assert set(KINDS) == {*WORD_KINDS, *MATRIX_KINDS, *COLUMN_KINDS}


# ---- arrays


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_memory_map_pickles_as_its_place(tmp_path, order):
    X = np.asarray(table(5000, 16), order=order)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for view in (mapped, mapped[100:200], mapped[::-3, 1:], mapped.view(np.ndarray)[7:50]):
        source = as_source(view)
        assert len(pickle.dumps(source)) < 1000
        again = pickle.loads(pickle.dumps(source))
        assert np.array_equal(again.read(0, len(view)), view)
        assert again.shape == view.shape
        again = pickle.loads(pickle.dumps(again))
        assert np.array_equal(again.read(3, 5), view[3:8])
    assert np.array_equal(np.frombuffer(elsewhere(ArraySource(mapped))[1], "<f4"), X[1:5].ravel())


def test_a_changed_file_is_not_mapped_again(tmp_path):
    np.save(tmp_path / "x.npy", table(50, 16))
    handle = pickle.dumps(ArraySource(np.load(tmp_path / "x.npy", mmap_mode="r")))
    rewrite(tmp_path / "x.npy")
    with pytest.raises(InputError, match=r"x\.npy: the file has changed"):
        pickle.loads(handle)


def test_arrays_that_differ_from_their_file_pickle_with_their_rows(tmp_path):
    np.save(tmp_path / "x.npy", table(50, 16))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[0] = 7
    for array in (private, private * 2, table(50, 16)):
        assert np.array_equal(pickle.loads(pickle.dumps(ArraySource(array))).array, array)


def test_written_maps_are_flushed_before_they_travel(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, shape=(20, 3))
    mapped[:] = table(20, 3)
    again = pickle.loads(pickle.dumps(ArraySource(mapped)))
    assert np.array_equal(again.array, mapped)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("kind", ["gzip", *COLUMN_KINDS])
def test_a_forked_child_reads_for_itself(tmp_path, monkeypatch, kind):
    """An open file is shared with the parent, also the place where it is read."""
    monkeypatch.setattr(vector_text, "WINDOW_BYTES", 1 << 14)
    monkeypatch.setattr(columns, "_BATCH_BYTES", 1 << 12)
    X = table(3000, 8)
    path, options = write_kind(tmp_path, kind, X)
    source = emcomp.open_source(path, **options, **({"threads": 1} if kind == "gzip" else {}))
    assert np.array_equal(source.read(0, 500), X[:500])
    child = os.fork()
    if child == 0:
        good = np.array_equal(source.read(500, 2000), X[500:2500])
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(source.read(500, 2500), X[500:])
