"""Scalar k-means (Andrews 2016; May et al. 2019): learned levels, solved to the optimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import is_whole
from emcomp.codecs.base import Codec, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.checks import check_bits, check_group
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source
from emcomp.statistics.extremes import refuse_nonfinite

_COARSE = 0.002
"""Bins are too wide where more than this part of the error comes from inside them."""
_FINER_MANTISSA_BITS = (16, 20, 23)  # at the last, each number is a bin of its own
_REFINED_TOGETHER = 8
_LARGEST_TABLE = 2**31
"""Levels are found by 32-bit offsets."""


@register
@dataclass(frozen=True)
class KMeans(Codec):
    """2^bits levels of least squared error, found by k-means in one dimension.

    A value is the level nearest to it, the lower one of two equally near. The levels are the global
    optimum, not the end of a random search: dynamic programming over a fine histogram. A table of
    no more distinct values than levels comes back exactly; the levels it does not need repeat the
    last one.

    Attributes:
        bits: width of a code, 1 to 8.
        granularity: which entries share levels: ``"matrix"`` (Andrews's), or a number of
            neighbouring columns (a group; the last may be smaller), such as 1 for levels of each
            column.
    """

    name: ClassVar[str] = "kmeans"
    size_fields: ClassVar[tuple[str, ...]] = ("bits",)

    bits: int
    granularity: Literal["matrix"] | int = "matrix"

    def __post_init__(self) -> None:
        check_bits(self.bits)
        group = self.granularity
        if group != "matrix" and not (is_whole(group) and int(group) > 0):
            raise InputError(f"granularity must be 'matrix' or a number of columns, not {group!r}")

    def group(self, dim: int) -> int:
        """Neighbouring columns that share levels."""
        return dim if self.granularity == "matrix" else int(self.granularity)

    def levels_shape(self, dim: int) -> tuple[int, int]:
        """Groups of columns, and levels of each."""
        return -(-dim // self.group(dim)), 2**self.bits

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """Every width, with levels that the whole matrix shares."""
        return [str(cls(bits)) for bits in range(1, 9)]

    def check(self, shape: tuple[int, int]) -> None:
        """Any table can be quantized; only groups that do not suit its columns are refused."""
        check_group(self.granularity, shape[1], "granularity='matrix'")
        groups, levels = self.levels_shape(shape[1])
        if groups * max(levels, 16) >= _LARGEST_TABLE:
            raise InputError(f"{groups} groups of {levels} levels are too many; use wider groups")

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes and levels."""
        rows, dim = shape
        groups, levels = self.levels_shape(dim)
        return rows * _core.row_bytes(dim, self.bits) + groups * levels * 4

    def fit(self, source: Source, engine: Engine) -> FittedKMeans:
        """Find the levels, in one pass; groups of very close values take up to three more.

        Raises:
            InputError: for NaN and infinite entries.
        """
        dim = source.shape[1]
        group = self.group(dim)
        statistic = engine.fill("fit", source, partial(self.empty_histogram, dim))
        if statistic.nonfinite:
            refuse_nonfinite(source, engine)
        levels, errors, inside = _core.optimal_levels(statistic, self.bits, engine.threads)
        del statistic
        for mantissa_bits in _FINER_MANTISSA_BITS:
            coarse = np.flatnonzero(inside > _COARSE * errors)
            for first in range(0, coarse.size, _REFINED_TOGETHER):
                some = coarse[first : first + _REFINED_TOGETHER].tolist()
                finer = engine.fill(
                    "refine", source, partial(GroupHistograms, some, group, mantissa_bits)
                )
                for g, histogram in zip(some, finer.histograms, strict=True):
                    found = _core.optimal_levels(histogram, self.bits, engine.threads)
                    levels[g], errors[g], inside[g] = (part[0] for part in found)
        info = {"expected_squared_error": float(errors.sum())}
        return FittedKMeans(self, dim, levels, info)

    def empty_histogram(self, dim: int) -> _core.ValueHistogram | _core.ColumnHistograms:
        """What the levels are found from."""
        group = self.group(dim)
        if group == dim:
            return _core.ValueHistogram(max(10, self.bits + 4))
        return _core.ColumnHistograms(dim, group, max(8, self.bits + 2))

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:
        """One, and more for groups of very close values."""
        batches = -(-self.levels_shape(shape[1])[0] // _REFINED_TOGETHER)
        return 1, 1 + len(_FINER_MANTISSA_BITS) * batches

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """Histograms of the groups of columns."""
        groups, _ = self.levels_shape(shape[1])
        return groups << (9 + max(8, self.bits + 2))

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedKMeans:
        """The codec with its levels."""
        return FittedKMeans(self, dim, tensors["levels"], info)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Packed codes, and levels of each group of columns."""
        rows, dim = shape
        return {
            "codes": (np.uint8, (rows, _core.row_bytes(dim, self.bits))),
            "levels": (np.float32, self.levels_shape(dim)),
        }


class GroupHistograms:
    """Fine histograms of some groups of columns."""

    def __init__(self, groups: list[int], columns: int, mantissa_bits: int) -> None:
        self._groups = groups
        self._columns = columns
        self.histograms = [_core.ValueHistogram(mantissa_bits) for _ in groups]

    def update(self, rows: NDArray[Any], threads: int) -> None:
        """Add the groups' entries of some rows."""
        for group, histogram in zip(self._groups, self.histograms, strict=True):
            first = group * self._columns
            histogram.update(rows[:, first : first + self._columns], threads)

    def merge(self, following: GroupHistograms) -> None:
        """Add the entries of other rows."""
        for own, other in zip(self.histograms, following.histograms, strict=True):
            own.merge(other)


class FittedKMeans(FittedCodec):
    """Levels of all groups of columns."""

    codec: KMeans

    def __init__(self, codec: KMeans, dim: int, levels: NDArray[np.float32], info: Info) -> None:
        self.codec = codec
        self.dim = dim
        self.group = codec.group(dim)
        codes = RowTensor(np.uint8, (_core.row_bytes(dim, codec.bits),))
        self.row_tensors: Mapping[str, RowTensor] = {"codes": codes}
        self.levels = levels
        self.shared_tensors: Tensors = {"levels": levels}
        self.info = info

    def clipped(self, rows: NDArray[Any], threads: int) -> int:
        """Entries beyond the outermost levels."""
        low, high = (np.ascontiguousarray(self.levels[:, end]) for end in (0, -1))
        return _core.count_clipped(rows, self.group, low, high, threads)

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block by the nearest levels."""
        _core.encode_levels(
            block.rows, self.codec.bits, self.group, self.levels, out["codes"], threads
        )
