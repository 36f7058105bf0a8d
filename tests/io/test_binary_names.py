"""Names with spaces in word2vec's binary format, against the rows that were written."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import CorruptFileError, FormatError
from emcomp.io.sources import windows
from tests.helpers.source_files import binary_of, table

NAMES = ["New York", "San Francisco Bay", "big the", "Windows 2000", "AA AAAA", "x y z w", "é è"]


def names(rows, every=3):
    return [f"{NAMES[i % 7]} {i}" if i % every == 0 else f"word{i}" for i in range(rows)]


def same(path, X, words):
    read = emcomp.read_vectors(path)
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors.view(np.uint32), X.view(np.uint32))
    source = pickle.loads(pickle.dumps(emcomp.open_source(path)))
    assert np.array_equal(source.read(0, len(X)).view(np.uint32), X.view(np.uint32))
    assert source.words().tolist() == words
    for first in (1, len(X) // 2, len(X) - 1):
        assert source.words(first, 1).tolist() == words[first : first + 1]
        assert np.array_equal(source.read(first, 1), X[first : first + 1])


@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.parametrize("dim", [8, 9, 50, 300])
@pytest.mark.parametrize("every", [1, 3, 40])
def test_names_with_spaces_are_read_right(tmp_path, monkeypatch, newline, dim, every):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 4096)
    X, words = table(200, dim), names(200, every)
    path = tmp_path / "vectors.bin"
    path.write_bytes(binary_of(words, X, newline))
    same(path, X, words)
    part = emcomp.read_vectors(path, limit=7)
    assert (part.words.tolist(), part.shape) == (words[:7], (7, dim))


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(
        st.lists(st.text("abzAZ059éλ-", min_size=1, max_size=9), min_size=1, max_size=4).map(
            " ".join
        ),
        min_size=2,
        max_size=30,
        unique=True,
    ),
    dim=st.integers(16, 40),
    newline=st.sampled_from([b"", b"\n"]),
    seed=st.integers(0, 1000),
)
def test_the_truth_or_an_error(tmp_path_factory, words, dim, newline, seed):
    X = table(len(words), dim, seed=seed)
    path = tmp_path_factory.mktemp("binary") / "vectors.bin"
    path.write_bytes(binary_of(words, X, newline))
    try:
        read = emcomp.read_vectors(path)
    except FormatError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert re.search(r"vector \d+ .* byte \d+", message)
        return
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors, X)


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_a_name_that_cannot_be_told_is_an_error_with_row_and_byte(tmp_path, newline):
    X = table(20, 30)
    rows = [f"w{i}".encode() for i in range(20)]
    rows[7] = b"S\xe3o Paulo"  # Latin-1
    parts = [w + b" " + x.tobytes() + newline for w, x in zip(rows, X, strict=True)]
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"20 30\n" + b"".join(parts))
    at = 6 + sum(map(len, parts[:7]))
    for read in (emcomp.read_vectors, emcomp.open_source):
        with pytest.raises(FormatError, match=rf"vector 7 .*begins at byte {at}\b"):
            read(path)


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_odd_words_and_odd_numbers_are_read(tmp_path, newline):
    """Latin-1 words, and numbers that no embedding has, but not both at once."""
    X = table(50, 12)
    words = [b"caf\xe9%d" % i for i in range(50)]
    path = tmp_path / "vectors.bin"
    path.write_bytes(
        b"50 12\n"
        + b"".join(w + b" " + x.tobytes() + newline for w, x in zip(words, X, strict=True))
    )
    same(path, X, [w.decode("utf-8", "surrogateescape") for w in words])
    X[::2] *= np.float32(1e30)
    X[1::2] *= np.float32(1e-30)
    X[3, 4] = np.inf
    words = [f"w{i}" for i in range(50)]
    path.write_bytes(binary_of(words, X, newline))
    same(path, X, words)


def test_a_newline_after_some_vectors_only_is_an_error(tmp_path):
    X = table(90, 20)
    rows = [b"w%d " % i + x.tobytes() + (b"" if i == 80 else b"\n") for i, x in enumerate(X)]
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"90 20\n" + b"".join(rows))
    with pytest.raises(FormatError, match=r"vector 80 .*: no newline follows"):
        emcomp.read_vectors(path)
    path.write_bytes(b"90 20\n" + b"".join(row.rstrip(b"\n") for row in rows)[:-3])
    with pytest.raises(CorruptFileError, match=r"inside vector 89"):
        emcomp.read_vectors(path)
