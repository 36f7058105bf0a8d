"""fastText models, whose rows are means of rows all over the file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.errors import FormatError, InputError
from emcomp.io.formats.recognition import MappedFile, naming
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList

_ROWS_TOGETHER = 2048
"""Words computed before the pages of their n-grams are given back: at most some 100 MB of them."""


class FastTextSource(OpenedSource):
    """Word vectors of a fastText model, as its ``get_word_vector`` returns them, in float32.

    The model is mapped while it is read, and its dictionary kept in memory.

    Args:
        file: the file, on this machine.
        threads: threads to compute with, None for the default of where it is read.

    Raises:
        InputError: if the file is remote.
        FormatError: if the model is quantized, cut short, or has no words.
    """

    has_words = True

    def __init__(self, file: StoredFile, *, threads: int | None) -> None:
        if file.is_remote:
            raise InputError(
                f"{file.name}: a fastText model is read everywhere at once; download it, or use its "
                ".vec file"
            )
        self._file = file
        self._threads = threads
        with naming(file.name):
            rows, dim = self._opened[1].shape
            if rows == 0:
                raise FormatError("the model has no words")
        super().__init__(file.name, (rows, dim), "float32")

    @cached_property
    def _opened(self) -> tuple[MappedFile, _core.FastTextFile]:
        self._file.check_unchanged()
        mapped = MappedFile(self._file.name)
        return mapped, _core.FastTextFile(mapped.bytes)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_opened"}

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Vectors of words [first, first + count)."""
        self._check_range(first, count)
        self._file.check_unchanged()
        mapped, model = self._opened
        out = np.empty((count, self.shape[1]), np.float32)
        for begin in range(0, count, _ROWS_TOGETHER):
            part = out[begin : begin + _ROWS_TOGETHER]
            model.read(first + begin, part, resolve_threads(self._threads))
            mapped.forget(0, mapped.size)
        return out

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        self._file.check_unchanged()
        yield WordList(*self._opened[1].words())[first : first + count]
