"""Whatever is given as the words of a table, as a list in the order of its rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from emcomp.errors import InputError
from emcomp.vocabulary.row_mappings import in_order
from emcomp.vocabulary.word_files import read_words
from emcomp.vocabulary.word_list import WordList

GivenWords: TypeAlias = (
    "WordList | Iterable[str | bytes] | Mapping[Any, Any] | str | os.PathLike[str]"
)
"""Words in the order of the rows; a mapping word -> row or row -> word; or a file of words."""


def given_words(words: GivenWords, rows: int | None = None) -> WordList:
    """The words of a table in the order of its rows.

    Args:
        words: words in order; a mapping from words to rows or from rows to words, which has each of
            0, 1, ... once; or the path of a file or model folder, as `read_words` takes it.
        rows: rows of the table, where they are known. Whether they fit is for the caller to check.

    Raises:
        InputError: for a set, whose order is that of no table; for a mapping that misses a row or
            has one twice; for what holds no words.
        FormatError: if the file holds no words.
        OSError: if the file cannot be read.
    """
    if isinstance(words, WordList):
        return words
    if isinstance(words, (str, os.PathLike)):
        return read_words(words, rows)
    if isinstance(words, Mapping):
        return WordList.from_strings(in_order(words, "words="))
    if isinstance(words, AbstractSet):
        raise InputError(
            "words= is a set, whose order is not that of the rows: give a list in their order, or a "
            "mapping from each word to its row"
        )
    return WordList.from_strings(words)


def check_number_of_words(words: WordList, rows: int, given: object = None) -> None:
    """Raise InputError unless there are as many words as rows, showing the first and last word."""
    if len(words) == rows:
        return
    where = f"{os.fspath(given)}: " if isinstance(given, (str, os.PathLike)) else ""
    shown = f" (from {words[0]!r} to {words[-1]!r})" if len(words) else ""
    raise InputError(f"{where}{len(words)} words{shown} for {rows} rows")
