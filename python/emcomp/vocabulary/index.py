"""The words of a table: row of a word, word of a row, and the words closest to a wrong one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.errors import CorruptFileError, InputError, UnknownWordError
from emcomp.vocabulary.word_list import as_word_list, tuple_of_words

_TENSOR_TYPES = {
    "vocabulary.bytes": np.dtype(np.uint8),
    "vocabulary.offsets": np.dtype(np.uint64),
    "vocabulary.index": np.dtype(np.uint32),
}


class Vocabulary(Sequence[str]):
    """Distinct words by row, with a hash index, all of it in three arrays that a file can hold.

    The arrays are used as they are, mapped from a file or not; making a Vocabulary of them costs
    the same for one word and for many millions. Words are bytes; as ``str`` they are UTF-8 in which
    a byte that is not UTF-8 is a lone surrogate ("surrogateescape"). Any number of threads may use
    a Vocabulary.
    """

    def __init__(
        self, data: NDArray[np.uint8], offsets: NDArray[np.uint64], index: NDArray[np.uint32]
    ) -> None:
        """Use three arrays as ``tensors`` has them.

        Raises:
            CorruptFileError: if their lengths do not fit. What is in them is checked when used.
        """
        self._tensors: dict[str, NDArray[Any]] = {
            "vocabulary.bytes": data,
            "vocabulary.offsets": offsets,
            "vocabulary.index": index,
        }
        self._view = _core.VocabularyView(data, offsets, index)

    @classmethod
    def from_words(cls, words: Iterable[str | bytes], threads: int | None = None) -> Vocabulary:
        """Build the index of words, row 0 first.

        Args:
            words: a `WordList`, or any iterable of strings or bytes.
            threads: as for ``resolve_threads``.

        Raises:
            InputError: if a word is there twice; the message names both rows.
        """
        listed = as_word_list(words)
        index = _core.build_index(listed.bytes, listed.offsets, resolve_threads(threads))
        return cls(listed.bytes, listed.offsets, index)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Vocabulary:
        """A vocabulary over the arrays that ``tensors`` returned, such as those of an open file.

        Raises:
            CorruptFileError: if one is missing, or their types or lengths are not right.
        """
        for name, dtype in _TENSOR_TYPES.items():
            array = tensors.get(name)
            if array is None or array.ndim != 1 or array.dtype != dtype:
                raise CorruptFileError(f"the file lacks the tensor {name!r} of type {dtype}")
        return cls(*(tensors[name] for name in _TENSOR_TYPES))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The three arrays by the names that they have in a file."""
        return dict(self._tensors)

    def find(self, word: str | bytes) -> int | None:
        """The row of a word, or None."""
        return self._view.find(word)

    def row(self, word: str | bytes) -> int:
        """The row of a word.

        Raises:
            UnknownWordError: (a KeyError) if it is not there; printed, it names the closest words.
        """
        row = self._view.find(word)
        if row is None:
            text = word if isinstance(word, str) else _decoded(word)
            raise UnknownWordError(text, lambda: self.closest(word))
        return row

    def find_many(
        self, words: Iterable[str | bytes], threads: int | None = None
    ) -> NDArray[np.int64]:
        """The rows of many words, -1 for each word that is not there."""
        return self._view.find_many(tuple_of_words(words), resolve_threads(threads))

    def word(self, row: int) -> str:
        """The word of a row in [0, len)."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is out of range for a vocabulary of {len(self)} words")
        return _decoded(self._view.word(row))

    def index(self, word: Any, start: int = 0, stop: int | None = None) -> int:
        """The row of a word, as a list's ``index`` gives it; `row` names close words.

        Raises:
            ValueError: if it is not there.
        """
        row = self._view.find(word) if isinstance(word, (str, bytes)) else None
        if row is None or row not in range(len(self))[start:stop]:
            raise ValueError(f"{word!r} is not in the vocabulary")
        return row

    def count(self, word: Any) -> int:
        """1 for a word that is there, else 0."""
        return int(word in self)

    def closest(self, word: str | bytes, k: int = 5) -> list[str]:
        """At most k words that are nearly the given one, nearest first.

        They begin and end alike, ignoring the case of ASCII letters, and differ in one stretch
        between: the shorter, the nearer. Ties go to the lower row. Words that differ in more than
        half of the given word's bytes are left out.
        """
        if k < 0:
            raise InputError(f"k must not be negative, got {k}")
        return [_decoded(self._view.word(row)) for row in self._view.closest(word, k)]

    def __len__(self) -> int:
        return len(self._view)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, (str, bytes)) and self._view.find(word) is not None

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self.word(i) for i in range(*row.indices(len(self)))]
        return self.word(row + len(self) if row < 0 else row)

    def __iter__(self) -> Iterator[str]:
        return (_decoded(self._view.word(row)) for row in range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Vocabulary.from_tensors, ({n: np.array(t) for n, t in self._tensors.items()},)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words)"


def _decoded(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
