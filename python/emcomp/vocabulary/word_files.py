r"""Files of words: one on each line, with counts or scores, with columns, or as a tokenizer's JSON.

=============================  ===================================================================
what                           how it is told
=============================  ===================================================================
``tokenizer.json``             a JSON object with ``model``: its vocabulary and added tokens
``vocab.json``                 any other JSON object, from words to rows or from rows to words
list                           a JSON list of strings
words with counts or scores    every line is a word, one tab or space, and a number; after a space
                               the numbers are whole and do not rise (GloVe's ``vocab.txt``)
columns                        all lines have the same number of tabs: the column with a telling
                               heading, or the first; its heading is left out
words                          all else: a line is a word
=============================  ===================================================================
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from emcomp.errors import FormatError, InputError
from emcomp.vocabulary.row_mappings import in_order
from emcomp.vocabulary.word_list import WordList

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

WORD_COLUMNS = ("word", "words", "token", "tokens", "label", "name", "term", "key", "text")
"""Headings of a column of words, the most telling first."""

_OF_FOLDER = ("tokenizer.json", "vocab.json", "vocab.txt")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def read_words(path: str | os.PathLike[str], rows: int | None = None) -> WordList:
    """The words of a file or of a model's folder, in the order of the rows.

    Args:
        path: a file, as this module describes; or a folder with ``tokenizer.json``,
            ``vocab.json`` or ``vocab.txt``.
        rows: rows of the table, where they are known: they may tell whether a first line of columns
            is a heading.

    Raises:
        FormatError: if it is none of these.
        OSError: if it cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        held = [name for name in _OF_FOLDER if (place / name).is_file()]
        if not held:
            raise InputError(f"{path}: the folder has none of {', '.join(_OF_FOLDER)}")
        place = place / held[0]
    try:
        return words_of_text(place.read_bytes(), rows)
    except (FormatError, InputError) as error:
        raise type(error)(f"{place}: {error}") from error


def words_of_text(text: bytes, rows: int | None = None) -> WordList:
    """The words of a file's content, as `read_words` reads it.

    Raises:
        FormatError: if it holds no words.
    """
    if text.startswith(UTF16_MARKS):
        raise FormatError("the words are UTF-16: write the file as UTF-8")
    text = text.removeprefix(UTF8_MARK)
    if text.lstrip()[:1] in (b"{", b"["):
        found = _words_of_json(text)
        if found is not None:
            return WordList.from_strings(found)
    lines = text.removesuffix(b"\n").split(b"\n")
    tabs = {line.count(b"\t") for line in lines}
    if len(tabs) == 1 and tabs != {0}:
        return _words_of_columns(lines, rows)
    if len(lines) > 1 and _has_counts(lines):
        return WordList.from_lines(b"\n".join(line.rpartition(b" ")[0] for line in lines))
    return WordList.from_lines(text)


def _has_counts(lines: list[bytes]) -> bool:
    """Whether each line is a word and a count, and counts do not rise."""
    before = None
    for line in lines:
        fields = line.rstrip(b"\r").split(b" ")
        if len(fields) != 2 or not fields[0] or not fields[1].isdigit():
            return False
        count = int(fields[1][:19])
        if before is not None and count > before:
            return False
        before = count
    return True


def _words_of_columns(lines: list[bytes], rows: int | None) -> WordList:
    table = [line.rstrip(b"\r").split(b"\t") for line in lines]
    width = len(table[0])
    heading = [name.strip().lower().decode("utf-8", "replace") for name in table[0]]
    named = [heading.index(name) for name in WORD_COLUMNS if name in heading]
    has_heading = len(table) > 1 and (bool(named) or len(table) - 1 == rows)
    if not has_heading:
        numeric = [all(_is_number(row[c]) for row in table[1:] or table) for c in range(width)]
        if not any(numeric):
            return WordList.from_lines(b"\n".join(lines))  # words that have tabs
        has_heading = any(kind and not _is_number(table[0][c]) for c, kind in enumerate(numeric))
    column = named[0] if has_heading and named else 0
    words = [row[column] for row in table[has_heading:]]
    return WordList.from_strings(words)


def _is_number(field: bytes) -> bool:
    return _NUMBER.fullmatch(field.strip()) is not None


def _words_of_json(text: bytes) -> list[Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None  # a word that begins as JSON does
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    if not isinstance(value, dict):
        return None
    model = value.get("model")
    mapping = value if not isinstance(model, dict) else _vocabulary_of(model, value)
    if mapping and all(isinstance(word, str) for word in mapping.values()):
        digits = all(key.isdigit() for key in mapping)
        if not digits:
            raise FormatError("the JSON maps words to words, not to rows")
        mapping = {int(key): word for key, word in mapping.items()}
    return in_order(mapping, "the vocabulary")


def _vocabulary_of(model: dict[str, Any], tokenizer: dict[str, Any]) -> dict[Any, Any]:
    """Words and rows of a tokenizer.json."""
    vocabulary = model.get("vocab")
    try:
        if isinstance(vocabulary, list):  # a unigram model: pieces and their scores, in order
            words = {piece: row for row, (piece, _) in enumerate(vocabulary)}
        else:
            words = dict(vocabulary)  # type: ignore[arg-type]
        for token in tokenizer.get("added_tokens") or []:
            words[token["content"]] = token["id"]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"not a tokenizer.json: {error!r}") from error
    return words
