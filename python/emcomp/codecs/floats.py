"""Rows kept as floating-point numbers: the quantizer that does not quantize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emcomp import _core
from emcomp.codecs.base import Codec, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source


@register
@dataclass(frozen=True)
class Float(Codec):
    """Entries as float32 or float16. What a transform's latents are kept as, unless quantized.

    Attributes:
        bits: 32 or 16.
    """

    name: ClassVar[str] = "float"
    size_fields: ClassVar[tuple[str, ...]] = ("bits",)

    bits: int = 32

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """Half the size of float32."""
        return ["float:16"]

    def __post_init__(self) -> None:
        if self.bits not in (16, 32):
            raise InputError(f"floats have 16 or 32 bits, not {self.bits!r}")

    def check(self, shape: tuple[int, int]) -> None:
        """Any table can be kept."""

    def tensor(self, dim: int) -> RowTensor:
        """What a row becomes."""
        return RowTensor(np.float16 if self.bits == 16 else np.float32, (dim,))

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Bytes of the values."""
        rows, dim = shape
        return rows * dim * self.bits // 8

    def fit(self, source: Source, engine: Engine) -> FittedFloat:  # noqa: ARG002
        """Nothing is learned; entries are checked as they are encoded."""
        return FittedFloat(self, source.shape[1])

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """None."""
        return 0, 0

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedFloat:  # noqa: ARG002
        """The codec, which has learned nothing."""
        return FittedFloat(self, dim)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """The values."""
        return {"values": (self.tensor(shape[1]).dtype, shape)}


class FittedFloat(FittedCodec):
    """Rows to floats."""

    def __init__(self, codec: Float, dim: int) -> None:
        self.codec = codec
        self.dim = dim
        self.row_tensors: Mapping[str, RowTensor] = {"values": codec.tensor(dim)}
        self.shared_tensors: Tensors = {}

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Round to the nearest.

        Raises:
            InputError: for NaN, infinite entries, and entries beyond the type's range.
        """
        values = out["values"]
        _core.convert_rows(block.rows, values, threads)
        found, count, largest = _core.find_nonfinite(values, threads)
        if largest == 0 and np.any(block.rows):
            raise InputError(
                f"rows {block.first} to {block.first + len(block.rows)} are smaller than any number "
                f"of {values.dtype}; use float:32, or multiply the table by a power of two"
            )
        if count:
            row, column = divmod(found, values.shape[1])
            raise InputError(
                f"the entry at row {block.first + row}, column {column} is NaN, infinite or beyond "
                f"{values.dtype}" + ("; use float:32" if values.dtype == np.float16 else "")
            )
