"""Files of vectors: word vectors in the usual formats, and tables without words."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.errors import InputError
from emcomp.io.formats.arrays import read_npy, read_npz, read_safetensors
from emcomp.io.formats.binary import read_fasttext, read_word2vec_binary
from emcomp.io.formats.recognition import MappedFile, check_format, naming, recognise
from emcomp.io.formats.text import read_text
from emcomp.io.sources.base import Source
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList, as_word_list

Duplicates = Literal["error", "first", "last"]


class WordVectors:
    """Vectors, and the words they belong to where these are known. A source of rows.

    Attributes:
        vectors: (rows, dim) float16, float32 or float64, or uint16 holding bfloat16 bits.
        words: as many words, or None.
    """

    def __init__(self, vectors: NDArray[Any], words: WordList | None = None) -> None:
        if words is not None and len(words) != len(vectors):
            raise InputError(f"{len(words)} words for {len(vectors)} vectors")
        self.vectors = vectors
        self.words = words

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self.vectors.shape[0], self.vectors.shape[1]

    @property
    def dtype(self) -> str:
        """Type of the numbers: float16, bfloat16, float32 or float64."""
        return "bfloat16" if self.vectors.dtype == np.uint16 else self.vectors.dtype.name

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count), as ``Block.rows`` describes."""
        # A file's header may leave its numbers at any byte.
        return np.require(self.vectors[first : first + count], requirements="A")

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        words = (
            "no words" if self.words is None else f"words {', '.join(map(repr, self.words[:3]))}"
        )
        more = ", ..." if self.words is not None and len(self) > 3 else ""
        return f"WordVectors({self.shape[0]} x {self.shape[1]} {self.dtype}, {words}{more})"


def words_of(table: Any, opened: Source | None = None) -> Iterable[str | bytes] | None:
    """The words that a table brings along; None where it has none.

    Args:
        table: word vectors, a source, a compressed table, gensim's KeyedVectors, or a path.
        opened: the source that was opened, for a path.

    Raises:
        InputError: if a key of a KeyedVectors is no string.
    """
    if isinstance(table, (str, os.PathLike)):
        table = opened
    if isinstance(table, OpenedSource):
        return table.words()
    keys: Iterable[Any] | None = getattr(table, "index_to_key", None)
    if keys is None:
        # Only of a source: a column of a data frame may have that name.
        return getattr(table, "words", None) if isinstance(table, Source) else None
    for row, key in enumerate(keys):
        if not isinstance(key, str):
            raise InputError(
                f"key {row} is {key!r}, of type {type(key).__name__}: words are strings; compress "
                "the vectors alone, or name them all with words=..."
            )
    return keys


def read_vectors(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    limit: int | None = None,
    duplicates: Duplicates = "error",
    tensor: str | None = None,
    words: str | os.PathLike[str] | WordList | Iterable[str | bytes] | None = None,
    threads: int | None = None,
) -> WordVectors:
    """Read the vectors of a file, whatever its format.

    Args:
        path: GloVe text; word2vec text (fastText's .vec) or binary; a fastText model; npy, npz or
            safetensors. Text may be compressed with gzip.
        format: ``"glove"``, ``"word2vec"``, ``"word2vec-binary"``, ``"fasttext"``, ``"npy"``,
            ``"npz"`` or ``"safetensors"``; by default told from the content.
        limit: read only so many vectors, the first ones.
        duplicates: what to do with a word that occurs again: ``"error"``, or keep its ``"first"``
            or ``"last"`` vector.
        tensor: name of the table in an npz or safetensors file, where it is not plain.
        words: for npy, npz and safetensors, which hold none: the words, or the path of a file with
            one on each line.
        threads: threads to use; by default as many as OpenMP has.

    Returns:
        Vectors and words. Text, word2vec binary and fastText become float32 in memory; npy,
        uncompressed npz and safetensors are mapped from the file in their own type.

    Raises:
        InputError: if an argument does not fit the others or the file, or a word occurs twice.
        FormatError: if the file is not as its format asks, saying where.
        CorruptFileError: if it is damaged or cut short.
        OSError: if it cannot be read.
    """
    _check_arguments(limit, duplicates)
    threads = resolve_threads(threads)
    with naming(path):
        file = MappedFile(path)
        kind = check_format(format) if format is not None else recognise(file)
        holds_words = kind not in ("npy", "npz", "safetensors")
        if holds_words and words is not None:
            raise InputError(f"a {kind} file has words of its own; words= is for files without")
        if tensor is not None and kind not in ("npz", "safetensors"):
            raise InputError(
                f"a {kind} file has one table only; tensor= is for npz and safetensors"
            )
        if kind == "npy":
            table = read_npy(file.path)[:limit]
        elif kind == "npz":
            table = read_npz(file.path, tensor)[:limit]
        elif kind == "safetensors":
            table = read_safetensors(file, tensor)[:limit]
        else:
            if kind == "fasttext":
                vectors, own = read_fasttext(file, limit=limit, threads=threads)
            elif kind == "word2vec-binary":
                vectors, own = read_word2vec_binary(file, limit=limit, threads=threads)
            else:
                vectors, own = read_text(
                    file, has_header=kind == "word2vec", limit=limit, threads=threads
                )
            return _without_duplicates(vectors, own, duplicates, 1 + (kind == "word2vec"), kind)
    if words is None:
        return WordVectors(table)
    return _with_words(table, _words_from(words), limit, duplicates)


def _check_arguments(limit: int | None, duplicates: str) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InputError(f"limit must be a positive whole number or None, not {limit!r}")
    if duplicates not in get_args(Duplicates):
        raise InputError(f"duplicates must be 'error', 'first' or 'last', not {duplicates!r}")


def _words_from(words: str | os.PathLike[str] | WordList | Iterable[str | bytes]) -> WordList:
    if isinstance(words, str | os.PathLike):
        return WordList.from_lines(Path(words).read_bytes())
    return as_word_list(words)


def _with_words(
    table: NDArray[Any], words: WordList, limit: int | None, duplicates: Duplicates
) -> WordVectors:
    words = words[:limit]
    if len(words) != len(table):
        raise InputError(f"{len(words)} words for {len(table)} vectors")
    return _without_duplicates(table, words, duplicates, 1, "npy")


def _without_duplicates(
    vectors: NDArray[Any], words: WordList, duplicates: Duplicates, first_line: int, kind: str
) -> WordVectors:
    first = _core.first_occurrences(words.bytes, words.offsets)
    rows = np.arange(len(words))
    repeated = np.flatnonzero(first != rows)
    if repeated.size == 0:
        return WordVectors(vectors, words)
    if duplicates == "error":
        later = int(repeated[0])
        place, offset = ("vectors", 0)
        if kind in ("glove", "word2vec", "npy"):
            place, offset = ("lines", first_line)
        raise InputError(
            f"{repeated.size} words occur more than once, the first one {words[later]!r} in {place} "
            f"{int(first[later]) + offset} and {later + offset}; keep one of each with "
            "duplicates='first' or 'last'"
        )
    if duplicates == "first":
        kept = first == rows
    else:
        last = rows.copy()
        np.maximum.at(last, first, rows)
        kept = last[first] == rows
    return WordVectors(_keep_rows(vectors, kept), words.take(kept))


def _keep_rows(vectors: NDArray[Any], kept: NDArray[np.bool_]) -> NDArray[Any]:
    """The rows of a mask, moved together in place where the array is our own."""
    if not vectors.flags.writeable:
        return vectors[kept]
    block = max((16 << 20) // (vectors.shape[1] * vectors.itemsize), 1)
    filled = 0
    for begin in range(0, len(vectors), block):
        rows = vectors[begin : begin + block][kept[begin : begin + block]]
        vectors[filled : filled + len(rows)] = rows
        filled += len(rows)
    return vectors[:filled]
