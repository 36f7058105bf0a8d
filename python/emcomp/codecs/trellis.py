"""Trellis codes: windows of a row's bits that overlap, and stand for values that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import check_count
from emcomp.codecs.base import (
    NOTHING,
    Codec,
    FittedCodec,
    Info,
    Narrowing,
    RowTensor,
    TensorLayout,
    Tensors,
)
from emcomp.codecs.grammar import register
from emcomp.codecs.trellis_classes import MOST, ClassTensors
from emcomp.codecs.trellis_fit import CLASS_SAMPLE, fit_tensors
from emcomp.codecs.trellis_layout import WIDEST, even_widths
from emcomp.codecs.trellis_tables import BYTES
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source

_WINDOWS = (8, 10, 12)
_GAIN_BYTES = 1
_RECORD_BYTES = 64
_PLACE_BYTES = 8
_CLASS_TENSORS = tuple(f"class_{name}" for name in ClassTensors._fields)


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
            bytes that are just enough, k bytes for ``8 * k / dim`` bits. With several classes
            all rows together do, and bits need not be whole bytes of a row.
        window: 8, 10 or 12 bits. Longer windows lose less and take longer.
        widths: ``"even"`` for as many bits in all columns, which reads fastest, ``"column"`` to
            give more of them to stronger columns, or ``"auto"`` to do so where it pays.
        centre: ``"mean"`` to subtract the mean row first, or ``"none"``.
        rounds: how often rows are coded to learn the tables from them; 0 for those of a Gaussian.
        sample: rows to learn the tables from at most, drawn by ``seed``.
        classes: kinds of rows, 1 to 16 or ``"auto"``, each with its own widths and scales; rows of
            different classes have different numbers of bits, ``bits`` being the mean over all.
            Long rows get more of them.
        weight: with several classes, how much the error of a row counts: its length to this power,
            inverted. 0 makes the squared error least, 1 the cosine distance less.
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
    classes: int | Literal["auto"] = 1
    weight: float = 1.0
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
        if self.classes != "auto":
            check_count("classes", self.classes, 1, MOST)
        if not (isinstance(self.weight, (int, float)) and 0 <= self.weight <= 4):
            raise InputError(f"weight must be a number from 0 to 4, not {self.weight!r}")
        object.__setattr__(self, "weight", float(self.weight))
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

    @property
    def _exact_bits(self) -> Fraction:
        return Fraction(self.bits).limit_denominator(1_000_000)  # what floats are rounded from

    def code_bits(self, dim: int) -> int:
        """Bits of the codes of a row, or of most with several classes: whole bytes, one at least."""
        return 8 * max(1, ceil(dim * self._exact_bits / 8))

    def row_budget(self, shape: tuple[int, int]) -> int:
        """Bytes of all rows, gains and codes."""
        rows, dim = shape
        if not self.ragged:
            return rows * self.row_bytes(dim)
        return rows * _GAIN_BYTES + max(rows, ceil(rows * dim * self._exact_bits / 8))

    def window_bits(self, dim: int) -> int:
        """Bits of a window, no more than those of a row."""
        return min(self.window, self.code_bits(dim))

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row: its gain and its codes."""
        return _GAIN_BYTES + self.code_bits(dim) // 8

    def even_widths(self, dim: int, bits: int) -> NDArray[np.uint8]:
        """Widths of columns that all get as many bits.

        Where they can have the same, a few bits may be left over: that reads faster.
        """
        if self.bits.is_integer() and bits == self.code_bits(dim):
            return np.full(dim, int(self.bits), np.uint8)
        return even_widths(dim, bits)

    @property
    def ragged(self) -> bool:
        """Whether rows have different lengths."""
        return self.classes != 1

    def _shared_layout(self, dim: int, classes: int) -> TensorLayout:
        """Tensors that all rows share, but for unused bytes."""
        half = 1 << (self.window_bits(dim) - 1)
        layout: dict[str, Any] = {
            "widths": (np.uint8, (classes, dim)),
            "scales": (np.uint8, (classes, dim)),
            "grid": (np.int64, (3,)),
            "tables": (np.uint8, (BYTES, half)),
            "steps": (np.float32, (BYTES,)),
            "wide_tables": (np.float16, (WIDEST - BYTES, half)),
        }
        if self.centre == "mean":
            layout["offset"] = (np.float32, (dim,))
        return layout

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Gains with codes, and how they are decoded.

        Raises:
            InputError: with several classes, as the lengths of rows depend on what they are.
        """
        rows, dim = shape
        if self.ragged:
            raise InputError(
                f"codec {self}: the tensors of a table of {rows} x {dim} depend on its rows"
            )
        codes = (np.uint8, (rows, self.row_bytes(dim)))
        return {"codes": codes, **self._shared_layout(dim, 1)}

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Gains, codes, widths, scales, tables and the mean row."""
        rows, dim = shape
        shared = self.shared_bytes(dim, self.most_classes)
        places = -(-rows // _core.RECORD_ROWS) * _RECORD_BYTES if self.ragged else 0
        return self.row_budget(shape) + places + shared

    def shared_bytes(self, dim: int, classes: int) -> int:
        """Bytes of all tensors that rows of classes share, but for unused ones."""
        return sum(
            int(np.prod(size, dtype=np.int64)) * np.dtype(dtype).itemsize
            for dtype, size in self._shared_layout(dim, classes).values()
        )

    @property
    def most_classes(self) -> int:
        """Classes that there may be."""
        return MOST if self.classes == "auto" else int(self.classes)

    def fit(self, source: Source, engine: Engine) -> FittedTrellis:
        """Find the mean row, the columns' strengths, the rows' lengths and the tables.

        Raises:
            InputError: for NaN and infinite entries.
        """
        return self.restore(source.shape[1], fit_tensors(self, source, engine), NOTHING)

    def fit_narrowed(self, source: Source, engine: Engine, narrowing: Narrowing) -> FittedTrellis:
        """Leave the last columns out if no class has bits for them, and use what that saves.

        Raises:
            InputError: for NaN and infinite entries.
        """
        tensors = fit_tensors(self, source, engine, narrowing if self.ragged else None)
        return self.restore(tensors["widths"].shape[1], tensors, NOTHING)

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:
        """To check the rows, for the mean, for squares and lengths, for the sample and classes."""
        passes = 2 + (self.centre == "mean") + self.ragged
        sampled = self.ragged or self.rounds > 0
        few = shape[0] <= (CLASS_SAMPLE if self.ragged else self.sample)  # read as a whole
        return passes + (sampled and not few), passes + sampled

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample."""
        sample = CLASS_SAMPLE if self.ragged else self.sample
        return min(shape[0], sample) * (24 if self.ragged else 8) * shape[1]

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTrellis:  # noqa: ARG002
        """The codec with its tables, widths and scales."""
        return FittedTrellis(self, dim, tensors)

    @property
    def ragged_tensors(self) -> frozenset[str]:
        """Codes and places of rows of different lengths."""
        return frozenset(("codes", "places") if self.ragged else ())

    def join_ragged(
        self, parts: Sequence[tuple[int, Tensors]], shared: Tensors
    ) -> dict[str, NDArray[Any]]:
        """The places of all rows."""
        if not self.ragged:
            return {}
        classes = np.concatenate([_classes_of(t["places"], rows) for rows, t in parts])
        bits = shared["widths"].sum(axis=1, dtype=np.int64)
        lengths = np.where(bits > 0, _GAIN_BYTES - (-bits // 8), 0)
        return {"places": _core.row_places(classes, lengths)}


class FittedTrellis(FittedCodec):
    """Widths and scales of columns, tables of widths, the grid of gains and the mean row."""

    codec: Trellis

    def __init__(self, codec: Trellis, dim: int, tensors: Tensors) -> None:
        self.codec = codec
        self.dim = dim
        self.shared_tensors: Tensors = {
            name: tensor for name, tensor in tensors.items() if name not in _CLASS_TENSORS
        }
        self._classes: _core.TrellisClasses | None = None
        if codec.ragged:
            self.encoder_tensors: Tensors = {name: tensors[name] for name in _CLASS_TENSORS}
            self._classes = ClassTensors(*self.encoder_tensors.values()).core()
        codes = RowTensor(np.uint8, (codec.row_bytes(dim),))
        self.row_tensors: Mapping[str, RowTensor] = {} if codec.ragged else {"codes": codes}
        self._code = _core.stored_trellis_code(
            str(codec),
            tensors["widths"],
            tensors["scales"],
            tensors["grid"],
            tensors.get("offset"),
            tensors["tables"],
            tensors["steps"],
            tensors["wide_tables"],
        )

    def clipped(self, rows: NDArray[Any], threads: int) -> int:
        """Entries beyond the largest values that rows can have."""
        limits = self._code.limits()
        offset = self.shared_tensors.get("offset", np.float32(0))
        return _core.count_clipped(rows, 1, offset - limits, offset + limits, threads)

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block, each row by the best path through the trellis."""
        self._code.encode(block.rows, None, self.codec.reach, out["codes"], threads)

    def encode_rows(self, block: Block, threads: int) -> dict[str, NDArray[Any]]:
        """Encode a block, each row as long as those of its class."""
        if self._classes is None:
            return super().encode_rows(block, threads)
        offset = self.shared_tensors.get("offset")
        classes = self._classes.choose(block.rows, offset, threads)
        lengths = np.array(self._code.row_lengths, np.int64)
        codes = np.empty(int(lengths[classes].sum()), np.uint8)
        self._code.encode(block.rows, classes, self.codec.reach, codes, threads)
        return {"codes": codes, "places": _core.row_places(classes, lengths)}


def _classes_of(places: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
    """The classes of rows."""
    packed = places[:, _PLACE_BYTES:]
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1)[:rows]
