"""Reading text and word2vec binary, against plain Python."""

import gzip
import zlib
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emcomp import _core
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats import text as vector_text
from emcomp.io.formats.recognition import VectorFormat
from emcomp.io.reading import WordVectors, read_vectors
from emcomp.io.writing import write_vectors, write_words
from emcomp.vocabulary.word_list import WordList

AWKWARD_DIMS = [1, 2, 7, 8, 9, 63, 64, 65, 257]


@pytest.fixture
def file(tmp_path):
    """Writes bytes to a file and returns its path."""

    def write(content):
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return path

    return write


def table(rows, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def glove_text(words, vectors):
    return b"".join(
        word.encode("utf-8", "surrogateescape") + b" " + " ".join(map(repr, row)).encode() + b"\n"
        for word, row in zip(words, vectors.tolist(), strict=True)
    )


def same(read, vectors, words):
    assert read.vectors.dtype == np.float32
    assert np.array_equal(read.vectors.view(np.uint32), np.asarray(vectors).view(np.uint32))
    assert read.words.tolist() == list(words)


@pytest.mark.parametrize("dim", AWKWARD_DIMS)
@pytest.mark.parametrize("header", [False, True])
def test_text_of_any_dimension(file, dim, header):
    vectors, words = table(5, dim), ["the", "of", "ünï", "\udcff", "a"]
    head = b"5 %d\n" % dim if header else b""
    same(read_vectors(file(head + glove_text(words, vectors))), vectors, words)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("window", [1 << 11, 1 << 20])
@pytest.mark.parametrize("compressed", [False, True])
def test_text_of_many_chunks_and_windows(file, monkeypatch, threads, window, compressed):
    monkeypatch.setattr(vector_text, "WINDOW_BYTES", window)
    vectors, words = table(9000, 9), [f"word{i}" + " x" * (i % 5 == 4) for i in range(9000)]
    text = glove_text(words, vectors)
    path = file(gzip.compress(text, 1) if compressed else text)
    same(read_vectors(path, threads=threads), vectors, words)
    for limit in (1, 17, 8999, 9000, 9001):
        part = read_vectors(path, threads=threads, limit=limit)
        same(part, vectors[:limit], words[:limit])


def test_every_split_of_chunks_counts_each_line_once():
    line = b"ab 1\n"
    for size in range(1, 12):
        text = (line * 200_000)[: (1 << 18) * 2 + size]
        expected = text.count(b"\n") + (not text.endswith(b"\n"))
        assert _core.count_lines(np.frombuffer(text, np.uint8), 2) == expected


def test_line_ends_spaces_and_tabs(file):
    text = b"a 1 2\r\nb\t3\t4 \t\r\nc  5 \t 6\n . . . 7 8\n\xc2\xa0 9 1e1\n \r\n\n\n"
    read = read_vectors(file(text), format="glove")
    same(
        read,
        np.float32([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]),
        ["a", "b", "c", ". . .", "\xa0"],
    )
    same(read_vectors(file(b"a 1 2\nb 3 4")), np.float32([[1, 2], [3, 4]]), ["a", "b"])


def test_words_with_spaces_in_the_first_line(file):
    read = read_vectors(file(b"at name@domain.com 1 2\nb 3 4\nc 5 6\n"))
    same(read, np.float32([[1, 2], [3, 4], [5, 6]]), ["at name@domain.com", "b", "c"])


def test_number_words_are_no_header(file):
    same(read_vectors(file(b"5 3\n7 4\n"), format="glove"), np.float32([[3], [4]]), ["5", "7"])
    same(read_vectors(file(b"5 3\nx 4\n")), np.float32([[3], [4]]), ["5", "x"])
    same(read_vectors(file(b"2 1\n7 4\n9 5\n")), np.float32([[4], [5]]), ["7", "9"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"a 1 2\nb 3\nc 5 6\nd 7 8\n",
            r"line 2, column 1: expected a word and 2 numbers, found 2",
        ),
        (b"a 1 2\nb 3 4 5\nc 5 6\n", r"line 2, column 3: .*found more numbers"),
        (b"a 1 2\nb 3 x\nc 5 6\n", r"line 2, column 5: 'x' is not a number"),
        (b"a 1 2\n\nc 5 6\n", r"line 2, column 1: the line is empty"),
        (b"a 1 2\n 3 4\nc 5 6\n", r"line 2, column 1: there is no word"),
        (b"a 1 2\nb \xff\x01 4\nc 5 6\n", r"line 2, column 3: '\\xff\\x01' is not a number"),
        (b"a 1 2\nb\nc 5 6\n", r"line 2, column 1: .*found 1 field"),
        (b"3 2\na 1 2\nb 3\nc 5 6\n", r"line 3, column 1: expected a word and 2 numbers"),
        (b"4 2\na 1 2\nb 3 4\n", r"line 1: the header promises 4 vectors.* has 2 of 2"),
        (b"1 2\na 1 2\nb 3 4\n", r"line 1: the header promises 1 vectors.* has 2 of 2"),
        (b"2 3\na 1 2\nb 3 4\n", r"line 1: the header promises 3 numbers a line.*have 2"),
        (b"2 1\na 1 2\nb 3 4\n", r"line 1: the header promises 1 numbers a line.*have 2"),
        (b"99999999999 2\na 1 2\n", r"promises 99999999999 vectors"),
        (b"2 99999999999\na 1 2\n", r"promises 99999999999 numbers"),
        (b"hello\nworld\n", r"not a vector file"),
        (b"\n", r"not a vector file"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_bad_text(file, text, message, compressed):
    path = file(gzip.compress(text) if compressed else text)
    with pytest.raises(FormatError, match=message) as caught:
        read_vectors(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_bad_line_is_named_with_any_threads(file, threads):
    lines = [b"w%d %s\n" % (i, b" ".join([b"0.25"] * 50)) for i in range(9000)]
    lines[4000] = lines[8000] = b"bad\n"
    with pytest.raises(FormatError, match="line 4001, column 1"):
        read_vectors(file(b"".join(lines)), threads=threads)


def test_damaged_compressed_text(file):
    content = gzip.compress(glove_text(map(str, range(500)), table(500, 9)))
    for damaged in (content[:-4], content[:900], content[:500] + b"\0\0\0" + content[503:]):
        with pytest.raises((CorruptFileError, FormatError)):
            read_vectors(file(damaged))
    two = gzip.compress(b"a 1 2\n") + gzip.compress(b"b 3 4\n")
    same(read_vectors(file(two)), np.float32([[1, 2], [3, 4]]), ["a", "b"])


def test_an_endless_line_of_compressed_text(file, monkeypatch):
    monkeypatch.setattr(vector_text, "WINDOW_BYTES", 1 << 20)
    text = b"a 1 2\n" + b"b" * (5 << 20)
    with pytest.raises(FormatError, match="longer than"):
        read_vectors(file(gzip.compress(text)))
    with pytest.raises(FormatError, match="longer than"):
        read_vectors(file(text))


def test_duplicates(file):
    path = file(b"a 1\nb 2\na 3\nc 4\nb 5\na 6\n")
    with pytest.raises(InputError, match=r"3 words occur .*'a' in lines 1 and 3"):
        read_vectors(path)
    same(read_vectors(path, duplicates="first"), np.float32([[1], [2], [4]]), ["a", "b", "c"])
    same(read_vectors(path, duplicates="last"), np.float32([[4], [5], [6]]), ["c", "b", "a"])
    with pytest.raises(InputError, match="lines 2 and 3"):
        read_vectors(file(b"2 1\na 1\na 3\n"))


@given(st.lists(st.sampled_from(["", "a", "b", "ab", "ba", "abc"]), min_size=1))
def test_first_occurrences(strings):
    words = WordList.from_strings(strings)
    first = _core.first_occurrences(words.bytes, words.offsets)
    assert first.tolist() == [strings.index(word) for word in strings]


@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.parametrize("dim", AWKWARD_DIMS)
def test_word2vec_binary(file, dim, newline):
    vectors, words = table(300, dim), ["\udcff" + str(i) for i in range(300)]
    rows = [
        word.encode("utf-8", "surrogateescape") + b" " + row.astype("<f4").tobytes() + newline
        for word, row in zip(words, vectors, strict=True)
    ]
    content = b"300 %d\n" % dim + b"".join(rows)
    for threads in (1, 2):
        path = file(content)
        same(read_vectors(path, format="word2vec-binary", threads=threads), vectors, words)
    part = read_vectors(path, format="word2vec-binary", limit=7)
    same(part, vectors[:7], words[:7])
    if dim > 2:
        same(read_vectors(path), vectors, words)
    for cut in (1, 2 + 4 * dim, len(content) // 2):
        with pytest.raises(CorruptFileError):
            read_vectors(file(content[: -cut - len(newline)]), format="word2vec-binary")
    with pytest.raises(FormatError, match="more bytes follow"):
        read_vectors(file(content + b"x 12"), format="word2vec-binary")


@pytest.mark.parametrize(
    "header", [b"999999999999999999 300", b"3 999999999999999999", b"0 3", b"3 0"]
)
def test_absurd_binary_headers(file, header):
    with pytest.raises(FormatError):
        read_vectors(file(header + b"\nword " + bytes(range(100))), format="word2vec-binary")


ARGUMENTS = [
    ({"limit": 0}, "limit"),
    ({"limit": True}, "limit"),
    ({"duplicates": "all"}, "duplicates"),
    ({"format": "xml"}, "unknown format 'xml'"),
    ({"tensor": "x"}, "takes no tensor="),
    ({"words": ["a"]}, "words of its own"),
    ({"threads": 0}, "threads"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS)
def test_bad_arguments(file, arguments, message):
    with pytest.raises(InputError, match=message):
        read_vectors(file(b"a 1 2\n"), **arguments)


def test_empty_and_missing_files(tmp_path, file):
    with pytest.raises(FormatError, match="the file is empty"):
        read_vectors(file(b""))
    with pytest.raises(FileNotFoundError):
        read_vectors(tmp_path / "none")


def test_words_with_spaces_round_trip_in_glove(tmp_path):
    vectors, words = table(4, 3), [". . .", "a b", "x", "y\t z"]
    write_vectors(tmp_path / "f.txt", vectors, words)
    same(read_vectors(tmp_path / "f.txt"), vectors, words)


@pytest.mark.parametrize(
    ("form", "bad", "message"),
    [
        ("glove", "a\nb", "newline"),
        ("glove", "", "empty"),
        ("glove", "page 12", "number"),
        ("glove", "a ", "ends with a space"),
        ("glove", " a", "begins with a space"),
        ("word2vec", "a b", "space"),
        ("word2vec-binary", "a b", "space"),
        ("word2vec-binary", "\nb", "newline"),
    ],
)
def test_words_that_a_format_cannot_hold(tmp_path, form, bad, message):
    with pytest.raises(InputError, match=message) as caught:
        write_vectors(tmp_path / "f", table(2, 3), ["good", bad], format=form)
    assert "row 1" in str(caught.value)
    assert not list(tmp_path.iterdir())


class Endless:
    """A source whose second block fails."""

    shape = (1_000_000, 8)

    def read(self, first, count):
        if first > 0:
            raise KeyboardInterrupt
        return np.zeros((count, 8), np.float32)


@pytest.mark.parametrize("form", ["glove", "word2vec", "word2vec-binary"])
def test_interrupted_writing_leaves_what_was_there(tmp_path, form):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_vectors(path, Endless(), (f"w{i}" for i in range(10**6)), format=form)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("form", ["glove", "word2vec", "word2vec-binary", "npy"])
def test_a_full_disk_leaves_what_was_there(tmp_path, form):
    resource = pytest.importorskip("resource")
    path = tmp_path / "f"
    path.write_text("old")
    words = None if form == "npy" else list(map(str, range(1000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_vectors(path, table(1000, 9), words, format=form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("form", ["glove", "word2vec-binary", "npy"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "bfloat16"])
def test_writing_other_types_and_strides(tmp_path, form, dtype):
    exact = table(20, 14).astype(np.float16).astype(np.float32)[::2, ::-2]
    vectors = exact.astype("f4" if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":
        vectors = (exact.view(np.uint32) >> 16).astype(np.uint16)
        exact = (vectors.astype(np.uint32) << 16).view(np.float32)
    source = WordVectors(vectors, WordList.from_strings(map(str, range(10))))
    for threads in (1, 3):
        write_vectors(tmp_path / "f", source, format=form, threads=threads)
        read = read_vectors(tmp_path / "f").vectors
        assert np.array_equal(read, exact)


def test_the_binary_format_is_the_original_one(tmp_path):
    write_vectors(tmp_path / "f", np.float32([[1, 2]]), ["w"], format="word2vec-binary")
    assert (tmp_path / "f").read_bytes() == b"1 2\nw \0\0\x80\x3f\0\0\0\x40\n"


def test_writer_arguments(tmp_path):
    path, vectors = tmp_path / "f", table(2, 3)
    for arguments, message in [
        ((vectors, ["a"]), r"1 words \(from 'a' to 'a'\) for 2 rows"),
        ((vectors,), "needs a word"),
    ]:
        with pytest.raises(InputError, match=message):
            write_vectors(path, *arguments, format="glove")
    with pytest.raises(InputError, match="holds no words"):
        write_vectors(path, vectors, ["a", "b"], format="npy")
    with pytest.raises(InputError, match="unknown format"):
        write_vectors(path, vectors, ["a", "b"], format="xml")
    write_words(path, ["a b", "", "\udcff"])
    assert path.read_bytes() == b"a b\n\n\xff\n"
    for bad in ("a\nb", "a\r"):
        with pytest.raises(InputError, match="newline"):
            write_words(path, ["x", bad])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(st.data())
def test_mutated_files_give_errors_of_ours(tmp_path, data):
    form = data.draw(st.sampled_from(["glove", "word2vec", "word2vec-binary", "npy", "gzip"]))
    path = tmp_path / "f"
    words = None if form == "npy" else ["a", "bb", "c c" if form in ("glove", "gzip") else "c"]
    write_vectors(path, table(3, 4), words, format="glove" if form == "gzip" else form)
    content = bytearray(path.read_bytes())
    if form == "gzip":
        content = bytearray(zlib.compress(content, wbits=31))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    forced = data.draw(st.sampled_from([None, *get_args(VectorFormat)]))
    try:
        read = read_vectors(path, duplicates="first", format=forced)
    except (FormatError, InputError):
        return
    assert 0 not in read.shape
    assert read.words is None or len(read.words) == len(read)
