"""Compressing a table: fit a codec, encode block by block."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emcomp.codecs.base import Codec, FittedCodec, Tensors, allocate, join_rows, parse_codec
from emcomp.codecs.checks import refuse_infinite_rows, refuse_overflow
from emcomp.compression.planning import CompressionPlan, make_plan
from emcomp.compression.streaming import compress_to
from emcomp.engine.base import Engine, Progress
from emcomp.engine.executors import make_engine
from emcomp.errors import InputError
from emcomp.io.reading import words_of
from emcomp.io.sources.base import Block, Source, block_rows
from emcomp.tables.opening import open_table
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.given_words import GivenWords, check_number_of_words, given_words
from emcomp.vocabulary.index import Vocabulary


def compress(
    X: Any,
    codec: str | Codec = "uniform:4",
    *,
    words: GivenWords | None = None,
    dtype: str | None = None,
    out: str | os.PathLike[str] | None = None,
    shard_rows: int | None = None,
    memory_limit: int | str | None = None,
    resume: bool = False,
    executor: Any = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> CompressedEmbedding:
    """Compress an embedding table.

    Rows are read and encoded block by block: beside the result, memory holds a few tens of
    megabytes, whatever the input's type and layout. With ``out`` the result is written as it is
    made, and the number of rows does not matter.

    Args:
        X: the table, shape (rows, dim): an array or memory map of float16, bfloat16, float32 or
            float64 (any strides, either byte order), word vectors (gensim's KeyedVectors, too), a
            source, a Dask array, a compressed table, or the path of what `read_vectors` reads or
            `open_source` opens.
        codec: how to compress: a string such as ``"uniform:4"`` or a codec object.
        words: the rows' words, if X does not bring its own: as for `read_vectors`, in the order of
            the rows, as a mapping such as ``tokenizer.get_vocab()``, or the path of a file.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        out: file to write, or folder where shards are asked for. What an interrupted run has
            finished stays beside it (in ``out.partial``) or in the folder.
        shard_rows: rows of a shard. The table becomes a folder of files of so many rows, and
            `append` may add more.
        memory_limit: bytes of memory to stay below, or a string such as ``"1GB"``; with ``out``.
            `plan` says what is needed.
        resume: go on with what an interrupted run has finished; the result is the same bytes.
        executor: workers that share the work: a `concurrent.futures.Executor` or a Dask client.
        threads: threads to use, of each worker where there are some; None for
            ``EMCOMP_NUM_THREADS`` or OpenMP's default, and for 1 on workers. The result does not
            depend on it.
        progress: called now and then with the phase, the rows done and the rows in all.

    Returns:
        The compressed table, opened from ``out`` if that was named.

    Raises:
        InputError: for an unknown codec, a table of the wrong shape or type, NaN or infinite
            entries (with the first position and the count), words that do not fit, or a memory
            limit that is too low.
        FormatError: if X names a file that cannot be read.
        OSError: if ``out`` cannot be written.
    """
    chosen = parse_codec(codec)
    engine = make_engine(executor, threads, progress)
    for name, value in (("shard_rows", shard_rows), ("memory_limit", memory_limit)):
        if out is None and value is not None:
            raise InputError(f"{name} is for tables that are written as they are made: give out=")
    if out is None and resume:
        raise InputError("resume is for tables that are written as they are made: give out=")
    streamed = out is not None or executor is not None
    source = open_table(X, dtype, threads=threads, streamed=streamed)
    chosen.check(source.shape)
    vocabulary = make_vocabulary(words_of(X, source) if words is None else words, source.shape[0])
    if out is None:
        return encode(source, chosen, vocabulary, engine)
    made = make_plan(chosen, source.shape, memory_limit, shard_rows)
    in_shards = shard_rows is not None
    return compress_to(
        Path(out), source, chosen, vocabulary, engine, made, in_shards=in_shards, resume=resume
    )


def plan(
    X: Any,
    codec: str | Codec = "uniform:4",
    *,
    dtype: str | None = None,
    shard_rows: int | None = None,
    memory_limit: int | str | None = None,
) -> CompressionPlan:
    """What `compress` with ``out`` will take: passes over the rows, memory, shards.

    Args:
        X: the table, as for `compress`, of which only the shape is looked at.
        codec: how to compress.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        shard_rows: rows of a shard.
        memory_limit: bytes of memory to stay below.

    Raises:
        InputError: for a table or codec that `compress` refuses, or a limit that is too low.
    """
    chosen = parse_codec(codec)
    source = open_table(X, dtype, streamed=True)
    chosen.check(source.shape)
    return make_plan(chosen, source.shape, memory_limit, shard_rows)


def make_vocabulary(words: GivenWords | None, rows: int) -> Vocabulary | None:
    """The vocabulary of a table, if it has words. Raises InputError if they do not fit its rows."""
    if words is None:
        return None
    listed = given_words(words, rows)
    check_number_of_words(listed, rows, words)
    return Vocabulary.from_words(listed)


@dataclass(frozen=True)
class EncodeRows:
    """Encodes some rows of a source, of one block."""

    source: Source
    fitted: FittedCodec

    def __call__(self, first: int, count: int, threads: int, out: Tensors | None = None) -> Tensors:
        """Encode rows [first, first + count) into ``out`` or into new tensors."""
        block = Block(first, self.source.read(first, count))
        if out is None:
            return self.fitted.encode_rows(block, threads)
        self.fitted.encode(block, out, threads)
        return out


def _encode_in_place(
    source: Source, fitted: FittedCodec, engine: Engine, cuts: list[tuple[int, int]]
) -> Tensors:
    """Row tensors whose parts are known to have their places beforehand."""
    rows = source.shape[0]
    tensors = allocate(fitted.row_tensors, rows)
    places = [
        {name: tensor[first : first + count] for name, tensor in tensors.items()}
        for first, count in cuts
    ]
    calls = [
        (first, count, engine.threads, out if engine.shares_memory else None)
        for (first, count), out in zip(cuts, places, strict=True)
    ]
    results = engine.map(EncodeRows(source, fitted), calls)
    for (first, count), out, encoded in zip(cuts, places, results, strict=True):
        if not engine.shares_memory:
            for name, tensor in encoded.items():
                out[name][...] = tensor
        engine.progress("encode", first + count, rows)
    return tensors


def _encode_ragged(
    source: Source, fitted: FittedCodec, engine: Engine, cuts: list[tuple[int, int]]
) -> Tensors:
    """Row tensors that have to be joined."""
    calls = [(first, count, engine.threads) for first, count in cuts]
    parts: list[tuple[int, Tensors]] = []
    results = engine.map(EncodeRows(source, fitted), calls)
    for (first, count), encoded in zip(cuts, results, strict=True):
        parts.append((count, encoded))
        engine.progress("encode", first + count, source.shape[0])
    return join_rows(fitted.codec, parts, fitted.shared_tensors)


def encode(
    source: Source,
    codec: Codec,
    vocabulary: Vocabulary | None,
    engine: Engine,
) -> CompressedEmbedding:
    """Fit a codec to a source and encode all of its rows."""
    rows, dim = source.shape
    fitted = codec.fit(source, engine)
    refuse_overflow(fitted)
    step = block_rows(dim)
    cuts = [(first, min(step, rows - first)) for first in range(0, rows, step)]
    engine.progress("encode", 0, rows)
    together = _encode_ragged if codec.ragged_tensors else _encode_in_place
    tensors = together(source, fitted, engine, cuts)
    table = CompressedEmbedding(
        codec,
        (rows, codec.table_dim(dim)),
        {**tensors, **fitted.shared_tensors},
        vocabulary,
        dict(fitted.info),
    )
    refuse_infinite_rows(codec, fitted.shared_tensors, (block.rows for block in table.blocks()))
    return table
