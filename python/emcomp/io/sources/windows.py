"""Word vectors of no fixed length: text and word2vec binary, found again by an index of windows.

One scan finds which row and byte every few megabytes of the file begin with. Rows are parsed from
the windows that hold them when they are asked for, so that memory has the rows and one window.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.errors import CorruptFileError, FormatError
from emcomp.io.formats.recognition import naming, parse_header
from emcomp.io.formats.text import BLANK, text_layout
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList

WINDOW_BYTES = 8 << 20
"""Bytes between two entries of the index: enough to parse with many threads, little in memory."""


class _Window(NamedTuple):
    begin: int
    end: int
    rows: int


class WindowedSource(OpenedSource):
    """Vectors with words before them, read as float32.

    Args:
        file: the file.
        dim: numbers in a row.
        windows: consecutive parts of the file, each of whole rows.
        threads: threads to parse with, None for the default of where it is read.
    """

    has_words = True

    def __init__(
        self, file: StoredFile, dim: int, windows: list[_Window], threads: int | None
    ) -> None:
        index = np.array(windows, np.int64).reshape(-1, 3)
        self._bytes = index[:, :2].copy()
        self._rows = np.concatenate(([0], np.cumsum(index[:, 2])))
        super().__init__(file.name, (int(self._rows[-1]), dim), "float32")
        self._file = file
        self._threads = threads

    @abstractmethod
    def _parse(self, window: bytes, skipped: int, row: int, out: NDArray[np.float32]) -> WordList:
        """Words and vectors of a window after some of its rows; ``row`` is the first one read."""

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count) as float32, parsed from their part of the file."""
        self._check_range(first, count)
        out = np.empty((count, self.shape[1]), np.float32)
        for window, begin, end in self._overlapping(first, count):
            self._parse_part(window, begin, out[begin - first : end - first])
        return out

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        for window, begin, end in self._overlapping(first, count):
            yield self._parse_part(
                window, begin, np.empty((end - begin, self.shape[1]), np.float32)
            )

    def _overlapping(self, first: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Windows that hold some of the rows, and which."""
        last = first + count
        for window in self._window_range(first, last):
            held = int(self._rows[window]), int(self._rows[window + 1])
            yield window, max(first, held[0]), min(last, held[1])

    def _window_range(self, first: int, last: int) -> range:
        begin = int(np.searchsorted(self._rows, first, "right")) - 1
        end = int(np.searchsorted(self._rows, last, "left"))
        return range(begin, end if last > first else begin)

    def narrowed(self, first: int, count: int) -> OpenedSource:
        """The same source with the index of rows [first, first + count) only."""
        self._check_range(first, count)
        held = self._window_range(first, first + count)
        part = copy.copy(self)
        part._readable = range(first, first + count)
        part._bytes = self._bytes[held.start : held.stop].copy()
        part._rows = self._rows[held.start : held.stop + 1].copy()
        return part

    def _parse_part(self, window: int, first: int, out: NDArray[np.float32]) -> WordList:
        begin, end = self._bytes[window].tolist()
        data = self._file.read(begin, end)
        with naming(self.name):
            return self._parse(data, first - int(self._rows[window]), first, out)


class TextSource(WindowedSource):
    """A text with a word and its numbers on each line: GloVe, word2vec, fastText's .vec.

    Args:
        file: the file, not compressed.
        has_header: whether the first line holds the number of vectors and the dimension.
        threads: threads to parse with, None for the default of where it is read.

    Raises:
        FormatError: if the first or the last line, or the number of lines, is not as it should be.
            Other lines are checked when they are read.
    """

    def __init__(self, file: StoredFile, *, has_header: bool, threads: int | None) -> None:
        with naming(file.name):
            layout = text_layout(file, has_header=has_header)
            end = _end_of_text(file, layout.begin)
            windows = list(_text_windows(file, layout.begin, end, resolve_threads(threads)))
            rows = sum(window.rows for window in windows)
            self._first_line = layout.first_line
            super().__init__(file, layout.dim, windows, threads)
            layout.check_rows(rows, np.iinfo(np.int64).max)
        self.read(rows - 1, 1)

    def _parse(self, window: bytes, skipped: int, row: int, out: NDArray[np.float32]) -> WordList:
        text = np.frombuffer(window, np.uint8)
        if skipped:
            text = text[np.flatnonzero(text == ord("\n"))[skipped - 1] + 1 :]
        threads = resolve_threads(self._threads)
        return WordList(*_core.parse_lines(text, self._first_line + row, out, threads))


class Word2VecBinarySource(WindowedSource):
    """Vectors in word2vec's binary format, with or without newlines after them.

    Args:
        file: the file.
        threads: threads to read with, None for the default of where it is read.

    Raises:
        FormatError: if the header is missing, or promises fewer vectors than there are.
        CorruptFileError: if the file is too short for what its header promises, naming the row.
    """

    def __init__(self, file: StoredFile, *, threads: int | None) -> None:
        with naming(file.name):
            header = parse_header(file.head())
            if header is None or header.rows == 0 or header.dim == 0:
                raise FormatError("line 1: expected the number of vectors and their dimension")
            windows = list(_binary_windows(file, header.length, header.rows, header.dim))
        super().__init__(file, header.dim, windows, threads)

    def _parse(self, window: bytes, skipped: int, row: int, out: NDArray[np.float32]) -> WordList:
        values = np.frombuffer(window, np.uint8)
        _, begin = _core.whole_binary_rows(values, self.shape[1], skipped, at_end=True)
        threads = resolve_threads(self._threads)
        letters, offsets, _ = _core.read_binary_rows(values, begin, row, out, threads)
        return WordList(letters, offsets)


def _end_of_text(file: StoredFile, begin: int) -> int:
    """Where the text ends, blank lines at its end left out."""
    end = file.size
    while end > begin:
        start = max(begin, end - WINDOW_BYTES // 64)
        kept = len(file.read(start, end).rstrip(BLANK))
        if kept:
            return start + kept
        end = start
    return end


def _text_windows(file: StoredFile, begin: int, end: int, threads: int) -> Iterator[_Window]:
    while begin < end:
        text = file.read(begin, min(begin + WINDOW_BYTES, end))
        if begin + len(text) < end:
            text = text[: text.rfind(b"\n") + 1]
            if not text:
                raise FormatError(f"byte {begin}: a line is longer than {WINDOW_BYTES} bytes")
        rows = _core.count_lines(np.frombuffer(text, np.uint8), threads)
        yield _Window(begin, begin + len(text), rows)
        begin += len(text)


def _binary_windows(file: StoredFile, begin: int, rows: int, dim: int) -> Iterator[_Window]:
    step = max(WINDOW_BYTES, 8 * (dim + 64))
    row = 0
    if rows > (file.size - begin) // (1 + 4 * dim):
        raise CorruptFileError(
            f"the header promises {rows} vectors of {dim} numbers, at least "
            f"{begin + rows * (1 + 4 * dim)} bytes; the file has {file.size}"
        )
    while row < rows:
        end = min(begin + step, file.size)
        values = np.frombuffer(file.read(begin, end), np.uint8)
        found, length = _core.whole_binary_rows(values, dim, rows - row, at_end=end == file.size)
        if not found:
            ends = "" if end < file.size else f", and the file ends at byte {end}"
            raise CorruptFileError(
                f"vector {row} (counted from 0), which begins at byte {begin}, is not whole after "
                f"{end - begin} bytes: the header promises {rows} of {dim} numbers{ends}"
            )
        yield _Window(begin, begin + length, found)
        begin += length
        row += found
    if begin != file.size:
        raise FormatError(
            f"the header promises {rows} vectors, which end at byte {begin}; "
            f"{file.size - begin} more bytes follow"
        )
