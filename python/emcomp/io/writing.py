"""Writing vectors in the usual formats, block by block and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, BinaryIO, Literal, get_args

import numpy as np

from emcomp import _core
from emcomp._support.atomic_files import atomic_write
from emcomp._support.threads import resolve_threads
from emcomp.errors import InputError
from emcomp.io.reading import words_of
from emcomp.io.sources.base import Source, as_source, block_rows, blocks
from emcomp.vocabulary.word_list import WordList, as_word_list

WrittenFormat = Literal["glove", "word2vec", "word2vec-binary", "npy"]

_BLOCK_BYTES = 8 << 20
"""float32 rows formatted together; as text they are about three times as large."""


def write_vectors(
    path: str | os.PathLike[str],
    vectors: Any,
    words: WordList | Iterable[str | bytes] | None = None,
    *,
    format: WrittenFormat = "glove",  # noqa: A002
    threads: int | None = None,
) -> None:
    """Write vectors, and their words where the format has them. Numbers are float32.

    Reading the file gives back the same float32 numbers, to the bit. The file appears when it is
    complete; on any error what was at ``path`` before stays.

    Args:
        path: the file to write.
        vectors: (rows, dim) array, memory map, or other source of rows, read block by block;
            float64 is rounded to float32.
        words: a word for each row; by default those of the vectors, where they have some. None for
            npy, which holds no words (``write_words`` writes them to a file of their own).
        format: ``"glove"`` text without a header, ``"word2vec"`` text with one,
            ``"word2vec-binary"``, or ``"npy"``.
        threads: threads to use; by default as many as OpenMP has.

    Raises:
        InputError: if words and rows do not fit, or the format cannot hold a word: an empty one, a
            newline; in the word2vec formats a space; in GloVe a last part that is a number.
        OSError: if the file cannot be written.
    """
    if format not in get_args(WrittenFormat):
        raise InputError(f"unknown format {format!r}: one of {', '.join(get_args(WrittenFormat))}")
    threads = resolve_threads(threads)
    source = as_source(vectors)
    rows, dim = source.shape
    if format == "npy":
        if words is not None:
            raise InputError("an npy file holds no words; write them with write_words")
        with atomic_write(path) as file:
            _write_npy(file, source)
        return
    if words is None:
        words = words_of(vectors)
    if words is None:
        raise InputError(f"the {format} format needs a word for each row")
    words = as_word_list(words)
    if len(words) != rows:
        raise InputError(f"{len(words)} words for {rows} vectors")
    _core.check_words(words.bytes, words.offsets, format == "glove")
    with atomic_write(path) as file:
        if format != "glove":
            file.write(b"%d %d\n" % (rows, dim))
        write = _core.format_binary if format == "word2vec-binary" else _core.format_lines
        step = block_rows(dim, _BLOCK_BYTES)
        for first in range(0, rows, step):
            block = source.read(first, min(step, rows - first))
            part = words[first : first + len(block)]
            file.write(write(block, part.bytes, part.offsets, threads))


def write_words(path: str | os.PathLike[str], words: WordList | Iterable[str | bytes]) -> None:
    r"""Write words, one on each line, as ``read_vectors(..., words=path)`` reads them.

    Raises:
        InputError: if a word has a newline, or ends with ``\r``.
        OSError: if the file cannot be written.
    """
    words = as_word_list(words)
    ends = words.offsets[1:].astype(np.int64)
    text = np.insert(words.bytes, ends, ord("\n"))
    if not np.array_equal(WordList.from_lines(text.tobytes()).offsets, words.offsets):
        raise InputError("a word with a newline, or a carriage return at its end, fills no line")
    with atomic_write(path) as file:
        file.write(text.tobytes())


def _write_npy(file: BinaryIO, source: Source) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": source.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for _, block in blocks(source):
        if block.dtype == np.uint16:  # bfloat16: the upper half of a float32
            file.write((block.astype("<u4") << np.uint32(16)).tobytes())
        else:
            with np.errstate(over="ignore"):
                file.write(block.astype("<f4").tobytes())
