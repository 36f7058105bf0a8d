"""What sources over files have in common, and rows that can only be read in order."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.vocabulary.word_list import WordList

BlockT = TypeVar("BlockT", NDArray[Any], WordList)


class OpenedSource(ABC):
    """A source that is more than an array: it has a name, a type, and perhaps words.

    It pickles as a small handle, never with rows, and opens its files again where it is read.

    Attributes:
        name: what messages call it, usually a path.
        shape: rows and dimension.
        dtype: float16, bfloat16, float32 or float64.
        has_words: whether each row has a word.
    """

    has_words = False
    words_guessed = False
    """Whether words were found that nobody named, so that others may be given in their place."""

    def __init__(self, name: str, shape: tuple[int, int], dtype: str) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self._readable = range(shape[0])

    @abstractmethod
    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count), in memory, as ``Block.rows`` describes.

        Raises:
            InputError: if there are no such rows, or the file has changed since it was opened.
            FormatError: if these rows are not as the format asks, naming the row.
        """

    def words(self, first: int = 0, count: int | None = None) -> WordList | None:
        """Words of rows [first, first + count), by default of all; None where there are none.

        They are read from the file when they are asked for, and not kept.

        Raises:
            InputError: if there are no such rows, or the file has changed since it was opened.
            FormatError: if the file is not as its format asks.
        """
        if not self.has_words:
            return None
        count = self.shape[0] - first if count is None else count
        self._check_range(first, count)
        return WordList.concatenate(list(self._words(first, count)))

    def _words(self, first: int, count: int) -> Iterable[WordList]:
        raise NotImplementedError

    def narrowed(self, first: int, count: int) -> OpenedSource:
        """The same source, as a handle for one task that reads only some of its rows.

        Rows keep their numbers. Where finding rows needs an index or many files, the handle has
        what belongs to rows [first, first + count), and refuses others.

        Raises:
            InputError: if there are no such rows.
        """
        self._check_range(first, count)
        return self

    def place(self, row: int) -> str:
        """Where a row is, as messages say it."""
        return f"row {row} of {self.name}"

    def _check_range(self, first: int, count: int) -> None:
        held = self._readable
        if first < held.start or count < 0 or first + count > held.stop:
            there = "there are no" if len(held) == self.shape[0] else "this handle does not have"
            raise InputError(
                f"{self.name}: {there} rows {first} to {first + count}; it has {held.start} to "
                f"{held.stop}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        words = "with words" if self.has_words else "no words"
        rows, dim = self.shape
        return f"{type(self).__name__}({self.name!r}, {rows} x {dim} {self.dtype}, {words})"


class SequentialSource(OpenedSource):
    """Rows that can only be read on: reading back begins again, and is slow."""

    def __init__(self, name: str, shape: tuple[int, int], dtype: str) -> None:
        super().__init__(name, shape, dtype)
        self._restart()

    def _restart(self) -> None:
        rows = self.shape[0]
        self._rows: Stream[NDArray[Any]] = Stream(self.name, rows, self._entry, self._row_blocks)
        self._word_stream: Stream[WordList] = Stream(
            self.name, rows, self._entry, self._word_blocks
        )

    def _entry(self, first: int) -> int:  # noqa: ARG002
        """The row at or before ``first`` where reading can begin."""
        return 0

    @abstractmethod
    def _row_blocks(self, first: int) -> Iterator[NDArray[Any]]:
        """The rows from ``first`` on, which is an entry, to the last, in blocks of any size."""

    def _word_blocks(self, first: int) -> Iterator[WordList]:
        raise NotImplementedError

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count); fast where an earlier call ended, or a pass begins."""
        self._check_range(first, count)
        bits = np.dtype(np.uint16 if self.dtype == "bfloat16" else self.dtype)
        out = np.empty((count, self.shape[1]), bits)
        filled = 0

        def keep(block: NDArray[Any]) -> None:
            nonlocal filled
            out[filled : filled + len(block)] = block
            filled += len(block)

        self._check_unchanged()
        self._rows.take(first, count, keep)
        self._check_unchanged()
        return out

    def _words(self, first: int, count: int) -> list[WordList]:
        words: list[WordList] = []
        self._check_unchanged()
        self._word_stream.take(first, count, words.append)
        self._check_unchanged()
        return words

    def _check_unchanged(self) -> None:
        """Raise InputError if what the rows come from is not what was opened."""

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if not isinstance(value, Stream)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._restart()


class Stream(Generic[BlockT]):
    """Blocks of a table that come in order; many threads may take from it, one after another.

    Args:
        name: what messages call the table.
        rows: rows in all.
        entry: the row at or before another one where reading can begin.
        blocks: the blocks from an entry on.
    """

    def __init__(
        self,
        name: str,
        rows: int,
        entry: Callable[[int], int],
        blocks: Callable[[int], Iterator[BlockT]],
    ) -> None:
        self._name = name
        self._rows = rows
        self._entry = entry
        self._blocks: Callable[[int], Iterator[BlockT]] = blocks
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._running: Iterator[BlockT] | None = None
        self._held: BlockT | None = None
        self._next = 0

    def take(self, first: int, count: int, use: Callable[[BlockT], None]) -> None:
        """Call ``use`` with rows [first, first + count), block by block.

        Raises:
            InputError: if the blocks have fewer rows than they should, or more.
        """
        with self._lock:
            if self._process != os.getpid():  # a fork: its parent reads on in the same open file
                self._stop()
            try:
                self._take(first, count, use)
            except BaseException:
                self._stop()
                raise

    def _take(self, first: int, count: int, use: Callable[[BlockT], None]) -> None:
        entry = self._entry(first)
        if self._running is None or first < self._next or entry > self._next:
            self._stop()
            self._running, self._next, self._process = self._blocks(entry), entry, os.getpid()
        running = self._running
        for _ in self._advance(running, first - self._next):
            pass
        for block in self._advance(running, count):
            use(block)
        if self._next == self._rows:
            if self._held is not None or any(map(len, running)):
                raise InputError(
                    f"{self._name}: there are more rows than the {self._rows} that were promised"
                )
            self._stop()

    def _advance(self, running: Iterator[BlockT], count: int) -> Iterator[BlockT]:
        while count > 0:
            block = next(running, None) if self._held is None else self._held
            if block is None:
                raise InputError(
                    f"{self._name}: the rows end after {self._next}, and {self._rows} were promised"
                )
            taken = block[:count]
            self._held = block[count:] if len(block) > count else None
            self._next += len(taken)
            count -= len(taken)
            yield taken

    def _stop(self) -> None:
        self._running = self._held = None
