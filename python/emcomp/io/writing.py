"""Writing vectors in the usual formats, block by block and whole or not at all."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, BinaryIO, Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import atomic_write
from emcomp._support.threads import resolve_threads
from emcomp.errors import FormatError, InputError
from emcomp.io.formats.matrix_files import write_npy, write_npz, write_parquet, write_safetensors
from emcomp.io.formats.recognition import Beginning, recognise, text_head
from emcomp.io.formats.text import text_layout
from emcomp.io.reading import words_of
from emcomp.io.sources.base import Block, Source, as_source, block_rows
from emcomp.io.sources.decompression import wrapping_of
from emcomp.vocabulary.given_words import GivenWords, check_number_of_words, given_words
from emcomp.vocabulary.word_files import words_of_text
from emcomp.vocabulary.word_list import WordList

WrittenFormat = Literal[
    "glove", "word2vec", "word2vec-binary", "npy", "npz", "safetensors", "parquet"
]
WrittenType = Literal["float32", "float16"]

_ENDINGS: dict[str, WrittenFormat] = {
    ".txt": "glove", ".vec": "word2vec", ".bin": "word2vec-binary", ".npy": "npy", ".npz": "npz",
    ".safetensors": "safetensors", ".parquet": "parquet",
}  # fmt: skip
_COMPRESSED = (".gz", ".gzip")
_OTHER_WRAPPINGS = (".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz")

_STREAMED = ("glove", "word2vec", "word2vec-binary")
"""Formats that are written from their beginning to their end, and hold float32 alone."""

_BLOCK_BYTES = 8 << 20
"""float32 rows formatted together; as text they are about three times as large."""

_GZIP_LEVEL = 6


class Ending(NamedTuple):
    """What the name of a file says of how it is to be written."""

    format: WrittenFormat
    is_compressed: bool


def ending_of(path: str | os.PathLike[str], wanted: str | None = None) -> Ending:
    """How to write a file: the format that is wanted, or that of the name's ending.

    Raises:
        InputError: if neither names a format, or it cannot be compressed as the name says.
    """
    name = os.fspath(path).lower()
    plain = name
    for ending in _COMPRESSED:
        plain = plain.removesuffix(ending)
    is_compressed = plain != name
    if wanted is not None:
        if wanted not in get_args(WrittenFormat):
            raise InputError(
                f"unknown format {wanted!r}: one of {', '.join(get_args(WrittenFormat))}"
            )
        found = cast("WrittenFormat", wanted)
    else:
        ending = os.path.splitext(plain)[1]  # noqa: PTH122
        known = _ENDINGS.get(ending)
        if known is None:
            raise InputError(f"{os.fspath(path)}: {_unknown(ending)}")
        found = known
    if name.endswith(_OTHER_WRAPPINGS):
        raise InputError(f"{os.fspath(path)}: of compressed files, only .gz is written")
    if is_compressed and found not in _STREAMED:
        raise InputError(
            f"{os.fspath(path)}: a {found} file is not written with gzip; leave .gz out"
        )
    return Ending(found, is_compressed)


def _unknown(ending: str) -> str:
    if ending == ".emcomp":
        return "emcomp compress writes emcomp files, as .save(path) of a table does"
    known = ", ".join(f"{format_} for {name}" for name, format_ in _ENDINGS.items())
    return (
        f"the ending {ending!r} names no format that is written; end the name as one does, or give "
        f"format= (--format): {known}"
    )


def write_vectors(
    path: str | os.PathLike[str] | BinaryIO,
    vectors: Any,
    words: GivenWords | None = None,
    *,
    format: WrittenFormat | None = None,  # noqa: A002
    dtype: WrittenType = "float32",
    threads: int | None = None,
) -> None:
    """Write vectors, and their words where the format has them.

    Reading the file gives back the same numbers, to the bit, and the same words. The file appears
    when it is complete; on any error what was at ``path`` before stays.

    Args:
        path: the file to write, or an open binary file. Text and word2vec binary are compressed
            where the name ends with ``.gz``.
        vectors: (rows, dim) array, memory map, or other source of rows, read block by block;
            float64 is rounded to float32.
        words: a word for each row, as for `read_vectors`; by default those of the vectors, where
            they have some. None for npy, which holds no words (``write_words`` writes them to a
            file of their own).
        format: ``"glove"`` text without a header, ``"word2vec"`` text with one,
            ``"word2vec-binary"``, ``"npy"``, ``"npz"``, ``"safetensors"`` or ``"parquet"``; by
            default told from the ending: .txt, .vec, .bin, .npy, .npz, .safetensors, .parquet.
        dtype: ``"float16"`` for half the size, in all formats but the first three.
        threads: threads to use; by default as many as OpenMP has.

    Raises:
        InputError: if neither the ending nor ``format`` names a format; if words and rows do not
            fit, or the format cannot hold a word: an empty one, a newline, a space at its beginning
            or end; in the word2vec formats any space; in GloVe a last part that is a number; or if
            a number is too large for the type, naming row and column.
        OSError: if the file cannot be written.
    """
    target = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    if not target and format is None:
        raise InputError("an open file has no ending: give format=")
    written, is_compressed = ending_of(target, format)
    if dtype not in get_args(WrittenType):
        raise InputError(f"dtype must be 'float32' or 'float16', not {dtype!r}")
    if dtype != "float32" and written in _STREAMED:
        raise InputError(f"the {written} format holds float32 alone; dtype= is for the others")
    source = as_source(vectors)
    listed = _words_for(written, vectors, words, source.shape[0])
    with _opened(path) as file:
        if written in _STREAMED:
            assert listed is not None
            with _compressing(file, is_compressed) as out:
                _write_lines(out, written, source, listed, resolve_threads(threads))
        elif written == "npy":
            write_npy(file, source.shape, dtype, _rounded(source, dtype))
        else:
            write = {"npz": write_npz, "safetensors": write_safetensors, "parquet": write_parquet}
            write[written](file, source.shape, dtype, _rounded(source, dtype), listed)


def write_words(path: str | os.PathLike[str], words: GivenWords) -> None:
    r"""Write words, one on each line, as ``read_vectors(..., words=path)`` reads them.

    Raises:
        InputError: if a word has a newline, or ends with ``\r``; or if the lines would be read as
            words with counts, as columns, or as JSON.
        OSError: if the file cannot be written.
    """
    words = given_words(words)
    ends = words.offsets[1:].astype(np.int64)
    text = np.insert(words.bytes, ends, ord("\n")).tobytes()
    if not np.array_equal(WordList.from_lines(text).offsets, words.offsets):
        raise InputError("a word with a newline, or a carriage return at its end, fills no line")
    try:
        again = words_of_text(text)
    except (FormatError, InputError):
        again = None
    if again != words:
        raise InputError(
            f"a file of these words, {words[0]!r} the first, would be read as something else, such "
            "as words with counts, columns, or JSON: keep them in a Parquet or safetensors file"
        )
    with atomic_write(path) as file:
        file.write(text)


def _words_for(
    written: WrittenFormat, vectors: Any, words: GivenWords | None, rows: int
) -> WordList | None:
    """The words to write, known to fit."""
    if written == "npy":
        if words is not None:
            raise InputError("an npy file holds no words; write them with write_words")
        return None
    given = words_of(vectors) if words is None else words
    if given is None:
        if written in _STREAMED:
            raise InputError(f"the {written} format needs a word for each row")
        return None
    listed = given_words(given, rows)
    check_number_of_words(listed, rows, words)
    if written in _STREAMED:
        _core.check_words(listed.bytes, listed.offsets, written == "glove")
    return listed


@contextmanager
def _opened(path: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(path, (str, os.PathLike)):
        with atomic_write(path) as file:
            yield file
    else:
        yield path


def _compressing(file: BinaryIO, is_compressed: bool) -> AbstractContextManager[BinaryIO]:
    if not is_compressed:
        return nullcontext(file)
    # Without name and time, so that the same vectors give the same bytes.
    opened = gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)
    return cast("AbstractContextManager[BinaryIO]", opened)


def _write_lines(
    file: BinaryIO, written: WrittenFormat, source: Source, words: WordList, threads: int
) -> None:
    rows, dim = source.shape
    header = b"" if written == "glove" else b"%d %d\n" % (rows, dim)
    write = _core.format_binary if written == "word2vec-binary" else _core.format_lines
    for first, block in _rounded(source, "float32", block_rows(dim, _BLOCK_BYTES)):
        part = words[first : first + len(block)]
        text = header + write(block, part.bytes, part.offsets, threads)
        if first == 0:
            _check_recognised(text, written, dim, len(block) == rows)
        file.write(text)
        header = b""


def _check_recognised(text: bytes, written: WrittenFormat, dim: int, is_whole: bool) -> None:
    """Raise InputError unless what was written is told to be what it is."""
    beginning = Beginning(text, len(text) if is_whole else len(text) + 1)
    try:
        found: str = wrapping_of(beginning.head()) or recognise(beginning)
        if found == written and written != "word2vec-binary":
            found_dim = text_layout(text_head(beginning), written).dim
            found = found if found_dim == dim else f"{written} of {found_dim} dimensions"
    except FormatError as error:
        found = str(error)
    if found != written:
        raise InputError(
            f"the first words and numbers would not be read as {written} again, but as: {found}. "
            "Write word2vec-binary, Parquet or safetensors instead"
        )


def _rounded(source: Source, dtype: WrittenType, step: int | None = None) -> Iterator[Block]:
    """The rows in the type that is written.

    Raises:
        InputError: if a number is too large for it, naming row and column.
    """
    rows, dim = source.shape
    step = step or block_rows(dim, _BLOCK_BYTES)
    for first in range(0, rows, step):
        block = source.read(first, min(step, rows - first))
        if block.dtype == np.uint16:  # bfloat16: the upper half of a float32
            block = (block.astype(np.uint32) << np.uint32(16)).view(np.float32)
        with np.errstate(over="ignore"):
            out: NDArray[Any] = block.astype(np.dtype(dtype).newbyteorder("<"))
        if out.dtype.itemsize < block.dtype.itemsize:
            lost = np.isinf(out) & ~np.isinf(block)
            if lost.any():
                row, column = (int(i) for i in np.argwhere(lost)[0])
                raise InputError(
                    f"row {first + row}, column {column}: {block[row, column]} is too large for "
                    f"{dtype}; {int(lost.sum())} of the rows from {first} on are"
                )
        yield Block(first, out)
