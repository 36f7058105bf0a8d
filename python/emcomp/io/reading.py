"""Files of vectors: word vectors in the usual formats, and tables without words."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.errors import CorruptFileError, InputError
from emcomp.io.formats.binary import read_fasttext, read_word2vec_binary
from emcomp.io.formats.recognition import MappedFile, naming
from emcomp.io.formats.text import read_text
from emcomp.io.inputs import Options, Recognised, recognised
from emcomp.io.sources.base import Source
from emcomp.io.sources.matrices import MatrixSource
from emcomp.io.sources.opened import OpenedSource
from emcomp.io.sources.opening import open_files, open_recognised
from emcomp.io.sources.paths import located
from emcomp.vocabulary.given_words import GivenWords, check_number_of_words, given_words
from emcomp.vocabulary.word_list import WordList

_WITH_WORDS: tuple[str, ...] = ("glove", "word2vec", "word2vec-binary", "fasttext", "gensim")
_READ_WHOLE: tuple[str, ...] = (
    "glove", "word2vec", "word2vec-binary", "fasttext", "csv", "numbers",
)  # fmt: skip
"""Formats that are parsed into memory at once, with all threads, where they are on this machine."""

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
    member: str | None = None,
    tensor: str | None = None,
    column: str | None = None,
    words_column: str | None = None,
    dtype: str | None = None,
    shape: tuple[int | None, int] | None = None,
    words: GivenWords | None = None,
    threads: int | None = None,
) -> WordVectors:
    """Read the vectors of a file, whatever its format.

    Args:
        path: GloVe text; word2vec text (fastText's .vec) or binary; a fastText model; CSV; lines of
            numbers; npy, npz, safetensors, torch checkpoints, GGUF, HDF5, Parquet, Arrow. It may be
            compressed (gzip, bzip2, xz, zstd) or in a zip or tar archive. ``-`` is standard input;
            pipes, folders, patterns and URLs are taken as `open_source` takes them.
        format: ``"glove"``, ``"word2vec"``, ``"word2vec-binary"``, ``"fasttext"``, ``"csv"``,
            ``"numbers"``, ``"npy"``, ``"npz"``, ``"safetensors"``, ``"torch"``, ``"gguf"``,
            ``"hdf5"``, ``"parquet"`` or ``"arrow"``; by default told from the content. Only when
            named: ``"glove-binary"`` (with ``words``), and ``"gensim"``, which loads a pickle and
            can run code that is in it.
        limit: read only so many vectors, the first ones.
        duplicates: what to do with a word that occurs again: ``"error"``, or keep its ``"first"``
            or ``"last"`` vector.
        member: which file of an archive to take, where several may be meant.
        tensor: name of the table in an npz or HDF5 file or checkpoint, where it is not plain.
        column: the column of vectors of a Parquet or Arrow file, where it is not plain.
        words_column: the column of words of such a file or of CSV, where it is not plain.
        dtype: with ``shape``, the type of raw numbers; ``"bfloat16"`` for npy files of its bits.
        shape: rows (None for what the file has) and dimension of a file of raw numbers.
        words: for files without: words in the order of the rows; a mapping from words to rows or
            from rows to words; or the path of a file of words, ``vocab.json`` or
            ``tokenizer.json``, or of a model's folder with one of these.
        threads: threads to use; by default as many as OpenMP has.

    Returns:
        Vectors and words. Matrices that lie in the file as they are (npy, npz, safetensors, ...)
        are mapped in their own type; text, word2vec binary and fastText become float32 in memory.

    Raises:
        InputError: if an argument does not fit the others or the file, or a word occurs twice.
        FormatError: if the file is not as its format asks, saying where.
        CorruptFileError: if it is damaged or cut short.
        OSError: if it cannot be read.
    """
    check_limit(limit)
    check_duplicates(duplicates)
    threads = resolve_threads(threads)
    options = Options(format, member, tensor, column, words_column, dtype, shape, threads)
    options.check()
    place = located(path)
    if isinstance(place, list):
        source = open_files(os.fspath(path), place, options)
        return _read_source(source, words, limit, duplicates)
    with naming(place.name):
        options, words = options.with_rows(words)
        found = recognised(place, options, limit)
        return read_recognised(found, options, words=words, limit=limit, duplicates=duplicates)


def read_recognised(
    found: Recognised,
    options: Options,
    *,
    words: GivenWords | None = None,
    limit: int | None = None,
    duplicates: Duplicates = "error",
) -> WordVectors:
    """The vectors of a file of a known format, as `read_vectors` reads them."""
    file, kind = found
    threads = resolve_threads(options.threads)
    if kind in _WITH_WORDS and words is not None:
        raise InputError(
            f"{file.name}: a {kind} file has words of its own; words= is for files without"
        )
    if kind not in _READ_WHOLE or file.is_remote:
        return _read_source(open_recognised(found, options), words, limit, duplicates)
    mapped = MappedFile(file.place)
    own: WordList | None
    with naming(file.name):
        if kind == "fasttext":
            vectors, own = read_fasttext(mapped, limit=limit, threads=threads)
        elif kind == "word2vec-binary":
            try:
                vectors, own = read_word2vec_binary(
                    mapped, limit=limit, is_whole=file.is_whole, threads=threads
                )
            except CorruptFileError:
                if file.is_whole or file.origin is None:
                    raise
                # Words so long that more of the file is needed than was decompressed.
                return read_recognised(
                    recognised(file.origin, options), options, limit=limit, duplicates=duplicates
                )
        else:
            vectors, own = read_text(
                mapped, kind, words_column=options.words_column, limit=limit, threads=threads
            )
        first_line = {"glove": 1, "word2vec": 2}.get(kind)
        return _with_words(vectors, own, words, len(vectors), duplicates, first_line)


def _read_source(
    source: OpenedSource, words: GivenWords | None, limit: int | None, duplicates: Duplicates
) -> WordVectors:
    count = source.shape[0] if limit is None else min(limit, source.shape[0])
    with naming(source.name):
        if isinstance(source, MatrixSource):
            vectors = source.mapped()[:count]
        else:
            vectors = source.read(0, count)
        own = None if words is not None and source.words_guessed else source.words(0, count)
        return _with_words(vectors, own, words, source.shape[0], duplicates)


def _with_words(
    vectors: NDArray[Any],
    own: WordList | None,
    given: GivenWords | None,
    rows: int,
    duplicates: Duplicates,
    first_line: int | None = None,
) -> WordVectors:
    """Vectors with their own words or those given, each once; the file has ``rows`` rows."""
    if own is not None and given is not None:
        raise InputError("the file has words of its own; words= is for files without")
    if given is not None:
        own = given_words(given, rows)
        if len(own) == rows:
            own = own[: len(vectors)]
        check_number_of_words(own, len(vectors), given)
        first_line = 1
    if own is None:
        return WordVectors(vectors)
    return _without_duplicates(vectors, own, duplicates, first_line)


def check_limit(limit: int | None) -> None:
    """Raise InputError unless a limit is a positive whole number or None."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InputError(f"limit must be a positive whole number or None, not {limit!r}")


def check_duplicates(duplicates: str) -> None:
    """Raise InputError unless this says what to do with words that occur again."""
    if duplicates not in get_args(Duplicates):
        raise InputError(f"duplicates must be 'error', 'first' or 'last', not {duplicates!r}")


def kept_rows(
    words: WordList, duplicates: Duplicates, first_line: int | None = None
) -> NDArray[np.bool_] | None:
    """Which rows to keep so that each word is there once; None for all.

    Raises:
        InputError: if a word is there twice and ``duplicates`` is ``"error"``, naming its lines
            (the first vector's is ``first_line``), or its vectors.
    """
    first = _core.first_occurrences(words.bytes, words.offsets)
    rows = np.arange(len(words))
    repeated = np.flatnonzero(first != rows)
    if repeated.size == 0:
        return None
    if duplicates == "error":
        later = int(repeated[0])
        place, offset = ("vectors", 0) if first_line is None else ("lines", first_line)
        raise InputError(
            f"{repeated.size} words occur more than once, the first one {words[later]!r} in {place} "
            f"{int(first[later]) + offset} and {later + offset}; keep one of each with "
            "duplicates='first' or 'last'"
        )
    if duplicates == "first":
        return np.asarray(first == rows)
    last = rows.copy()
    np.maximum.at(last, first, rows)
    return np.asarray(last[first] == rows)


def _without_duplicates(
    vectors: NDArray[Any], words: WordList, duplicates: Duplicates, first_line: int | None
) -> WordVectors:
    kept = kept_rows(words, duplicates, first_line)
    if kept is None:
        return WordVectors(vectors, words)
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
