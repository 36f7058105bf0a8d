"""What may be given as the words of a table, and files of words."""

import contextlib
import json
from collections import ChainMap
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import EmcompError, FormatError, InputError
from emcomp.io.writing import write_words
from emcomp.vocabulary.given_words import given_words
from emcomp.vocabulary.word_files import read_words, words_of_text
from emcomp.vocabulary.word_list import WordList

WORDS = ["the", "New York", "ünï", "\udcff", "12"]


def table(rows, dim=4):
    return np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)


@given(st.permutations(range(5)), st.booleans(), st.sampled_from([int, np.int64, np.uint8]))
def test_a_mapping_is_laid_out_by_its_rows(order, by_row, kind):
    pairs = [(kind(i), WORDS[i]) if by_row else (WORDS[i], kind(i)) for i in order]
    for mapping in (dict(pairs), MappingProxyType(dict(pairs)), ChainMap(dict(pairs))):
        assert given_words(mapping).tolist() == WORDS


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"a": 0, "b": 2}, r"no word for row 1; of its 2 words, 'b' is in row 2"),
        ({"a": 0, "b": 0}, r"'a' and 'b' both in row 0"),
        ({"a": -1, "b": 0}, r"no word for row 0; .* 'a' is in row -1"),
        ({"a": 0, "b": True}, r"maps 'b' to True"),
        ({"a": 0, "b": "x"}, r"maps 'b' to 'x'"),
        ({"a": 0, "b": 2**70}, r"a row that no table has"),
        ({0: "a", 2: "b"}, r"no word for row 1"),
        ({1: 0, 0: 1}, "not a string"),
        ({"a", "b"}, "a set, whose order"),
        (frozenset("ab"), "a set, whose order"),
        ({"a": 0}.keys(), "a set, whose order"),
        (3, "not"),
    ],
)
def test_what_gives_no_order_is_refused(mapping, message):
    with pytest.raises((InputError, TypeError), match=message):
        given_words(mapping)


def test_mappings_and_paths_are_taken_wherever_words_are(tmp_path):
    X = table(5)
    mapping = {WORDS[i]: i for i in (3, 1, 0, 4, 2)}
    path = tmp_path / "vocab.txt"
    write_words(path, WORDS)
    np.save(tmp_path / "x.npy", X)
    for words in (mapping, path, str(path), {i: w for w, i in mapping.items()}, iter(WORDS)):
        assert list(emcomp.compress(X, "uniform:8", words=words).words) == WORDS
    for words in (mapping, path):
        assert emcomp.read_vectors(tmp_path / "x.npy", words=words).words == WORDS
        emcomp.write_vectors(tmp_path / "x.txt", X, words)
        assert emcomp.read_vectors(tmp_path / "x.txt").words == WORDS
        assert list(emcomp.select(X, "1MB", ["uniform:8"], words=words).table.words) == WORDS
        folder = tmp_path / f"shards-{type(words).__name__}"
        emcomp.compress(X, "uniform:8", words=WORDS, out=folder, shard_rows=5)
        more = {f"more {w}": i for w, i in mapping.items()}
        emcomp.append(folder, X, words=more)
        assert list(emcomp.open(folder).words)[5:] == [f"more {w}" for w in WORDS]
    for refused in (set(WORDS), dict.fromkeys(WORDS, 0)):
        with pytest.raises(InputError, match="words="):
            emcomp.compress(X, "uniform:8", words=refused)


def test_a_file_whose_number_of_words_is_wrong_is_named(tmp_path):
    path = tmp_path / "vocab.txt"
    write_words(path, WORDS)
    for call in (
        lambda: emcomp.compress(table(4), words=path),
        lambda: emcomp.write_vectors(tmp_path / "x.vec", table(4), path),
    ):
        with pytest.raises(InputError, match=r"vocab\.txt: 5 words \(from 'the' to '12'\) for 4"):
            call()
    with pytest.raises(FileNotFoundError):
        emcomp.compress(table(4), words=tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\nb c\n", ["a", "b c"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\ufeffa\nb\n", ["a", "b"]),
        ("the 1061396\nof 593677\nand 593677\n", ["the", "of", "and"]),
        ("the 5\nof 7\n", ["the 5", "of 7"]),  # counts fall
        ("page 12\npage two\n", ["page 12", "page two"]),
        ("\u2581the\t-3.2\n\u2581of\t-4\n", ["\u2581the", "\u2581of"]),
        ("the\t7\tx\nof\t3\ty\n", ["the", "of"]),
        ("word\tcount\nthe\t7\nof\t3\n", ["the", "of"]),
        ("id\tWord\n7\tthe\n3\tof\n", ["the", "of"]),
        ("a\tb\nc\td\n", ["a\tb", "c\td"]),
        ('["b", "a"]', ["b", "a"]),
        ('{"b": 1, "a": 0}', ["a", "b"]),
        ('{"1": "b", "0": "a"}', ["a", "b"]),
        ("{\n}\n[\n", ["{", "}", "["]),
        ("[unused0]\n[PAD]\n", ["[unused0]", "[PAD]"]),
        ("", []),
    ],
)
def test_files_of_words(tmp_path, text, words):
    path = tmp_path / "words"
    path.write_text(text, "utf-8", newline="")
    assert read_words(path) == words


def test_a_heading_is_told_by_the_number_of_rows(tmp_path):
    text = b"of\tto\na\tb\nc\td\n"
    assert words_of_text(text, 2) == ["a", "c"]
    assert words_of_text(text, 3) == ["of\tto", "a\tb", "c\td"]


@pytest.mark.parametrize(
    ("vocabulary", "added"),
    [
        ({"b": 1, "a": 0}, [{"content": "<pad>", "id": 2}]),
        ([["a", -1.5], ["b", -2]], [{"content": "<pad>", "id": 2}, {"content": "a", "id": 0}]),
    ],
)
def test_tokenizers(tmp_path, vocabulary, added):
    model = {"type": "any", "vocab": vocabulary}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model, "added_tokens": added}))
    (tmp_path / "vocab.txt").write_text("other\n")
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        assert read_words(path) == ["a", "b", "<pad>"]
    (tmp_path / "tokenizer.json").unlink()
    assert read_words(tmp_path) == ["other"]
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(InputError, match=r"none of tokenizer\.json, vocab\.json, vocab\.txt"):
        read_words(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n".encode("utf-16"), "UTF-16"),
        (b'{"a": 0, "b": 5}', "no word for row 1"),
        (b'{"a": "x"}', "maps words to words"),
        (b'{"a": 0.5}', "maps 'a' to 0.5"),
        (b'{"model": {"vocab": 3}}', "not a tokenizer"),
    ],
)
def test_bad_files_of_words(tmp_path, content, message):
    path = tmp_path / "vocab"
    path.write_bytes(content)
    with pytest.raises((FormatError, InputError), match=f"vocab: .*{message}"):
        read_words(path)


awkward = st.text(
    st.sampled_from('a1 \t\r\n\x0b\x0c\x1c\x85\xa0\u2028{}[]",:;0\udc80\ufeff\0') | st.characters(),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(awkward, max_size=6))
def test_words_that_are_written_are_read_back(tmp_path, words):
    try:
        listed = WordList.from_strings(words)
    except InputError:  # a lone surrogate that stands for no byte
        return
    try:
        write_words(tmp_path / "words", listed)
    except InputError:
        return
    assert read_words(tmp_path / "words") == listed


@given(st.binary(max_size=60))
def test_any_bytes_are_words_or_an_error_of_ours(content):
    with contextlib.suppress(EmcompError):
        assert len(words_of_text(content)) >= 0


def test_a_path_object_and_a_string_mean_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("w").write_text("a\nb\n")
    assert given_words("w") == given_words(Path("w")) == ["a", "b"]
