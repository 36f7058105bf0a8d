"""What compressing a table will take, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from emcomp._support.sizes import budget_bytes, format_bytes
from emcomp.codecs.base import Codec
from emcomp.engine.base import part_rows
from emcomp.errors import InputError
from emcomp.io.sources.base import BLOCK_BYTES

_BASE = 160 << 20  # interpreter, libraries, and what a process has besides
_BLOCKS = 4  # a block as read, as float32, as latents, and decoded again
_SHARD_ROWS_BYTES = 512 << 20  # float32 bytes of a shard's rows
_SHARD_BYTES = 64 << 20  # bytes of what they become


@dataclass(frozen=True)
class CompressionPlan:
    """What compressing a table will take."""

    codec: str
    shape: tuple[int, int]
    passes: tuple[int, int]
    """Passes over the rows to fit the codec, at least and at most; one more encodes them."""
    table_bytes: int
    """Bytes of the compressed table, without words."""
    memory: int
    """Bytes of memory, about, beside the words."""
    shard_rows: int
    """Rows that are encoded, and written, at a time."""

    @property
    def shards(self) -> int:
        """Files that the rows are written to, before they are joined where one is wanted."""
        return -(-self.shape[0] // self.shard_rows)

    def __str__(self) -> str:
        least, most = self.passes
        passes = f"{least}" if least == most else f"{least} to {most}"
        rows, dim = self.shape
        return (
            f"{rows:,} x {dim} with {self.codec}: passes to fit {passes}, to encode 1; "
            f"shards {self.shards:,}, of {self.shard_rows:,} rows; "
            f"{format_bytes(self.table_bytes)}; about {format_bytes(self.memory)} of memory"
        )


def make_plan(
    codec: Codec,
    shape: tuple[int, int],
    memory_limit: int | str | None = None,
    shard_rows: int | None = None,
) -> CompressionPlan:
    """What compressing a table of this shape will take.

    Args:
        codec: how to compress.
        shape: rows and dimension.
        memory_limit: bytes that may be used, or a string such as ``"1GB"``.
        shard_rows: rows of a shard; by default about half a gigabyte of float32.

    Raises:
        InputError: if the limit is too low, naming what is needed.
    """
    rows, dim = shape
    row_bytes = max(codec.nbytes((rows, dim)) // rows, 1)
    unit = part_rows(dim)
    if shard_rows is None:
        parts = min(_SHARD_ROWS_BYTES // (4 * dim * unit), _SHARD_BYTES // (row_bytes * unit))
        shard_rows = min(max(parts, 1) * unit, rows)
    elif isinstance(shard_rows, bool) or not isinstance(shard_rows, int) or shard_rows < 1:
        raise InputError(f"shard_rows must be a positive whole number, not {shard_rows!r}")
    block = max(BLOCK_BYTES, 4 * dim * unit)
    fitting = codec.fit_bytes(shape)
    memory = _BASE + _BLOCKS * block + max(fitting, 2 * shard_rows * row_bytes)
    if memory_limit is not None:
        limit = budget_bytes(memory_limit, shape)
        if memory > limit:
            sample = "; a smaller sample= takes less" if hasattr(codec, "sample") else ""
            raise InputError(
                f"codec {codec} on a table of {rows} x {dim} needs about {format_bytes(memory)} of "
                f"memory, and the limit is {format_bytes(limit)}{sample}"
            )
    return CompressionPlan(
        str(codec), shape, codec.fit_passes(shape), codec.nbytes(shape), memory, shard_rows
    )
