"""Trellis codes: windows of a row's bits that overlap, and stand for values that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import check_count
from emcomp.codecs.base import NOTHING, Codec, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.grammar import register
from emcomp.codecs.row_kmeans import sampled
from emcomp.codecs.trellis_layout import (
    WIDEST,
    even_widths,
    expected_error,
    water_rates,
    widths_of_rates,
)
from emcomp.codecs.trellis_scales import (
    CentredSquares,
    column_scales,
    gain_grid,
    gains_of,
    scales_of,
)
from emcomp.codecs.trellis_tables import (
    BYTES,
    Tables,
    learned_tables,
    start_tables,
    stored_tables,
)
from emcomp.engine.base import Engine, Progress
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source
from emcomp.statistics.nonfinite import refuse_nonfinite
from emcomp.statistics.row_sums import View, column_means

_WINDOWS = (8, 10, 12)
_GAIN_BYTES = 1
_WORTHWHILE = 0.9
"""Columns get widths of their own where that is expected to leave no more than this of the error."""
_NO_CENTRE = 1e-7
"""Mean rows with this part of the squares, or less, are rounding."""


@register
@dataclass(frozen=True)
class Trellis(Codec):
    """Any number of bits an entry, and nearly the least squared error that so many can have.

    A bitshift trellis (Mao, Gray and Linder 2012): the codes of a row are a circular string of
    bits. Each column has some of its own, and the ``window`` bits that begin with these say its
    value, by a table that is learned from the rows. So codes of neighbouring columns share bits,
    and a row is encoded as a whole, by the Viterbi algorithm. Decoding looks up one window a
    column, without any of the others. A row is divided by its length first, kept in 8 bits.

    Attributes:
        bits: mean bits of a column, any number above 0 and up to 8. A row's codes have the whole
            bytes that are just enough, k bytes for ``8 * k / dim`` bits.
        window: 8, 10 or 12 bits. Longer windows lose less and take longer.
        widths: ``"even"`` for as many bits in all columns, which reads fastest, ``"column"`` to
            give more of them to stronger columns, or ``"auto"`` to do so where it pays.
        centre: ``"mean"`` to subtract the mean row first, or ``"none"``.
        rounds: how often rows are coded to learn the tables from them; 0 for those of a Gaussian.
        sample: rows to learn the tables from at most, drawn by ``seed``.
        reach: bits before and after the place where a row's end meets its start from which the
            bits there are found.
        seed: of the sample.
    """

    name: ClassVar[str] = "trellis"
    size_fields: ClassVar[tuple[str, ...]] = ("bits",)
    fractional_sizes: ClassVar[tuple[str, ...]] = ("bits",)

    bits: float
    window: int = 8
    widths: Literal["auto", "even", "column"] = "auto"
    centre: Literal["mean", "none"] = "mean"
    rounds: int = 10
    sample: int = 2000
    reach: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        number = isinstance(self.bits, (int, float)) and not isinstance(self.bits, bool)
        if not (number and 0 < self.bits <= WIDEST):
            raise InputError(f"bits must be a number above 0 and up to 8, not {self.bits!r}")
        object.__setattr__(self, "bits", float(self.bits))
        if self.window not in _WINDOWS:
            raise InputError(f"window must be 8, 10 or 12, not {self.window!r}")
        if self.widths not in ("auto", "even", "column"):
            raise InputError(f"widths must be 'auto', 'even' or 'column', not {self.widths!r}")
        if self.centre not in ("mean", "none"):
            raise InputError(f"centre must be 'mean' or 'none', not {self.centre!r}")
        check_count("rounds", self.rounds, 0, None)
        check_count("sample", self.sample, 1, None)
        check_count("reach", self.reach, 1, None)
        check_count("seed", self.seed, 0, 2**64 - 1)

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """One to four bits: with more of them other codes are as good."""
        return [str(cls(bits)) for bits in (1, 2, 3, 4)]

    def check(self, shape: tuple[int, int]) -> None:
        """Any table can be quantized."""

    def code_bits(self, dim: int) -> int:
        """Bits of the codes of a row: whole bytes, one at least."""
        bits = Fraction(self.bits).limit_denominator(1_000_000)  # what floats are rounded from
        return 8 * max(1, ceil(dim * bits / 8))

    def window_bits(self, dim: int) -> int:
        """Bits of a window, no more than those of a row."""
        return min(self.window, self.code_bits(dim))

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row: its gain and its codes."""
        return _GAIN_BYTES + self.code_bits(dim) // 8

    def shared_layout(self, dim: int) -> TensorLayout:
        """Tensors that all rows share."""
        half = 1 << (self.window_bits(dim) - 1)
        layout: dict[str, Any] = {
            "widths": (np.uint8, (dim,)),
            "scales": (np.uint8, (dim,)),
            "grid": (np.int64, (3,)),
            "tables": (np.uint8, (BYTES, half)),
            "steps": (np.float32, (BYTES,)),
            "wide_tables": (np.float16, (WIDEST - BYTES, half)),
        }
        if self.centre == "mean":
            layout["offset"] = (np.float32, (dim,))
        return layout

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Gains with codes, and how they are decoded."""
        rows, dim = shape
        codes = (np.uint8, (rows, self.row_bytes(dim)))
        return {"codes": codes, **self.shared_layout(dim)}

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Gains, codes, widths, scales, tables and the mean row."""
        return sum(
            int(np.prod(size, dtype=np.int64)) * np.dtype(dtype).itemsize
            for dtype, size in self.tensor_layout(shape).values()
        )

    def fit(self, source: Source, engine: Engine) -> FittedTrellis:
        """Find the mean row, the columns' strengths, the rows' lengths and the tables.

        Raises:
            InputError: for NaN and infinite entries.
        """
        rows, dim = source.shape
        refuse_nonfinite(source, engine)
        tensors: dict[str, NDArray[Any]] = {}
        if self.centre == "mean":
            mean = column_means(View(source, "the table"), engine)
            tensors["offset"] = mean.astype(np.float32)
        offset = tensors.get("offset")
        sums = engine.fold("sums", source.shape, CentredSquares(source, offset))
        mean_squares = sums["squares"] / rows
        if offset is not None and np.square(offset, dtype=float).sum() <= _NO_CENTRE * (
            mean_squares.sum()
        ):
            offset[:] = 0
        window = self.window_bits(dim)
        tables = start_tables(window)
        widths, strengths = self._shared_out(mean_squares, tables)
        scales, scale_low = column_scales(strengths)
        tensors["widths"], tensors["scales"] = widths, scales
        tensors["grid"] = np.array([*gain_grid(sums["lengths"]), scale_low], np.int64)
        if self.rounds and mean_squares.any():
            chosen = sampled(source, self.sample, self.seed, engine)
            tables = engine.call(_learn, window, dict(tensors), tables, chosen, self)
        tensors |= stored_tables(tables)
        return self.restore(dim, tensors, NOTHING)

    def _shared_out(
        self, mean_squares: NDArray[np.float64], tables: Tables
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Widths of the columns, and what the tables' values are multiplied with."""
        dim = mean_squares.size
        bits = self.code_bits(dim)
        # Where all columns can have as many, a few bits may be left over: that reads faster.
        alike = self.bits.is_integer()
        widths = np.full(dim, self.bits, np.uint8) if alike else even_widths(dim, bits)
        scales = np.full(dim, float(mean_squares.any()))
        if self.widths == "even" or not mean_squares.any():
            return widths, scales
        rates = water_rates(mean_squares, bits)
        gain = expected_error(mean_squares, rates) / 4.0 ** -(bits / dim)
        if self.widths == "auto" and gain > _WORTHWHILE:
            return widths, scales
        # With less than one bit only so much of a column is told, and the rest is left at its mean.
        told = np.sqrt((1 - 4.0**-rates) / np.square(tables[0]).mean())
        scales = np.sqrt(mean_squares / mean_squares.mean()) * np.where(rates < 1, told, 1.0)
        return widths_of_rates(rates, bits), scales

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """To check the rows, for the mean, for squares and lengths, and for the sample."""
        passes = 2 + (self.centre == "mean") + (self.rounds > 0)
        return passes, passes

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample."""
        return min(shape[0], self.sample) * 8 * shape[1]

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTrellis:  # noqa: ARG002
        """The codec with its tables, widths and scales."""
        return FittedTrellis(self, dim, tensors)

    def stored_code(self, tensors: Tensors) -> _core.TrellisCode:
        """What codes stand for, given the tensors that all rows share."""
        return _core.stored_trellis_code(
            str(self),
            tensors["widths"],
            tensors["scales"],
            tensors["grid"],
            tensors.get("offset"),
            tensors["tables"],
            tensors["steps"],
            tensors["wide_tables"],
        )


def _learn(
    window: int,
    tensors: Tensors,
    tables: Tables,
    rows: NDArray[Any],
    codec: Trellis,
    threads: int,
    progress: Progress,
) -> Tables:
    """Tables learned from some rows, given all other tensors that rows share."""
    make_code = partial(
        _learning_code,
        window,
        tensors["widths"],
        scales_of(tensors["scales"], int(tensors["grid"][2])),
        tensors.get("offset"),
        gains_of(tensors["grid"]),
    )
    return learned_tables(tables, make_code, rows, codec.rounds, codec.reach, threads, progress)


def _learning_code(
    window: int,
    widths: NDArray[np.uint8],
    scales: NDArray[np.float32],
    offset: NDArray[np.float32] | None,
    gains: NDArray[np.float32],
    tables: Tables,
) -> _core.TrellisCode:
    return _core.TrellisCode(window, widths, scales, offset, tables.astype(np.float32), gains)


class FittedTrellis(FittedCodec):
    """Widths and scales of columns, tables of widths, the grid of gains and the mean row."""

    codec: Trellis

    def __init__(self, codec: Trellis, dim: int, tensors: Tensors) -> None:
        self.codec = codec
        self.dim = dim
        codes = RowTensor(np.uint8, (codec.row_bytes(dim),))
        self.row_tensors: Mapping[str, RowTensor] = {"codes": codes}
        self.shared_tensors: Tensors = {name: tensors[name] for name in codec.shared_layout(dim)}
        self._code = codec.stored_code(self.shared_tensors)

    def clipped(self, rows: NDArray[Any], threads: int) -> int:
        """Entries beyond the largest values that rows can have."""
        limits = self._code.limits()
        offset = self.shared_tensors.get("offset", np.float32(0))
        return _core.count_clipped(rows, 1, offset - limits, offset + limits, threads)

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block, each row by the best path through the trellis."""
        self._code.encode(block.rows, self.codec.reach, out["codes"], threads)
