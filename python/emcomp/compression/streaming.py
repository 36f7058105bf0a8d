"""Compressing a table into a file or a folder of shards, however large it is.

The fit is kept as soon as it is found, and every shard as soon as it is encoded, each in a file
that is there whole or not at all. So an interrupted run goes on where it stopped, shards may be
encoded by anybody and twice, and the result is the same bytes. A single file is joined from the
shards at the end.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import TEMPORARY, atomic_write, remove_leftovers
from emcomp._support.locks import LOCK, only_writer
from emcomp.codecs.base import Codec, FittedCodec, Tensors, allocate, join_rows
from emcomp.codecs.checks import refuse_infinite_rows, refuse_overflow
from emcomp.compression.planning import CompressionPlan
from emcomp.engine.base import Engine
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import Block, Source, block_rows, blocks
from emcomp.tables import container
from emcomp.tables import opening as table_file
from emcomp.tables.shard_files import (
    read_fit,
    read_shard,
    shard_pattern,
    write_fit,
    write_shard,
    write_words,
)
from emcomp.tables.shard_index import FIT, INDEX, Index, Shard, read_index, write_index
from emcomp.tables.sharded import open_sharded
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.index import Vocabulary

RUN_KEY = "run.json"
"""What a run makes, by which it is resumed; removed when the table in shards is finished."""
_CLIPPING_ROWS = 4096
_MEASURED_BYTES = 4 << 20  # of decoded rows: in the cache
_FINGERPRINTED_ROWS = 64


@dataclass(frozen=True)
class EncodeShard:
    """Encodes some rows of a source into a file of a folder."""

    source: Source
    fitted: FittedCodec
    fit: str
    """Checksum of the fit."""
    folder: str
    offset: int = 0
    """Rows of the table before those of the source."""

    def __call__(self, number: int, first: int, count: int, threads: int) -> Shard:
        """Encode rows [first, first + count) as shard ``number``."""
        fitted = self.fitted
        ragged = bool(fitted.codec.ragged_tensors)
        tensors = {} if ragged else allocate(fitted.row_tensors, count)
        parts: list[tuple[int, Tensors]] = []
        inverted = fitted.codec.table_dim(fitted.dim) == fitted.dim
        decoded = np.empty((block_rows(fitted.dim, _MEASURED_BYTES), fitted.dim), np.float32)
        sums = _core.SquaredError()
        source = _core.Checksum()
        clipped = 0.0
        for block in blocks(self.source, first, count):
            rows = block.rows
            begin = block.first - first
            placed = Block(self.offset + block.first, rows)
            if ragged:
                out = fitted.encode_rows(placed, threads)
                parts.append((len(rows), out))
            else:
                out = {name: tensor[begin : begin + len(rows)] for name, tensor in tensors.items()}
                fitted.encode(placed, out, threads)
            source.update(bytes_of(rows))
            if inverted:
                self._measure(sums, rows, out, decoded, threads)
            else:
                sums.update(rows, rows, threads)
            if begin == 0:
                seen = rows[:_CLIPPING_ROWS]
                clipped = fitted.clipped(seen, threads) / seen.size
        if ragged:
            tensors = join_rows(fitted.codec, parts, fitted.shared_tensors)
        shard = Shard(
            file="",
            checksum="",
            first=self.offset + first,
            rows=count,
            source=f"{source.digest():016x}",
            squared_error=sums.error if inverted else None,
            squared_total=sums.total,
            clipped=clipped,
        )
        return write_shard(Path(self.folder), number, fitted.codec, self.fit, shard, tensors)

    def _measure(
        self,
        sums: _core.SquaredError,
        rows: NDArray[Any],
        encoded: Tensors,
        decoded: NDArray[np.float32],
        threads: int,
    ) -> None:
        """Add up what a block lost, block by block through one small array."""
        tensors = {**encoded, **self.fitted.shared_tensors}
        table = CompressedEmbedding(self.fitted.codec, rows.shape, tensors)
        shared = self.fitted.shared_tensors
        refuse_infinite_rows(self.fitted.codec, shared, (block.rows for block in table.blocks()))
        for first in range(0, len(rows), len(decoded)):
            some = rows[first : first + len(decoded)]
            out = decoded[: len(some)]
            sums.update(some, table.decode(first, len(some), out=out, threads=threads), threads)


def bytes_of(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of rows in order, whatever their strides."""
    return np.ascontiguousarray(rows).reshape(-1).view(np.uint8)


@dataclass(frozen=True)
class ChecksumRows:
    """The checksum of some rows of a source, as a shard keeps it."""

    source: Source

    def __call__(self, first: int, count: int) -> str:
        """Of rows [first, first + count)."""
        state = _core.Checksum()
        for block in blocks(self.source, first, count):
            state.update(bytes_of(block.rows))
        return f"{state.digest():016x}"


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
    if not in_shards and out.is_dir():
        raise InputError(f"{out} is a folder; name a file, or ask for shards with shard_rows=")
    folder = out if in_shards else out.with_name(out.name + ".partial")
    key = _key_of_run(source, codec, vocabulary, plan)
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    with only_writer(folder, wait=False):
        if _is_finished(folder):
            _check_finished(
                folder, source, codec.resolved(source.shape), vocabulary, engine, resume
            )
            engine.progress("fit", source.shape[0], source.shape[0])
            return open_sharded(folder)
        try:
            _begin(folder, key, resume)
            _write_shards(folder, source, codec, vocabulary, engine, plan.shard_rows)
        except BaseException:
            if is_new and not _has_results(folder):
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


def check_target(out: Path, in_shards: bool, resume: bool) -> Path:
    """The folder that shards are written to.

    Raises:
        InputError: if something is there that is not to be resumed.
    """
    if not in_shards and out.is_dir():
        raise InputError(f"{out} is a folder; name a file, or ask for shards with shard_rows=")
    folder = out if in_shards else out.with_name(out.name + ".partial")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is there and is not a folder: choose another name")
    if not resume and folder.exists() and _has_results(folder):
        raise InputError(_is_there(folder))
    return folder


def _is_there(folder: Path) -> str:
    if _is_finished(folder):
        return f"{folder} holds a table: remove it, or add rows to it with append (emcomp append)"
    return (
        f"{folder} is there: go on with what was interrupted by resume=True (--resume), or "
        "remove it"
    )


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


def _has_results(folder: Path) -> bool:
    return any(folder.glob("*.emcomp"))


def shard_bounds(rows: int, shard_rows: int) -> list[tuple[int, int, int]]:
    """Number, first row and rows of each shard."""
    return [
        (number, first, min(shard_rows, rows - first))
        for number, first in enumerate(range(0, rows, shard_rows))
    ]


def _key_of_run(
    source: Source, codec: Codec, vocabulary: Vocabulary | None, plan: CompressionPlan
) -> dict[str, Any]:
    """What the result depends on, as far as it can be told without reading everything."""
    rows, _ = source.shape
    some = _core.Checksum()
    for first in sorted({0, rows // 2, max(rows - _FINGERPRINTED_ROWS, 0)}):
        some.update(bytes_of(source.read(first, min(_FINGERPRINTED_ROWS, rows - first))))
    if vocabulary is not None:
        for tensor in vocabulary.tensors().values():
            some.update(bytes_of(tensor))
    return {
        "codec": str(codec),
        "shape": list(source.shape),
        "shard_rows": plan.shard_rows,
        "checksum of some rows and of the words": f"{some.digest():016x}",
    }


def _is_finished(folder: Path) -> bool:
    return (folder / INDEX).exists() and not (folder / RUN_KEY).exists()


def _check_finished(
    folder: Path,
    source: Source,
    codec: Codec,
    vocabulary: Vocabulary | None,
    engine: Engine,
    resume: bool,
) -> None:
    """Raise InputError unless a finished table is the one that was asked for."""
    if not resume:
        raise InputError(_is_there(folder))
    finished = open_sharded(folder)
    same_words = _tensors_of(finished.words) == _tensors_of(vocabulary)
    if str(finished.codec) != str(codec) or len(finished) != source.shape[0] or not same_words:
        raise InputError(f"{folder} holds another table, {finished!r}")
    _check_sources(folder, read_index(folder).shards, source, engine)


def _tensors_of(words: Vocabulary | None) -> dict[str, bytes]:
    return {} if words is None else {n: bytes_of(t).tobytes() for n, t in words.tensors().items()}


def _begin(folder: Path, key: dict[str, Any], resume: bool) -> None:
    """Note what the run makes, or take up what is finished.

    Raises:
        InputError: if the folder has something else, or what is finished is not to be taken up.
    """
    others = [path.name for path in folder.iterdir() if not _is_ours(path.name)]
    if others:
        raise InputError(f"{folder} holds {min(others)}: name a folder that is new or empty")
    if not _has_results(folder):
        with atomic_write(folder / RUN_KEY) as file:
            file.write(json.dumps(key, indent=1).encode())
        return
    if not resume:
        raise InputError(_is_there(folder))
    try:
        kept = json.loads((folder / RUN_KEY).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds nothing that can be resumed: {error}") from error
    differing = [name for name, value in key.items() if kept.get(name) != value]
    if differing:
        raise InputError(
            f"{folder} is of another run: "
            + "; ".join(f"{name} was {kept.get(name)}, is {key[name]}" for name in differing)
            + ". Resume with what it was begun with, or remove it"
        )
    remove_leftovers(folder)


def _is_ours(name: str) -> bool:
    return name in (LOCK, RUN_KEY, INDEX) or name.startswith(TEMPORARY) or name.endswith(".emcomp")


def _check_sources(folder: Path, shards: Iterable[Shard], source: Source, engine: Engine) -> None:
    """Raise InputError if rows have changed since they were encoded."""
    listed = list(shards)
    calls = [(shard.first, shard.rows) for shard in listed]
    for shard, found in zip(listed, engine.map(ChecksumRows(source), calls), strict=True):
        if found != shard.source:
            raise InputError(
                f"rows {shard.first} to {shard.first + shard.rows} are not those that "
                f"{folder / shard.file} was made from: the table has changed since. Remove "
                f"{folder} and compress it again"
            )


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
    _check_sources(folder, done.values(), source, engine)
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


def relative_error(shards: tuple[Shard, ...]) -> float | None:
    """Relative squared error over some shards; None where rows are shorter than they were."""
    errors = [shard.squared_error for shard in shards]
    total = sum(shard.squared_total for shard in shards)
    found = [error for error in errors if error is not None]
    if len(found) < len(errors):
        return None
    error = sum(found)
    if total == 0:
        return 0.0 if error == 0 else math.inf
    return error / total


def clipped_share(shards: tuple[Shard, ...]) -> float:
    """Share of clipped entries over some shards, by their rows."""
    return sum(shard.clipped * shard.rows for shard in shards) / sum(s.rows for s in shards)
