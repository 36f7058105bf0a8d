"""Vectors in word2vec's binary format and in fastText's model files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.errors import CorruptFileError, FormatError
from emcomp.io.formats.recognition import Header, MappedFile, parse_header
from emcomp.vocabulary.word_list import WordList

_WINDOW_BYTES = 64 << 20


def binary_header(head: bytes, size: int | None) -> Header:
    """The header of a word2vec binary file, checked against the size of the file, if it is whole.

    Raises:
        FormatError: if the header is missing.
        CorruptFileError: if the file is too short for what it promises.
    """
    header = parse_header(head)
    if header is None or header.rows == 0 or header.dim == 0:
        raise FormatError("line 1: expected the number of vectors and their dimension")
    shortest = 1 + 4 * header.dim  # an empty word, the space after it, the numbers
    if size is not None and header.rows > (size - header.length) // shortest:
        raise CorruptFileError(
            f"the header promises {header.rows} vectors of {header.dim} numbers, at least "
            f"{header.length + header.rows * shortest} bytes; the file has {size}"
        )
    return header


def read_word2vec_binary(
    file: MappedFile, *, limit: int | None, is_whole: bool = True, threads: int
) -> tuple[NDArray[np.float32], WordList]:
    """Vectors and words of a word2vec binary file, with or without newlines after the vectors.

    Args:
        file: the file.
        limit: vectors to read at most.
        is_whole: whether this is all of the file.
        threads: threads to use.

    Returns:
        Vectors (rows, dim), and as many words.

    Raises:
        FormatError: if the header is missing, or promises fewer vectors than there are; or if it
            cannot be told where the word of a row ends.
        CorruptFileError: if the file is too short for what its header promises.
    """
    header = binary_header(file.head(), file.size if is_whole else None)
    rows = header.rows if limit is None else min(header.rows, limit)
    position = header.length
    newlines = _core.binary_newlines(file.bytes[position:], position, header.dim, rows, at_end=True)
    vectors = np.empty((rows, header.dim), np.float32)
    words = []
    step = max(_WINDOW_BYTES // (1 + 4 * header.dim), 1)
    for first in range(0, rows, step):
        out = vectors[first : first + step]
        letters, offsets, length = _core.read_binary_rows(
            file.bytes[position:], position, first, newlines, out, threads
        )
        words.append(WordList(letters, offsets))
        file.forget(position, position + length)
        position += length
    if rows == header.rows and position != file.size:
        raise FormatError(
            f"the header promises {header.rows} vectors, which end at byte {position}; "
            f"{file.size - position} more bytes follow"
        )
    return vectors, WordList.concatenate(words)


def read_fasttext(
    file: MappedFile, *, limit: int | None, threads: int
) -> tuple[NDArray[np.float32], WordList]:
    """Word vectors of a fastText model, as fastText's ``get_word_vector`` returns them.

    The vector of a word is the mean of its own row and those of its character n-grams
    (Bojanowski et al. 2017, section 3.2); n-grams of other words are not kept.

    Args:
        file: the file.
        limit: vectors to read at most.
        threads: threads to use.

    Returns:
        Vectors (rows, dim), and as many words.

    Raises:
        FormatError: if the model is quantized, or of an unknown version.
        CorruptFileError: if the file is cut short or contradicts itself.
    """
    model = _core.FastTextFile(file.bytes)
    rows, dim = model.shape
    if rows == 0:
        raise FormatError("the model has no words")
    if limit is not None:
        rows = min(rows, limit)
    vectors = np.empty((rows, dim), np.float32)
    model.read(0, vectors, threads)
    return vectors, WordList(*model.words())[:rows]
