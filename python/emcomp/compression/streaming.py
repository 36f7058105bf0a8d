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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import TEMPORARY, atomic_write
from emcomp.codecs.base import Codec, FittedCodec, Tensors, allocate
from emcomp.compression.planning import CompressionPlan
from emcomp.engine.base import Engine
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import Block, Source, block_rows, blocks
from emcomp.tables import container
from emcomp.tables import opening as table_file
from emcomp.tables.sharded import (
    FIT,
    INDEX,
    Index,
    Shard,
    open_sharded,
    read_fit,
    read_shard,
    shard_name,
    write_fit,
    write_index,
    write_shard,
    write_words,
)
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.index import Vocabulary

_RUN_KEY = "run.json"
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
        tensors = allocate(fitted.row_tensors, count)
        inverted = fitted.codec.table_dim(fitted.dim) == fitted.dim
        decoded = np.empty((block_rows(fitted.dim, _MEASURED_BYTES), fitted.dim), np.float32)
        sums = _core.SquaredError()
        clipped = 0.0
        for block in blocks(self.source, first, count):
            rows = block.rows
            begin = block.first - first
            out = {name: tensor[begin : begin + len(rows)] for name, tensor in tensors.items()}
            fitted.encode(Block(self.offset + block.first, rows), out, threads)
            if inverted:
                self._measure(sums, rows, out, decoded, threads)
            else:
                sums.update(rows, rows, threads)
            if begin == 0:
                seen = rows[:_CLIPPING_ROWS]
                clipped = fitted.clipped(seen, threads) / seen.size
        error = sums.error if inverted else None
        shard = Shard(shard_name(number), count, error, sums.total, clipped)
        path = Path(self.folder) / shard.file
        write_shard(path, fitted.codec, self.fit, self.offset + first, shard, tensors)
        return shard

    def _measure(
        self,
        sums: _core.SquaredError,
        rows: NDArray[Any],
        encoded: Tensors,
        decoded: NDArray[np.float32],
        threads: int,
    ) -> None:
        """Add up what a block lost, piece by piece through one small array."""
        tensors = {**encoded, **self.fitted.shared_tensors}
        table = CompressedEmbedding(self.fitted.codec, rows.shape, tensors)
        for first in range(0, len(rows), len(decoded)):
            piece = rows[first : first + len(decoded)]
            out = decoded[: len(piece)]
            sums.update(piece, table.decode(first, len(piece), out=out, threads=threads), threads)


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
        InputError: if something is in the way, or what there is to resume is of another table.
        OSError: if something cannot be written; what is finished stays to be resumed.
    """
    folder = check_target(out, in_shards, resume)
    key = _run_key(source, codec, vocabulary, plan)
    if not _begin(folder, key, codec.resolved(source.shape)):
        engine.progress("fit", source.shape[0], source.shape[0])
        return table_file.open(folder)
    fitted = _fit(folder, source, codec, engine)
    shards = _encode(folder, source, fitted, engine, plan.shard_rows)
    rows, dim = source.shape
    words = None if vocabulary is None else write_words(folder, vocabulary)
    kept = read_fit(folder)
    shape = rows, codec.table_dim(dim)
    write_index(folder, Index(fitted.codec, shape, dim, kept.checksum, shards, words, kept.info))
    if in_shards:
        (folder / _RUN_KEY).unlink()
    else:
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
    if folder.exists() and not resume:
        raise InputError(
            f"{folder} is there: go on with what was interrupted by resume=True (--resume), or "
            "remove it"
        )
    return folder


def shard_bounds(rows: int, shard_rows: int) -> list[tuple[int, int, int]]:
    """Number, first row and rows of each shard."""
    return [
        (number, first, min(shard_rows, rows - first))
        for number, first in enumerate(range(0, rows, shard_rows))
    ]


def _run_key(
    source: Source, codec: Codec, vocabulary: Vocabulary | None, plan: CompressionPlan
) -> dict[str, Any]:
    """What the result depends on, as far as it can be told without reading everything."""
    rows, _ = source.shape
    some = _core.Checksum()
    for first in sorted({0, rows // 2, max(rows - _FINGERPRINTED_ROWS, 0)}):
        read = source.read(first, min(_FINGERPRINTED_ROWS, rows - first))
        some.update(np.ascontiguousarray(read).reshape(-1).view(np.uint8))
    if vocabulary is not None:
        for tensor in vocabulary.tensors().values():
            some.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8))
    return {
        "codec": str(codec),
        "shape": list(source.shape),
        "shard_rows": plan.shard_rows,
        "checksum of some rows and of the words": f"{some.digest():016x}",
    }


def _begin(folder: Path, key: dict[str, Any], codec: Codec) -> bool:
    """Make the folder, or take up what is in it; False where nothing is left to do."""
    if not folder.exists():
        folder.mkdir()
        with atomic_write(folder / _RUN_KEY) as file:
            file.write(json.dumps(key, indent=1).encode())
        return True
    if (folder / INDEX).exists() and not (folder / _RUN_KEY).exists():
        finished = open_sharded(folder)
        if str(finished.codec) != str(codec) or len(finished) != key["shape"][0]:
            raise InputError(f"{folder} holds another table, {finished!r}")
        return False
    try:
        kept = json.loads((folder / _RUN_KEY).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds nothing that can be resumed: {error}") from error
    differing = [name for name, value in key.items() if kept.get(name) != value]
    if differing:
        raise InputError(
            f"{folder} is of another run: "
            + "; ".join(f"{name} was {kept.get(name)}, is {key[name]}" for name in differing)
            + ". Resume with what it was begun with, or remove it"
        )
    for leftover in folder.glob(f"{TEMPORARY}*"):
        leftover.unlink()
    return True


def _fit(folder: Path, source: Source, codec: Codec, engine: Engine) -> FittedCodec:
    """The fit that is kept, or a new one."""
    if not (folder / FIT).exists():
        write_fit(folder, codec.fit(source, engine))
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
        path = folder / shard_name(number)
        if path.exists():
            done[number] = _checked(path, fit)
        else:
            left.append((number, first, count, engine.threads))
    finished = sum(shard.rows for shard in done.values())
    engine.progress("encode", finished, rows)
    task = EncodeShard(source, fitted, fit, str(folder.absolute()))
    for (number, *_), shard in zip(left, engine.map(task, left), strict=True):
        done[number] = shard
        finished += shard.rows
        engine.progress("encode", finished, rows)
    return tuple(done[number] for number in sorted(done))


def _checked(path: Path, fit: str) -> Shard:
    """A shard that an earlier run has written."""
    try:
        shard, _ = read_shard(path, fit)
        container.verify(path)
    except FormatError as error:
        raise FormatError(f"{error}. Remove this shard and resume") from error
    return shard


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
