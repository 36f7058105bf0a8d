"""Many words in two arrays: a million Python strings would be slow to make and heavy to keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from emcomp import _core
from emcomp.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DECODED_TOGETHER = 1 << 16

_Encoded = bytes  # inside the class, `bytes` is the array


class WordList(Sequence[str]):
    """A sequence of words; word ``i`` is ``bytes[offsets[i]:offsets[i + 1]]``.

    Words are decoded when asked for, as UTF-8 with ``surrogateescape``: bytes that are not UTF-8
    survive a round trip.

    Args:
        bytes: the words one after another, (total bytes,) uint8.
        offsets: where each word begins, then the total, (number of words + 1,) uint64.

    Raises:
        InputError: if the offsets do not run from 0 to the number of bytes without falling.
    """

    __slots__ = ("bytes", "offsets")

    def __init__(self, bytes: NDArray[np.uint8], offsets: NDArray[np.uint64]) -> None:  # noqa: A002
        if (bytes.dtype.name, bytes.ndim) != ("uint8", 1) or (
            offsets.dtype.name,
            offsets.ndim,
        ) != ("uint64", 1):
            raise InputError("words are kept as a uint8 array and a uint64 array of offsets")
        if (
            offsets.size == 0
            or offsets[0] != 0
            or offsets[-1] != bytes.size
            or np.any(offsets[1:] < offsets[:-1])
        ):
            raise InputError("the offsets of the words do not fit their bytes")
        self.bytes: NDArray[np.uint8] = np.ascontiguousarray(bytes)
        self.offsets: NDArray[np.uint64] = np.ascontiguousarray(offsets)

    @classmethod
    def from_strings(cls, words: Iterable[str | _Encoded]) -> WordList:
        """Words from strings, or from bytes as a file has them.

        Raises:
            InputError: if this is a single word, an element is no word, or a string has a lone
                surrogate that does not stand for a byte.
        """
        listed = tuple_of_words(words)
        try:
            return cls(*_core.pack_words(listed))
        except TypeError:
            for row, word in enumerate(listed):
                if not isinstance(word, (str, _Encoded)):
                    raise InputError(f"word {row} is {word!r}, not a string") from None
            raise

    @classmethod
    def from_lines(cls, text: _Encoded) -> WordList:
        r"""Words from text with one on each line; lines end with ``\n`` or ``\r\n``."""
        if text and not text.endswith(b"\n"):
            text += b"\n"
        letters = np.frombuffer(text, np.uint8)
        is_end = letters == ord("\n")
        is_end[:-1] |= (letters[:-1] == ord("\r")) & is_end[1:]
        ends = np.flatnonzero(letters == ord("\n"))
        kept = np.cumsum(~is_end, dtype=np.uint64)
        offsets = np.zeros(ends.size + 1, np.uint64)
        offsets[1:] = kept[ends]
        return cls(letters[~is_end], offsets)

    @classmethod
    def concatenate(cls, parts: Sequence[WordList]) -> WordList:
        """The words of all parts, in order."""
        if not parts:
            return cls(np.empty(0, np.uint8), np.zeros(1, np.uint64))
        lengths = [np.diff(part.offsets) for part in parts]
        return cls._from_lengths(
            np.concatenate([part.bytes for part in parts]), np.concatenate(lengths)
        )

    @classmethod
    def _from_lengths(cls, letters: NDArray[np.uint8], lengths: NDArray[np.uint64]) -> WordList:
        offsets = np.zeros(lengths.size + 1, np.uint64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(letters, offsets)

    def __len__(self) -> int:
        return self.offsets.size - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> WordList: ...
    def __getitem__(self, index: int | slice) -> str | WordList:
        if not isinstance(index, slice):
            return self.encoded(index).decode("utf-8", "surrogateescape")
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self.take(np.arange(len(self))[index])
        stop = max(start, stop)
        offsets = self.offsets[start : stop + 1]
        return WordList(self.bytes[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0])

    def encoded(self, index: int) -> _Encoded:
        """Word ``index`` as bytes.

        Raises:
            IndexError: if there is no such word.
        """
        i = index + len(self) if index < 0 else index
        if not 0 <= i < len(self):
            raise IndexError(f"word {index} of {len(self)}")
        return self.bytes[int(self.offsets[i]) : int(self.offsets[i + 1])].tobytes()

    def take(self, rows: NDArray[Any]) -> WordList:
        """The words at ``rows``: indices, or a mask with one entry for each word."""
        indices = np.arange(len(self))[rows]
        begins = self.offsets[:-1][indices]
        lengths = self.offsets[1:][indices] - begins
        taken = WordList._from_lengths(np.empty(int(lengths.sum()), np.uint8), lengths)
        # Byte k of the result is byte k of the source, moved as far as its word has moved.
        moved = np.repeat(begins - taken.offsets[:-1], lengths.astype(np.int64))
        taken.bytes[:] = self.bytes[moved + np.arange(taken.bytes.size, dtype=np.uint64)]
        return taken

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _DECODED_TOGETHER):
            part = self[first : first + _DECODED_TOGETHER]
            letters = part.bytes.tobytes()
            ends = part.offsets.tolist()
            for begin, end in pairwise(ends):
                yield letters[begin:end].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, WordList):
            return np.array_equal(self.offsets, other.offsets) and np.array_equal(
                self.bytes, other.bytes
            )
        if isinstance(other, Sequence) and not isinstance(other, str):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:5]))
        return f"WordList({len(self)}: [{shown}{', ...' if len(self) > 5 else ''}])"

    def tolist(self) -> list[str]:
        """All words as Python strings."""
        return list(self)

    @property
    def nbytes(self) -> int:
        """Bytes that the words take in memory."""
        return self.bytes.nbytes + self.offsets.nbytes


def as_word_list(words: WordList | Iterable[str | bytes]) -> WordList:
    """``words`` itself, or the words of an iterable of strings."""
    return words if isinstance(words, WordList) else WordList.from_strings(words)


def tuple_of_words(words: Iterable[str | bytes]) -> tuple[str | bytes, ...]:
    """The words of an iterable. Raises InputError for a single word, whose letters it would be."""
    if isinstance(words, (str, bytes)):
        raise InputError("expected a sequence of words, got a single one: put it into a list")
    return tuple(words)
