"""Several sources one after another, as one table."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList


class ConcatenatedSource(OpenedSource):
    """The rows of several sources in their order.

    Args:
        name: what messages call the whole.
        parts: the sources, at least one; all of one dimension and type, all with words or none.

    Raises:
        InputError: naming the first that differs.
    """

    def __init__(self, name: str, parts: Sequence[OpenedSource]) -> None:
        first = parts[0]
        for part in parts[1:]:
            for what, wanted, found in (
                ("dimension", first.shape[1], part.shape[1]),
                ("type", first.dtype, part.dtype),
                ("words", first.has_words, part.has_words),
            ):
                if found != wanted:
                    raise InputError(
                        f"{part.name}: its {what} is {found}, that of {first.name} is {wanted}; the "
                        "files of one table must agree"
                    )
        self._parts = tuple(parts)
        self._first_rows = np.cumsum([0, *(part.shape[0] for part in parts)], dtype=np.int64)
        self.has_words = first.has_words
        self.words_guessed = all(part.words_guessed for part in parts)
        super().__init__(name, (int(self._first_rows[-1]), first.shape[1]), first.dtype)

    def _overlapping(self, first: int, count: int) -> Iterator[tuple[OpenedSource, int, int]]:
        """Parts that hold some of the rows, with first row and number of rows in the part."""
        last = first + count
        at = int(np.searchsorted(self._first_rows, first, "right")) - 1
        while first < last:
            begin, end = int(self._first_rows[at]), int(self._first_rows[at + 1])
            taken = min(end, last) - first
            yield self._parts[at], first - begin, taken
            first += taken
            at += 1

    def narrowed(self, first: int, count: int) -> OpenedSource:
        """The same source with the files of rows [first, first + count) only."""
        self._check_range(first, count)
        begin = int(np.searchsorted(self._first_rows, first, "right")) - 1
        held = [part.narrowed(*rows) for part, *rows in self._overlapping(first, count)]
        part = copy.copy(self)
        part._readable = range(first, first + count)
        part._parts = tuple(held)
        part._first_rows = self._first_rows[begin : begin + len(held) + 1].copy()
        return part

    def place(self, row: int) -> str:
        """Where a row is: in which of the sources."""
        ((part, first, _),) = self._overlapping(row, 1)
        return part.place(first)

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count)."""
        self._check_range(first, count)
        found = list(self._overlapping(first, count))
        if len(found) == 1:
            part, begin, taken = found[0]
            return part.read(begin, taken)
        out = np.empty(
            (count, self.shape[1]), np.uint16 if self.dtype == "bfloat16" else self.dtype
        )
        filled = 0
        for part, begin, taken in found:
            out[filled : filled + taken] = part.read(begin, taken)
            filled += taken
        return out

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        for part, begin, taken in self._overlapping(first, count):
            words = part.words(begin, taken)
            assert words is not None
            yield words
