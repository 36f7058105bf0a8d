"""Encoding rows of a source as shards, and telling the same rows again by their checksum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import FittedCodec, Tensors, allocate, join_rows
from emcomp.codecs.checks import refuse_infinite_rows
from emcomp.io.sources.base import Block, Source, block_rows, blocks
from emcomp.tables.shard_files import write_shard
from emcomp.tables.shard_index import Shard
from emcomp.tables.table import CompressedEmbedding

_CLIPPING_ROWS = 4096
_MEASURED_BYTES = 4 << 20  # of decoded rows: in the cache


def shard_bounds(rows: int, shard_rows: int) -> list[tuple[int, int, int]]:
    """Number, first row and rows of each shard."""
    return [
        (number, first, min(shard_rows, rows - first))
        for number, first in enumerate(range(0, rows, shard_rows))
    ]


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
