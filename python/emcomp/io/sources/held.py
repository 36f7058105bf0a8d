"""Tables that a file is turned into as a whole: gensim's, and GloVe's binary parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import check_matrix
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.matrices import MatrixSource
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList


class HeldSource(OpenedSource):
    """Rows in memory, with words. It pickles with both."""

    has_words = True

    def __init__(self, name: str, rows: NDArray[Any], words: WordList) -> None:
        super().__init__(name, (rows.shape[0], rows.shape[1]), rows.dtype.name)
        self._held = rows
        self._kept_words = words

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count)."""
        self._check_range(first, count)
        return self._held[first : first + count]

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        yield self._kept_words[first : first + count]


def open_gensim(file: StoredFile) -> HeldSource:
    """The vectors of gensim's .kv or .model, a pickle that can run code: only when asked for.

    Raises:
        InputError: if gensim is not installed.
        FormatError: if gensim finds no vectors there.
    """
    try:
        from gensim.utils import SaveLoad
    except ImportError as error:
        raise InputError(
            f"{file.name}: format='gensim' needs gensim: pip install 'emcomp[gensim]'"
        ) from error
    try:
        loaded = SaveLoad.load(file.place, mmap="r")
    except OSError:
        raise
    except Exception as error:  # a pickle can raise whatever it likes
        raise FormatError(f"{file.name}: gensim cannot load it: {error}") from error
    vectors = getattr(loaded, "wv", loaded)
    words, rows = getattr(vectors, "index_to_key", None), getattr(vectors, "vectors", None)
    if words is None or rows is None:
        raise FormatError(f"{file.name}: {type(loaded).__name__} has no word vectors")
    return HeldSource(file.name, check_matrix(rows), WordList.from_strings(map(str, words)))


class GloveBinarySource(OpenedSource):
    """GloVe's own binary parameters: the sum of word and context vectors, as its text has them.

    The file has float64 numbers alone: for each word its vector and a bias, then the same for
    contexts. How many words there are, its vocabulary file tells.

    Args:
        file: the file.
        rows: how many words.

    Raises:
        FormatError: if the file's size does not fit.
    """

    def __init__(self, file: StoredFile, rows: int) -> None:
        numbers, rest = divmod(file.size, 8)
        width, left = divmod(numbers, 2 * rows)
        if rest or left or width < 2:
            raise FormatError(
                f"{file.name}: {file.size} bytes are not word and context vectors of {rows} words: "
                "words= must be the vocabulary that GloVe wrote beside it"
            )
        self._numbers = MatrixSource(file, 0, "<f8", (2 * rows, width))
        super().__init__(file.name, (rows, width - 1), "float64")

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count)."""
        self._check_range(first, count)
        words = self._numbers.read(first, count)
        contexts = self._numbers.read(self.shape[0] + first, count)
        return np.asarray((words + contexts)[:, :-1])
