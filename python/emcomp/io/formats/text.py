"""Vectors as text: words and numbers as GloVe and word2vec have them, and columns.

The text is parsed in windows of whole lines, so that beside the matrix only a window is in memory.
Its lines are counted first, so that the matrix is made once in its final size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.errors import FormatError
from emcomp.io.formats.columns_of_text import TextColumns, columns_of_numbers, columns_of_text
from emcomp.io.formats.recognition import (
    LINE_BYTES,
    Header,
    MappedFile,
    parse_header,
    text_head,
    whole_lines,
)
from emcomp.vocabulary.word_files import UTF8_MARK
from emcomp.vocabulary.word_list import WordList

WINDOW_BYTES = LINE_BYTES
"""Text parsed together: enough to keep all threads busy, little beside a table."""

BLANK = b" \t\r\n"


class Window(NamedTuple):
    """Whole lines of the text, the last one perhaps without its newline."""

    text: NDArray[np.uint8]
    begin: int
    """Position in the text."""


class TextLayout(NamedTuple):
    """How a text of vectors is laid out, told from its beginning."""

    begin: int
    """Where the first vector's line begins."""
    first_line: int
    """The number of that line."""
    dim: int
    header: Header | None = None
    columns: TextColumns | None = None

    @property
    def has_words(self) -> bool:
        """Whether there is a word on each line."""
        return self.columns is None or self.columns.word >= 0

    def parse(
        self, text: NDArray[np.uint8], row: int, out: NDArray[np.float32], threads: int
    ) -> WordList:
        """Fill rows from the first lines of a text, which is that of row ``row``; their words.

        Raises:
            FormatError: for the first line that is not as it should be.
        """
        line = self.first_line + row
        if self.columns is None:
            return WordList(*_core.parse_lines(text, line, out, threads))
        c = self.columns
        return WordList(
            *_core.parse_columns(text, line, c.separator, c.word, c.first, c.columns, out, threads)
        )

    def check_rows(self, rows: int, wanted: int) -> None:
        """Raise FormatError unless the file has as many vectors as it promises, or as are wanted."""
        header = self.header
        if header is not None and rows != min(header.rows, wanted):
            found = f"at least {rows}" if rows == wanted else str(rows)
            raise FormatError(
                f"line 1: the header promises {header.rows} vectors of {header.dim} numbers, the "
                f"file has {found} of {self.dim}; correct the header or remove it"
            )
        if rows == 0:
            raise FormatError("the file has no vectors")


def text_layout(head: bytes, kind: str, words_column: str | None = None) -> TextLayout:
    """How a text is laid out that begins with ``head``.

    Args:
        head: its first lines, or all of it.
        kind: glove, word2vec, csv or numbers.
        words_column: of csv, the column of the words.

    Raises:
        InputError: if there is no such column.
        FormatError: if the first lines are not as they should be.
    """
    begin = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    header = parse_header(head) if kind == "word2vec" else None
    if header is not None:
        begin = header.length
    elif kind == "word2vec":
        raise FormatError("line 1: expected the number of vectors and their dimension")
    if b"\n" not in head[begin:] and len(head) >= LINE_BYTES:
        raise FormatError(f"line {2 if header else 1} is longer than {LINE_BYTES} bytes")
    lines = [line for line in whole_lines(head, begin) if line.strip(BLANK)]
    if kind in ("csv", "numbers"):
        columns = (
            columns_of_text(lines, words_column) if kind == "csv" else columns_of_numbers(lines)
        )
        first_line = 1
        if columns.has_heading:
            begin = head.index(b"\n", begin) + 1
            first_line = 2
        return TextLayout(begin, first_line, columns.dim, None, columns)
    return TextLayout(begin, 2 if header else 1, _dim_of(lines, header), header)


def read_text(
    file: MappedFile,
    kind: str,
    *,
    words_column: str | None = None,
    limit: int | None,
    threads: int,
) -> tuple[NDArray[np.float32], WordList | None]:
    """Vectors and words of a text file.

    Args:
        file: the file.
        kind: glove, word2vec, csv or numbers.
        words_column: of csv, the column of the words.
        limit: vectors to read at most.
        threads: threads to use.

    Returns:
        Vectors (rows, dim), and as many words where lines have words.

    Raises:
        FormatError: for the first line that is not as it should be, or a header that is wrong.
    """
    layout = text_layout(text_head(file), kind, words_column)
    # A table cannot have more rows than its text has lines; the header may claim what it likes.
    wanted = np.iinfo(np.int64).max if limit is None else limit
    windows = []
    rows = 0
    for window in _windows(file, layout.begin):
        lines = _core.count_lines(window.text, threads)
        windows.append((window, lines))
        rows += lines
        file.forget(window.begin, window.begin + window.text.size)
        if rows >= wanted:
            break
    vectors = np.empty((min(rows, wanted), layout.dim), np.float32)
    words = []
    filled = 0
    for window, lines in windows:
        count = min(lines, len(vectors) - filled)
        words.append(layout.parse(window.text, filled, vectors[filled : filled + count], threads))
        file.forget(window.begin, window.begin + window.text.size)
        filled += count
    layout.check_rows(len(vectors), wanted)
    return vectors, WordList.concatenate(words) if layout.has_words else None


def _dim_of(lines: list[bytes], header: Header | None) -> int:
    """The dimension: how many numbers most of the first lines end with."""
    counts = Counter(min(numbers, fields - 1) for fields, numbers in map(_core.count_fields, lines))
    found = max(counts, key=lambda dim: (counts[dim], -dim), default=0)
    if header is not None:
        if header.dim == 0 or (counts and found != header.dim):
            raise FormatError(
                f"line 1: the header promises {header.dim} numbers a line, the lines after it have "
                f"{found}; correct the header or remove it"
            )
        return header.dim
    if found == 0:
        raise FormatError("line 1, column 1: there are no numbers after the word")
    return found


def _windows(file: MappedFile, begin: int) -> Iterator[Window]:
    end = file.size
    while end > begin and file.bytes[end - 1] in BLANK:
        end -= 1
    while begin < end:
        stop = min(begin + WINDOW_BYTES, end)
        if stop < end:
            stop = file.last_newline(begin, stop) + 1
            if stop == 0:
                raise FormatError(
                    f"byte {begin} of the text: a line is longer than {WINDOW_BYTES} bytes"
                )
        yield Window(file.bytes[begin:stop], begin)
        begin = stop
