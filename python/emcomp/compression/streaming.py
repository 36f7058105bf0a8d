"""Compressing a table into a file or a folder of shards, however large it is.

The fit is kept as soon as it is found, and every shard as soon as it is encoded, each in a file
that is there whole or not at all. So an interrupted run goes on where it stopped, shards may be
encoded by anybody and twice, and the result is the same bytes. A single file is joined from the
shards at the end.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from emcomp._support.locks import only_writer
from emcomp.codecs.base import Codec, FittedCodec
from emcomp.codecs.checks import refuse_overflow
from emcomp.compression.encoding import EncodeShard, shard_bounds
from emcomp.compression.planning import CompressionPlan
from emcomp.compression.runs import (
    RUN_KEY,
    begin,
    check_finished,
    check_sources,
    check_target,
    has_results,
    is_finished,
    key_of_run,
)
from emcomp.engine.base import Engine
from emcomp.errors import FormatError
from emcomp.io.sources.base import Source
from emcomp.tables import container
from emcomp.tables import opening as table_file
from emcomp.tables.shard_files import read_fit, read_shard, shard_pattern, write_fit, write_words
from emcomp.tables.shard_index import FIT, Index, Shard, write_index
from emcomp.tables.sharded import open_sharded
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.index import Vocabulary


def compress_to(
    out: Path,
    source: Source,
    codec: Codec,
    vocabulary: Vocabulary | None,
    engine: Engine,
    plan: CompressionPlan,
    *,
    in_shards: bool,
    resume: bool,
) -> CompressedEmbedding:
    """Compress a source into a file, or into a folder of shards.

    Raises:
        InputError: if something is in the way, somebody else is writing there, or what there is to
            resume is of another table.
        OSError: if something cannot be written; what is finished stays to be resumed.
    """
    folder = check_target(out, in_shards, resume)
    key = key_of_run(source, codec, vocabulary, plan)
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    with only_writer(folder, wait=False):
        if is_finished(folder):
            check_finished(folder, source, codec.resolved(source.shape), vocabulary, engine, resume)
            engine.progress("fit", source.shape[0], source.shape[0])
            return open_sharded(folder)
        try:
            begin(folder, key, resume)
            _write_shards(folder, source, codec, vocabulary, engine, plan.shard_rows)
        except BaseException:
            if is_new and not has_results(folder):
                shutil.rmtree(folder)
            raise
        if in_shards:
            (folder / RUN_KEY).unlink()
            return open_sharded(folder)
        joined = open_sharded(folder)
        joined.codec = codec  # as it was asked for
        joined.save(out)
        del joined
        shutil.rmtree(folder)
    return table_file.open(out)


def _write_shards(
    folder: Path,
    source: Source,
    codec: Codec,
    vocabulary: Vocabulary | None,
    engine: Engine,
    shard_rows: int,
) -> None:
    """Write all files of the table, the index last."""
    fitted = _fit(folder, source, codec, engine)
    shards = _encode(folder, source, fitted, engine, shard_rows)
    rows, dim = source.shape
    words = None if vocabulary is None else write_words(folder, vocabulary)
    kept = read_fit(folder)
    shape = rows, codec.table_dim(dim)
    write_index(folder, Index(fitted.codec, shape, dim, kept.checksum, shards, words, kept.info))


def _fit(folder: Path, source: Source, codec: Codec, engine: Engine) -> FittedCodec:
    """The fit that is kept, or a new one."""
    if not (folder / FIT).exists():
        fitted = codec.fit(source, engine)
        refuse_overflow(fitted)
        write_fit(folder, fitted)
    # Whoever resumes has it from the file, so everybody does.
    kept = read_fit(folder)
    return codec.resolved(source.shape).restore(source.shape[1], kept.tensors, kept.info)


def _encode(
    folder: Path, source: Source, fitted: FittedCodec, engine: Engine, shard_rows: int
) -> tuple[Shard, ...]:
    rows, _ = source.shape
    fit = read_fit(folder).checksum
    done: dict[int, Shard] = {}
    left = []
    for number, first, count in shard_bounds(rows, shard_rows):
        kept = _kept_shard(folder, number, fit, fitted.codec)
        if kept is not None and (kept.first, kept.rows) == (first, count):
            done[number] = kept
        else:
            left.append((number, first, count, engine.threads))
    check_sources(folder, done.values(), source, engine)
    finished = sum(shard.rows for shard in done.values())
    engine.progress("encode", finished, rows)
    task = EncodeShard(source, fitted, fit, str(folder.absolute()))
    for (number, *_), shard in zip(left, engine.map(task, left), strict=True):
        done[number] = shard
        finished += shard.rows
        engine.progress("encode", finished, rows)
    return tuple(done[number] for number in sorted(done))


def _kept_shard(folder: Path, number: int, fit: str, codec: Codec) -> Shard | None:
    """A shard that an earlier run has written, checked byte by byte."""
    for path in sorted(folder.glob(shard_pattern(number))):
        try:
            shard, *_ = read_shard(path, fit, codec)
            container.verify(path)
        except FormatError as error:
            raise FormatError(f"{error}. Remove this shard and resume") from error
        return shard
    return None
