"""What a file is told to be, and what is said of files that are none of vectors."""

import json
import pickle
import sqlite3
import zipfile

import numpy as np
import pytest

import emcomp
from emcomp.errors import FormatError, InputError
from emcomp.io.formats.signatures import REFUSED
from tests.helpers.source_files import table, text_of, words_for


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "x"
        path.write_bytes(content)
        return path

    return write


def refused(path, message):
    for read in (emcomp.read_vectors, emcomp.open_source, emcomp.compress):
        with pytest.raises(FormatError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "npz file is damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": 1}, 4), "a pickle, which can run code"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.rest", r"torch checkpoint of the form before 1\.6"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 862182613\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html><body>404</body></html>\n", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page or XML"),
        ("the 0.1 0.2\n".encode("utf-16"), "UTF-16"),
        ("the 0.1 0.2\n".encode("utf-16-le"), "UTF-16"),
        (b"FEA1" + bytes(50), "first version of Feather"),
        (b"ORC" + bytes(50), "ORC file"),
        (b"Obj\x01" + bytes(50), "Avro"),
        (b"IxF2" + bytes(50), "faiss"),
        (b"MATLAB 5.0 MAT-file, Platform" + bytes(50), "MATLAB"),
        (b"RDX3\n" + bytes(50), "a file of R"),
        (bytes(4) + b"TFL3" + bytes(50), "TensorFlow Lite"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "7z archive"),
        (b"Rar!\x1a\x07" + bytes(50), "RAR archive"),
        (b"\x04\x22\x4d\x18" + bytes(50), "lz4"),
        (b"\x1f\x9d" + bytes(50), "compress"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\x7fELF" + bytes(50), "a program"),
        (b'{"the": [0.1, 0.2]}', "JSON"),
        (b'[{"word": "the", "vector": [0.1]}]', "JSON"),
        (b"SQLite format 3\0" + bytes(50), "SQLite"),
        (b"hello\nworld\n", r"not a vector file of a known format: .* its first line is 'hello'"),
        (b"3 2\nhello world\n", r"no numbers follow, and its first line is '3 2'"),
        (b"h" * 200 + b"\n", r"first line is 'h{60}'\.\.\."),
    ],
)  # fmt: skip
def test_each_kind_of_file_is_named(file, content, message):
    refused(file(content), message)


def test_files_of_other_programs(tmp_path, file):
    path = tmp_path / "base"
    with sqlite3.connect(path) as base:
        base.execute("create table vectors (word text)")
    base.close()
    refused(path, "a SQLite database")
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    refused(tmp_path / "book.xlsx", r"no file of the archive is one of vectors; it has '\[Content")
    emcomp.compress(table(9, 4), "kmeans:2").save(tmp_path / "table.emcomp")
    for read in (emcomp.read_vectors, emcomp.open_source):
        with pytest.raises(FormatError, match=r"a compressed table: emcomp\.open\(path\) opens it"):
            read(tmp_path / "table.emcomp")
    assert emcomp.compress(tmp_path / "table.emcomp", "uniform:8").shape == (9, 4)
    content = (tmp_path / "table.emcomp").read_bytes()
    refused(file(b"PK\3\4" + content), "begins as a zip file .* and is damaged")


def test_a_sentence_for_each():
    assert len(REFUSED) >= 20
    sentences = [refusal.sentence for refusal in REFUSED]
    assert len(set(sentences)) == len(sentences)
    assert all(len(sentence) < 220 for sentence in sentences)


@pytest.mark.parametrize(
    "word",
    ["PK", "ORC", "MZ", "%PDF", "BZh", "PAR1", "GGUF", "<html", '{"', "\x80\x04", "\x0b", "\x1f\udc8b",
     "FEA1", "RDX3", "IxF2", "7z\udcbc\udcaf\x27\x1c", "\x7fELF", "version", "\0"],
)  # fmt: skip
@pytest.mark.parametrize("header", [False, True])
def test_a_first_word_may_be_what_other_files_begin_with(file, word, header):
    X, words = table(9, 5), [word, *words_for(8)]
    text = text_of([], X[:0])
    for w, x in zip(words, X, strict=True):
        text += w.encode("utf-8", "surrogateescape") + b" " + text_of(["w"], x[None])[2:]
    path = file((b"9 5\n" if header else b"") + text)
    for read in (emcomp.read_vectors(path), emcomp.open_source(path)):
        assert read.shape == (9, 5)
    assert emcomp.read_vectors(path).words.tolist() == words


@pytest.mark.parametrize("header", [b"", b"4 3\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_word(file, header, end):
    X, words = table(4, 3), words_for(4)
    text = b"\xef\xbb\xbf" + (header + text_of(words, X)).replace(b"\n", end)
    path = file(text)
    assert emcomp.read_vectors(path).words.tolist() == words
    source = emcomp.open_source(path)
    assert source.words().tolist() == words
    assert np.array_equal(source.read(0, 4), X)


def test_a_word_file_with_a_mark(tmp_path, file):
    np.save(tmp_path / "x.npy", table(2, 3))
    words = file("\ufeffa\nb\n".encode())
    assert emcomp.read_vectors(tmp_path / "x.npy", words=words).words.tolist() == ["a", "b"]


@pytest.mark.parametrize("header", [False, True])
def test_every_name_a_phrase(file, header):
    X, words = table(40, 8), [f"first{i} second {i}th" for i in range(40)]
    path = file(text_of(words, X, header=header))
    for read in (emcomp.read_vectors(path), emcomp.open_source(path)):
        assert read.shape == (40, 8)
    assert emcomp.read_vectors(path).words.tolist() == words


def test_spaces_before_a_word_part_nothing(file):
    read = emcomp.read_vectors(file(b"  the 1 2\n\tof 3 4.5\nand 5 6\n"))
    assert read.words.tolist() == ["the", "of", "and"]


def test_lines_of_numbers_alone(tmp_path, file):
    X = table(40, 8)
    path = tmp_path / "matrix"
    for options in ({}, {"delimiter": "\t"}, {"fmt": "%.9g"}, {"delimiter": ",", "fmt": "%.9g"}):
        np.savetxt(path, X, **options)
        read = emcomp.read_vectors(path)
        assert (read.shape, read.words) == ((40, 8), None)
        np.testing.assert_array_equal(read.vectors, X)
        source = emcomp.open_source(path)
        np.testing.assert_array_equal(source.read(7, 20), X[7:27])
        assert source.words() is None
        named = emcomp.read_vectors(path, words=words_for(40))
        assert named.words.tolist() == words_for(40)
    with pytest.raises(FormatError, match=r"line 2, column 1: expected 3 fields, found 2"):
        emcomp.read_vectors(file(b"0.1 1 2\n0.3 4\n0.5 1 2\n0.5 1 2\n"))
    with pytest.raises(FormatError, match=r"line 2, column 5: 'x' is not a number"):
        emcomp.read_vectors(file(b"0.1 1 2\n0.3 x 4\n"), format="numbers")


def test_numbers_for_words(file):
    ids = b"".join(b"%d 0.25 -0.5\n" % i for i in (5, 3, 8))
    assert emcomp.read_vectors(file(ids)).words.tolist() == ["5", "3", "8"]
    assert emcomp.read_vectors(file(b"0 0.25\n1 0.5\n0 0.25\n")).shape == (3, 2)
    whole = file(b"1 0 0\n0 1 0\n")
    with pytest.raises(FormatError, match="format='glove' says so, format='numbers' says that"):
        emcomp.read_vectors(whole)
    assert emcomp.read_vectors(whole, format="numbers").shape == (2, 3)
    assert emcomp.read_vectors(whole, format="glove").words.tolist() == ["1", "0"]


def test_projector_files(tmp_path):
    X = table(12, 5)
    np.savetxt(tmp_path / "vectors.tsv", X, delimiter="\t", fmt="%.9g")
    rows = "".join(f"wörd{i}\t{1000 - i}\n" for i in range(12))
    (tmp_path / "metadata.tsv").write_text("word\tcount\n" + rows, "utf-8")
    read = emcomp.read_vectors(tmp_path / "vectors.tsv", words=tmp_path / "metadata.tsv")
    assert read.words.tolist() == words_for(12)
    np.testing.assert_array_equal(read.vectors, X)


# ---- CSV

CSV = {
    "commas and a heading": ("word,d0,d1\n", ",", ""),
    "commas": ("", ",", ""),
    "semicolons": ("word;x;y\n", ";", ""),
    "tabs": ("token\ta\tb\n", "\t", ""),
    "spaces": ("word, d0, d1\n", ", ", ""),
    "quotes": ('"word","d0","d1"\n', ",", '"'),
}


@pytest.mark.parametrize("kind", CSV)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(file, kind, end):
    heading, separator, quote = CSV[kind]
    X, words = table(30, 2), words_for(30)
    lines = [
        separator.join([f"{quote}{w}{quote}", *map(repr, x)])
        for w, x in zip(words, X.tolist(), strict=True)
    ]
    path = file((heading + "\n".join(lines) + "\n").replace("\n", end).encode())
    read = emcomp.read_vectors(path)
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors, X)
    source = emcomp.open_source(path)
    assert np.array_equal(source.read(11, 9), X[11:20])
    assert source.words(11, 9).tolist() == words[11:20]


def test_words_after_the_numbers_and_quotes_in_them(file):
    read = emcomp.read_vectors(file(b'0.5,1.5,"a ""b"", c"\n2.5,3.5,d\n'))
    assert read.words.tolist() == ['a "b", c', "d"]
    assert read.vectors.tolist() == [[0.5, 1.5], [2.5, 3.5]]


def test_columns_that_are_not_plain(file):
    path = file(b"id,kind,x,y\nw1,noun,0.1,0.2\nw2,verb,0.3,0.4\n")
    with pytest.raises(FormatError, match=r"several columns hold no numbers; .*'id', 'kind'"):
        emcomp.read_vectors(path)
    read = emcomp.read_vectors(path, words_column="id")
    assert (read.words.tolist(), read.shape) == (["w1", "w2"], (2, 2))
    with pytest.raises(InputError, match="no column 'z'; the file has 'id', 'kind', 'x', 'y'"):
        emcomp.read_vectors(path, words_column="z")
    path = file(b"id,x,y\n7,0.1,0.2\n9,0.3,0.4\n")
    with pytest.raises(FormatError, match="column 'id' holds whole numbers and the others do not"):
        emcomp.read_vectors(path)
    read = emcomp.read_vectors(path, words_column="id")
    assert (read.words.tolist(), read.shape) == (["7", "9"], (2, 2))
    with pytest.raises(FormatError, match=r"line 4, column 1: expected 3 fields, found 2"):
        emcomp.read_vectors(file(b"word,x,y\na,0.1,0.2\nb,0.3,0.4\n" * 1 + b"c,5\n"), format="csv")


def test_text_with_commas_is_no_csv(file):
    read = emcomp.read_vectors(file(b", 0.1 0.2\n1,000 0.3 0.4\na,b 0.5 0.6\n"))
    assert read.words.tolist() == [",", "1,000", "a,b"]


def test_indexes_of_checkpoints(tmp_path):
    (tmp_path / "x.index.json").write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(FormatError, match="weight_map"):
        emcomp.open_source(tmp_path / "x.index.json")
