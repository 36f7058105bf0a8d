"""Compressing a table: fit a codec, encode block by block."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emcomp.codec import Codec, Progress, allocate, parse_codec
from emcomp.errors import InputError
from emcomp.sources import Source, as_source, blocks
from emcomp.table import CompressedEmbedding
from emcomp.threads import resolve_threads
from emcomp.vectors import own_words, read_vectors
from emcomp.vocabulary import Vocabulary


def _no_progress(phase: str, done: int, total: int) -> None:
    pass


def compress(
    X: Any,
    codec: str | Codec = "uniform:4",
    *,
    words: Iterable[str | bytes] | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> CompressedEmbedding:
    """Compress an embedding table.

    Rows are read and encoded block by block: beside the result, memory holds a few tens of
    megabytes, whatever the input's type and layout.

    Args:
        X: the table, shape (rows, dim): an array or memory map of float16, bfloat16, float32 or
            float64 (any strides, either byte order), word vectors (gensim's KeyedVectors, too), a
            compressed table, or the path of a file that `read_vectors` reads.
        codec: how to compress: a string such as ``"uniform:4"`` or a codec object.
        words: the rows' words, if X does not bring its own.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        threads: threads to use; None for ``EMCOMP_NUM_THREADS`` or OpenMP's default. The result
            does not depend on it.
        progress: called now and then with the phase, the rows done and the rows in all.

    Returns:
        The compressed table.

    Raises:
        InputError: for an unknown codec, a table of the wrong shape or type, NaN or infinite
            entries (with the first position and the count), or words that do not fit.
        FormatError: if X names a file that cannot be read.
    """
    chosen = parse_codec(codec)
    thread_count = resolve_threads(threads)
    report = progress or _no_progress
    if isinstance(X, (str, Path)):
        X = read_vectors(X, threads=threads)
    if words is None:
        words = own_words(X)
    source = as_source(X, dtype)
    chosen.check(source.shape)
    return encode(source, chosen, make_vocabulary(words, source.shape[0]), thread_count, report)


def make_vocabulary(words: Iterable[str | bytes] | None, rows: int) -> Vocabulary | None:
    """The vocabulary of a table, if it has words. Raises InputError if they do not fit its rows."""
    if words is None:
        return None
    vocabulary = Vocabulary.from_words(words)
    if len(vocabulary) != rows:
        raise InputError(f"{len(vocabulary)} words for a table of {rows} rows")
    return vocabulary


def encode(
    source: Source,
    codec: Codec,
    vocabulary: Vocabulary | None,
    threads: int,
    progress: Progress,
) -> CompressedEmbedding:
    """Fit a codec to a source and encode all of its rows."""
    rows, dim = source.shape
    fitted = codec.fit(source, threads, progress)
    tensors = allocate(fitted.row_tensors, rows)
    for block in blocks(source):
        progress("encode", block.first, rows)
        last = block.first + len(block.rows)
        out = {name: tensor[block.first : last] for name, tensor in tensors.items()}
        fitted.encode(block, out, threads)
    progress("encode", rows, rows)
    return CompressedEmbedding(
        codec,
        (rows, codec.table_dim(dim)),
        {**tensors, **fitted.shared_tensors},
        vocabulary,
        dict(fitted.info),
    )
