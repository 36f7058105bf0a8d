"""Vectors as text: GloVe's lines of a word and its numbers, word2vec's with a header before them.

The text is parsed in windows of whole lines, so that beside the matrix only a window is in memory.
A plain file is mapped and its lines are counted first, so that the matrix is made once in its final
size; a compressed one is decompressed once, and the matrix grows with it.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.errors import CorruptFileError, FormatError
from emcomp.io.formats.recognition import (
    HEAD_BYTES,
    HeadedFile,
    Header,
    MappedFile,
    is_gzip,
    numbers_in,
    parse_header,
    text_head,
)
from emcomp.vocabulary.word_list import WordList

WINDOW_BYTES = 16 << 20
"""Text parsed together: enough to keep all threads busy, little beside a table."""

BLANK = b" \t\r\n"
_SAMPLED_LINES = 100


class Window(NamedTuple):
    """Whole lines of the text, the last one perhaps without its newline."""

    text: NDArray[np.uint8]
    begin: int
    """Position in the text."""


class TextLayout(NamedTuple):
    """How a text of vectors is laid out, told from its beginning."""

    header: Header | None
    dim: int

    @property
    def begin(self) -> int:
        """Where the first vector's line begins."""
        return self.header.length if self.header else 0

    @property
    def first_line(self) -> int:
        """The number of that line."""
        return 2 if self.header else 1

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


def text_layout(file: HeadedFile, *, has_header: bool) -> TextLayout:
    """Header and dimension of a text file, plain or compressed with gzip.

    Raises:
        FormatError: if the first lines are not as they should be.
        CorruptFileError: if compressed text is damaged.
    """
    head = text_head(file)
    header = parse_header(head) if has_header else None
    if has_header and header is None:
        raise FormatError("line 1: expected the number of vectors and their dimension")
    lines = head[header.length if header else 0 :].split(b"\n")
    if len(lines) == 1 and len(head) == HEAD_BYTES:
        raise FormatError(f"line {1 + has_header} is longer than {HEAD_BYTES} bytes")
    return TextLayout(header, _dim_of(lines, header))


def read_text(
    file: MappedFile, *, has_header: bool, limit: int | None, threads: int
) -> tuple[NDArray[np.float32], WordList]:
    """Vectors and words of a text file, plain or compressed with gzip.

    Args:
        file: the file.
        has_header: whether the first line holds the number of vectors and the dimension.
        limit: vectors to read at most.
        threads: threads to use.

    Returns:
        Vectors (rows, dim), and as many words.

    Raises:
        FormatError: for the first line that is not as it should be, or a header that is wrong.
        CorruptFileError: if compressed text is damaged or cut short.
    """
    layout = text_layout(file, has_header=has_header)
    dim = layout.dim
    # A table cannot have more rows than its text has lines; the header may claim what it likes.
    wanted = np.iinfo(np.int64).max if limit is None else limit
    if is_gzip(file.head()):
        vectors, words = _read_growing(
            compressed_windows(file, layout.begin), dim, wanted, layout.first_line, threads
        )
    else:
        vectors, words = _read_counted(file, layout.begin, dim, wanted, layout.first_line, threads)
    layout.check_rows(len(words), wanted)
    return vectors, words


def _dim_of(lines: list[bytes], header: Header | None) -> int:
    """The dimension: what most of the first lines have, as words with spaces add fields."""
    counts = Counter(
        numbers_in(line) for line in lines[:-1][:_SAMPLED_LINES] or lines if line.strip(BLANK)
    )
    found = max(counts, key=lambda dim: (counts[dim], -dim), default=0)
    if header is not None:
        if header.dim == 0 or (found and found < header.dim):
            raise FormatError(
                f"line 1: the header promises {header.dim} numbers a line, the lines after it have "
                f"{found}; correct the header or remove it"
            )
        if found > header.dim and min(counts) > header.dim:
            raise FormatError(
                f"line 1: the header promises {header.dim} numbers a line, the lines after it have "
                f"{found}; correct the header or remove it"
            )
        return header.dim
    if found == 0:
        raise FormatError("line 1, column 1: there are no numbers after the word")
    return found


def _read_counted(
    file: MappedFile, begin: int, dim: int, wanted: int, first_line: int, threads: int
) -> tuple[NDArray[np.float32], WordList]:
    windows = []
    rows = 0
    for window in _mapped_windows(file, begin):
        lines = _core.count_lines(window.text, threads)
        windows.append((window, lines))
        rows += lines
        file.forget(window.begin, window.begin + window.text.size)
        if rows >= wanted:
            break
    vectors = np.empty((min(rows, wanted), dim), np.float32)
    words = []
    filled = 0
    for window, lines in windows:
        count = min(lines, len(vectors) - filled)
        out = vectors[filled : filled + count]
        words.append(WordList(*_core.parse_lines(window.text, first_line + filled, out, threads)))
        file.forget(window.begin, window.begin + window.text.size)
        filled += count
    return vectors, WordList.concatenate(words)


def _read_growing(
    windows: Iterator[Window], dim: int, wanted: int, first_line: int, threads: int
) -> tuple[NDArray[np.float32], WordList]:
    vectors = np.empty((0, dim), np.float32)
    words = []
    filled = 0
    for window in windows:
        count = min(_core.count_lines(window.text, threads), wanted - filled)
        # Large blocks of memory grow where they are; no other name refers to the array yet.
        vectors.resize((filled + count, dim), refcheck=False)
        out = vectors[filled:]
        words.append(WordList(*_core.parse_lines(window.text, first_line + filled, out, threads)))
        del out
        filled += count
        if filled == wanted:
            break
    return vectors, WordList.concatenate(words)


def _mapped_windows(file: MappedFile, begin: int) -> Iterator[Window]:
    end = file.size
    while end > begin and file.bytes[end - 1] in BLANK:
        end -= 1
    while begin < end:
        stop = min(begin + WINDOW_BYTES, end)
        if stop < end:
            stop = file.last_newline(begin, stop) + 1
            if stop == 0:
                raise _too_long(begin)
        yield Window(file.bytes[begin:stop], begin)
        begin = stop


def compressed_windows(file: HeadedFile, begin: int) -> Iterator[Window]:
    """Windows of decompressed text; blank lines are held back until it shows what follows."""
    pending = b""
    try:
        with file.open() as compressed, gzip.open(compressed) as text:
            text.read(begin)
            while piece := text.read(WINDOW_BYTES // 2):
                pending += piece
                if len(pending) > 2 * WINDOW_BYTES:
                    raise _too_long(begin)
                stop = pending.rfind(b"\n", 0, len(pending.rstrip(BLANK))) + 1
                if stop > 0:
                    yield Window(np.frombuffer(pending, np.uint8, stop), begin)
                    begin += stop
                    pending = pending[stop:]
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptFileError(f"the compressed text is damaged: {error}") from error
    pending = pending.rstrip(BLANK)
    if pending:
        yield Window(np.frombuffer(pending, np.uint8), begin)


def _too_long(begin: int) -> FormatError:
    return FormatError(f"byte {begin} of the text: a line is longer than {WINDOW_BYTES} bytes")
