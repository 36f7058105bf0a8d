"""Bits where they are needed: scalar codes of a width for each column (transform coding)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import NOTHING, Codec, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.statistics.row_sums import View, gram_matrix

_WIDEST = 8
_GROUP = 8
"""Columns of one width: as many codes of any width as fill whole bytes."""
_LEVELS = 510
"""Levels of all widths together, 2 + 4 + ... + 256."""
_GAUSSIAN_ERROR = np.array(
    [1, 0.36338, 0.11748, 0.034548, 0.0095010, 0.0025047, 0.00064437, 0.00016347, 0.000041180]
)
"""Mean squared error of the best 2^b levels for a Gaussian of variance 1 (Max 1960), b from 0."""


def allocate_widths(mean_squares: NDArray[np.float64], budget: int) -> NDArray[np.uint8]:
    """Bits of each column, 0 to 8, for the least squared error that fits a number of bytes a row.

    Columns are taken for Gaussian, and get their bits in groups of eight of similar strength. Byte
    after byte goes to the group whose error it makes smallest: the integer form of reverse
    water-filling, which is optimal as each byte of a group gains less than the one before (Shoham
    and Gersho 1988).

    Args:
        mean_squares: of the columns, array (dim,).
        budget: bytes of a row, 1 to ``dim``; all of them are used.

    Returns:
        Array (dim,).
    """
    dim = mean_squares.size
    strongest_first = np.argsort(-mean_squares, kind="stable")
    starts = np.arange(0, dim, _GROUP)
    sizes = np.minimum(_GROUP, dim - starts)
    strengths = np.add.reduceat(mean_squares[strongest_first], starts)
    # What 0, 1, ... 8 bytes hold; a last group of fewer columns has no use for as many.
    bits = np.minimum(8 * np.arange(_WIDEST + 1) // sizes[:, None], _WIDEST)
    gains = strengths[:, None] * -np.diff(_GAUSSIAN_ERROR[bits], axis=1)
    best_first = np.argsort(-gains, axis=None, kind="stable")
    taken = np.bincount(best_first[:budget] // _WIDEST, minlength=starts.size)
    widths = np.empty(dim, np.uint8)
    widths[strongest_first] = np.repeat(bits[np.arange(starts.size), taken], sizes)
    return widths


@register
@dataclass(frozen=True)
class Allocate(Codec):
    """Scalar codes with more bits for stronger columns, 0 to 8, as many in all as ``bits`` each.

    Classical transform coding, made to follow ``principal``. A column is divided by its root mean
    square; columns of the same width share levels of least squared error. A column of width 0 comes
    back as zeros.

    Attributes:
        bits: mean bits of an entry, any number above 0 and up to 8. A row's codes have the whole
            bytes that are just enough, k bytes for ``8 * k / dim`` bits.
    """

    name: ClassVar[str] = "allocate"
    size_fields: ClassVar[tuple[str, ...]] = ("bits",)
    fractional_sizes: ClassVar[tuple[str, ...]] = ("bits",)

    bits: float

    def __post_init__(self) -> None:
        number = isinstance(self.bits, (int, float)) and not isinstance(self.bits, bool)
        if not (number and 0 < self.bits <= _WIDEST):
            raise InputError(f"bits must be a number above 0 and up to 8, not {self.bits!r}")
        object.__setattr__(self, "bits", float(self.bits))

    def check(self, shape: tuple[int, int]) -> None:
        """Any table can be quantized."""

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes, and the columns' widths, scales and levels."""
        rows, dim = shape
        return rows * self.row_bytes(dim) + dim * (1 + 4) + _LEVELS * 4

    def row_bytes(self, dim: int) -> int:
        """Bytes of the codes of a row, one at least so that some columns have bits."""
        bits = Fraction(self.bits).limit_denominator(1_000_000)  # what floats are rounded from
        return max(1, ceil(dim * bits / 8))

    def fit(self, source: Source, engine: Engine) -> FittedAllocate:
        """Find the widths from the Gram matrix, the levels in another pass.

        Raises:
            InputError: for NaN and infinite entries.
        """
        rows, dim = source.shape
        refuse_nonfinite(source, engine)
        mean_squares = gram_matrix(View(source, "the table"), engine).diagonal() / rows
        widths = allocate_widths(mean_squares, self.row_bytes(dim))
        scales = np.sqrt(mean_squares).astype(np.float32)
        found = engine.fill("levels", source, partial(WidthHistograms, widths, scales))
        levels = np.zeros(_LEVELS, np.float32)
        for bits, histogram in found.histograms.items():
            optimal, _, _ = _core.optimal_levels(histogram, bits, engine.threads)
            levels_of(levels, bits)[:] = optimal[0]
        tensors: Tensors = {"widths": widths, "scales": scales, "levels": levels}
        return self.restore(dim, tensors, NOTHING)

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """To check the rows, for the widths and for the levels."""
        return 3, 3

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedAllocate:  # noqa: ARG002
        """The codec with its widths, scales and levels."""
        return FittedAllocate(self, tensors)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Raise InputError: which codes there are depends on the widths that were found."""
        raise InputError(
            f"codec {self}: the tensors of a table of {shape[0]} x {shape[1]} depend on its rows"
        )


class WidthHistograms:
    """Histograms of the columns of each width, each column over its root mean square."""

    def __init__(self, widths: NDArray[np.uint8], scales: NDArray[np.float32]) -> None:
        self._columns = columns_by_width(widths)
        self._scales = scales
        self.histograms = {bits: _core.ValueHistogram(max(10, bits + 4)) for bits in self._columns}

    def update(self, rows: NDArray[Any], threads: int) -> None:
        """Add the entries of some rows."""
        values = standardized(rows, self._scales, threads)
        for bits, histogram in self.histograms.items():
            histogram.update(values[:, self._columns[bits]], threads)

    def merge(self, following: WidthHistograms) -> None:
        """Add the entries of other rows."""
        for bits, histogram in self.histograms.items():
            histogram.merge(following.histograms[bits])


class FittedAllocate(FittedCodec):
    """Widths and scales of columns, levels of widths."""

    def __init__(self, codec: Allocate, tensors: Tensors) -> None:
        self.codec = codec
        self.columns = columns_by_width(tensors["widths"])
        self.row_tensors: Mapping[str, RowTensor] = {
            codes_name(bits): RowTensor(np.uint8, (_core.row_bytes(some.size, bits),))
            for bits, some in self.columns.items()
        }
        self.scales = tensors["scales"]
        self.levels = tensors["levels"]
        self.dim = self.scales.size
        self.shared_tensors: Tensors = {n: tensors[n] for n in ("widths", "scales", "levels")}

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block by the nearest levels."""
        values = standardized(block.rows, self.scales, threads)
        for bits, some in self.columns.items():
            levels = levels_of(self.levels, bits)[None]
            _core.encode_levels(
                values[:, some], bits, some.size, levels, out[codes_name(bits)], threads
            )


def codes_name(bits: int) -> str:
    """The tensor of the codes of one width."""
    return f"codes{bits}"


def columns_by_width(widths: NDArray[np.uint8]) -> dict[int, NDArray[np.int64]]:
    """The columns of each width but 0, ascending."""
    return {
        int(bits): np.flatnonzero(widths == bits).astype(np.int64)
        for bits in np.unique(widths[widths > 0])
    }


def levels_of(levels: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """The levels of one width among those of all."""
    return levels[2**bits - 2 : 2 ** (bits + 1) - 2]


def standardized(
    rows: NDArray[Any], scales: NDArray[np.float32], threads: int
) -> NDArray[np.float32]:
    """Rows with each column over its root mean square."""
    values = np.empty(rows.shape, np.float32)
    _core.convert_rows(rows, values, threads)
    values /= np.where(scales > 0, scales, np.float32(1))
    return values
