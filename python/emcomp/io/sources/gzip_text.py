"""Text of word vectors compressed with gzip, which can only be read from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.io.formats.recognition import naming
from emcomp.io.formats.text import compressed_windows, text_layout
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import SequentialSource
from emcomp.vocabulary.word_list import WordList


class GzipTextSource(SequentialSource):
    """A compressed text with a word and its numbers on each line, read as float32.

    Opening decompresses it once to count its lines. A pass in order decompresses it once more;
    reading back begins at the beginning.

    Args:
        file: the file.
        has_header: whether the first line holds the number of vectors and the dimension.
        threads: threads to parse with, None for the default of where it is read.

    Raises:
        FormatError: if the first or the last line, or the number of lines, is not as it should be.
            Other lines are checked when they are read.
        CorruptFileError: if the compressed text is damaged or cut short.
    """

    has_words = True

    def __init__(self, file: StoredFile, *, has_header: bool, threads: int | None) -> None:
        with naming(file.name):
            layout = text_layout(file, has_header=has_header)
            rows = 0
            for window in compressed_windows(file, layout.begin):
                rows += _core.count_lines(window.text, resolve_threads(threads))
            layout.check_rows(rows, np.iinfo(np.int64).max)
            begin = window.text[:-1].tobytes().rfind(b"\n") + 1
            line = layout.first_line + rows - 1
            _core.parse_lines(window.text[begin:], line, np.empty((1, layout.dim), np.float32), 1)
        self._file = file
        self._layout = layout
        self._threads = threads
        super().__init__(file.name, (rows, layout.dim), "float32")

    def _check_unchanged(self) -> None:
        self._file.check_unchanged()

    def _row_blocks(self, first: int) -> Iterator[NDArray[Any]]:  # noqa: ARG002
        return (vectors for vectors, _ in self._parsed())

    def _word_blocks(self, first: int) -> Iterator[WordList]:  # noqa: ARG002
        return (words for _, words in self._parsed())

    def _parsed(self) -> Iterator[tuple[NDArray[np.float32], WordList]]:
        line = self._layout.first_line
        threads = resolve_threads(self._threads)
        with naming(self.name):
            for window in compressed_windows(self._file, self._layout.begin):
                rows = _core.count_lines(window.text, threads)
                out = np.empty((rows, self.shape[1]), np.float32)
                yield out, WordList(*_core.parse_lines(window.text, line, out, threads))
                line += rows
