"""Text and word2vec binary in windows, against reading the whole file."""

import gzip
import pickle
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.sources import windows
from tests.helpers.source_files import binary_of, fasttext_of, table, text_of, words_for

several_examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return path

    return write


def same_as_whole(path, **options):
    whole = emcomp.read_vectors(path, **options)
    source = emcomp.open_source(path, **options)
    assert source.shape == whole.shape
    rows = source.read(0, len(whole))
    assert np.array_equal(rows.view(np.uint32), whole.vectors.view(np.uint32))
    assert source.words() == whole.words
    middle = len(whole) // 2
    assert np.array_equal(source.read(middle, 1), whole.vectors[middle : middle + 1])
    assert source.words(middle, 1) == [whole.words[middle]]


@several_examples
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    dim=st.integers(1, 5),
    window=st.integers(70, 400),
    newline=st.sampled_from([b"\n", b"\r\n", b" \n"]),
    end=st.sampled_from([b"", b"\n", b"\n\n \r\n"]),
    form=st.sampled_from(["glove", "word2vec", "gzip"]),
)
def test_text_in_windows_of_any_size(tmp_path, lengths, dim, window, newline, end, form):
    words = [f"{i}_" + "w" * length for i, length in enumerate(lengths)]
    text = text_of(words, table(len(words), dim).round(3), header=form == "word2vec")
    text = newline.join(text.splitlines()) + end
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(text) if form == "gzip" else text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_BYTES", window + 40 * dim)
        same_as_whole(path, format="word2vec" if form == "word2vec" else "glove")


@several_examples
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    dim=st.integers(1, 5),
    window=st.integers(50, 400),
    newline=st.sampled_from([b"", b"\n"]),
)
def test_binary_in_windows_of_any_size(tmp_path, lengths, dim, window, newline):
    words = [f"{i}_" + "w" * length for i, length in enumerate(lengths)]
    path = tmp_path / "binary"
    path.write_bytes(binary_of(words, table(len(words), dim), newline))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_BYTES", window)
        same_as_whole(path, format="word2vec-binary")


def test_vectors_that_look_like_words_in_binary(tmp_path):
    """Numbers whose bytes are spaces and newlines, at every place in a window."""
    X = np.frombuffer(b" \n \n" * 300, "<f4").reshape(100, 3)
    path = tmp_path / "binary"
    path.write_bytes(binary_of(words_for(100), X, b"\n"))
    same_as_whole(path, format="word2vec-binary")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_ragged_line_is_named_when_it_is_read(file, monkeypatch, compressed):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 200)
    lines = text_of(words_for(100), table(100, 4), header=True).splitlines(keepends=True)
    lines[61] = b"word 1 2 3\n"
    text = b"".join(lines)
    path = file(gzip.compress(text) if compressed else text)
    source = emcomp.open_source(path)
    if not compressed:  # its windows are larger than this text
        assert source.read(0, 60).shape == (60, 4)
    for read in (lambda: source.read(55, 10), source.words):
        with pytest.raises(
            FormatError, match=rf"^{path}: line 62, column 1: expected a word and 4"
        ):
            read()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_last_line_cut_short_is_found_when_opened(file, compressed):
    text = text_of(words_for(100), table(100, 4))[:-30]
    path = file(gzip.compress(text) if compressed else text)
    with pytest.raises(FormatError, match=rf"^{path}: line 100, column "):
        emcomp.open_source(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("promised", [99, 101])
def test_a_header_that_promises_other_rows(file, compressed, promised):
    text = b"%d 4\n" % promised + text_of(words_for(100), table(100, 4))
    path = file(gzip.compress(text) if compressed else text)
    with pytest.raises(FormatError, match=f"the header promises {promised} vectors of 4 numbers"):
        emcomp.open_source(path)


def test_lines_longer_than_a_window(file, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 100)
    path = file(b"a 1 2\n" * 30 + b"b" * 300 + b" 1 2\n")
    assert emcomp.open_source(path).shape == (31, 2)
    monkeypatch.setattr(windows, "LINE_BYTES", 100)
    with pytest.raises(FormatError, match=r"vectors: byte 180: a line is longer than 100 bytes"):
        emcomp.open_source(path)


def test_binary_that_ends_early_names_the_vector(file):
    data = binary_of(words_for(100), table(100, 4), b"")
    path = file(data[:-1])
    with pytest.raises(CorruptFileError, match=r"inside vector 99 \(counted from 0\)"):
        emcomp.open_source(path)
    path = file(data + b"rest")
    with pytest.raises(FormatError, match="4 more bytes follow"):
        emcomp.open_source(path)
    path = file(b"1000000000000 300\n" + data)
    with pytest.raises(CorruptFileError, match="promises 1000000000000 vectors of 300 numbers"):
        emcomp.open_source(path, format="word2vec-binary")


def test_threads_do_not_change_what_is_read(file):
    X = table(5000, 9)
    path = file(text_of(words_for(5000), X))
    for threads in (1, 2, 3):
        source = emcomp.open_source(path, threads=threads)
        assert np.array_equal(pickle.loads(pickle.dumps(source)).read(1234, 3000), X[1234:4234])


def test_a_fasttext_model_with_ngrams(file):
    """Word vectors are means over rows far apart; here the buckets hold what words do not."""
    words, X = words_for(40), table(90, 6)
    parts = [struct.pack("<2i12id", 793712314, 12, 6, 5, 5, 1, 5, 1, 2, 2, 50, 2, 4, 100, 1e-4)]
    parts.append(struct.pack("<3i2q", 40, 40, 0, 1000, -1))
    parts += [word.encode() + b"\0" + struct.pack("<qb", 7, 0) for word in words]
    parts.append(struct.pack("<B2q", 0, 90, 6) + X.tobytes() + b"output")
    same_as_whole(file(b"".join(parts)))


def test_fasttext_files_that_cannot_be_streamed(file):
    path = file(fasttext_of([], table(0, 4)))
    with pytest.raises(FormatError, match="the model has no words"):
        emcomp.open_source(path)
    pytest.importorskip("fsspec")
    path = file(fasttext_of(words_for(3), table(3, 4)))
    with pytest.raises(InputError, match="download it"):
        emcomp.open_source(f"file://{path}")
