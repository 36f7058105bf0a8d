"""Uniform quantization (May et al. 2019, section 3): the simplest codec, and a strong one."""

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

SMALLEST_FLOAT16 = 2.0**-14
LARGEST_FLOAT16 = 65504.0


@register
@dataclass(frozen=True)
class Uniform(Codec):
    """2^bits levels in equal steps, symmetric about zero, none of them zero.

    A value is ``(code - (2^bits - 1) / 2) * step`` with ``step = 2 r / (2^bits - 1)`` and r the
    clipping range (May et al. 2019, section 3). With one range for the whole matrix, as in the
    paper, a row of zeros does not come back as zeros but as the levels next to zero; with
    ``granularity="row"`` or a group size it does, exactly.

    Attributes:
        bits: width of a code, 1 to 8.
        granularity: which entries share a range: ``"matrix"`` (the paper's), ``"row"``,
            ``"column"``, or a number of neighbouring columns of a row (a group; the last of a row
            may be smaller).
        clip: the range: ``"optimal"`` (least squared error), ``"max"`` (largest magnitude), a
            positive number, or ``"quantile:q"`` (of the magnitudes, 0 < q <= 1).
        rounding: ``"nearest"`` (half to even) or ``"stochastic"`` (unbiased).
        seed: of stochastic rounding; a code depends on seed, row and column only.
        step_dtype: ``"float32"`` or ``"float16"``, how steps are stored.
    """

    name: ClassVar[str] = "uniform"
    size_fields: ClassVar[tuple[str, ...]] = ("bits",)

    bits: int
    granularity: Literal["matrix", "row", "column"] | int = "matrix"
    clip: Literal["optimal", "max"] | float | str = "optimal"
    rounding: Literal["nearest", "stochastic"] = "nearest"
    seed: int = 0
    step_dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        check_bits(self.bits)
        group = self.granularity
        if group not in ("matrix", "row", "column") and not (is_whole(group) and int(group) > 0):
            raise InputError(
                "granularity must be 'matrix', 'row', 'column' or a number of columns, "
                f"not {group!r}"
            )
        if self.rounding not in ("nearest", "stochastic"):
            raise InputError(f"rounding must be 'nearest' or 'stochastic', not {self.rounding!r}")
        if not is_whole(self.seed) or not 0 <= self.seed < 2**64:
            raise InputError(f"seed must be a whole number from 0 to 2**64 - 1, not {self.seed!r}")
        if self.step_dtype not in ("float32", "float16"):
            raise InputError(f"step_dtype must be 'float32' or 'float16', not {self.step_dtype!r}")
        self.clipping()

    def clipping(self) -> _core.Clipping:
        """The clipping rule in the core's terms. Raises InputError if ``clip`` is not one."""
        clip = self.clip
        if isinstance(clip, str) and clip in ("optimal", "max"):
            return _core.Clipping(clip)
        if isinstance(clip, str) and clip.startswith("quantile:"):
            try:
                quantile = float(clip.removeprefix("quantile:"))
            except ValueError:
                quantile = 0.0
            if 0.0 < quantile <= 1.0:
                return _core.Clipping("quantile", quantile)
        is_number = isinstance(clip, (int, float)) and not isinstance(clip, bool)
        if is_number and 1e-36 < float(clip) < 1e38:
            return _core.Clipping("value", float(clip))
        raise InputError(
            "clip must be 'optimal', 'max', a positive number or 'quantile:q' with 0 < q <= 1, "
            f"not {clip!r}"
        )

    @property
    def by_row(self) -> bool:
        """Whether each row has steps of its own."""
        return self.granularity not in ("matrix", "column")

    def group(self, dim: int) -> int:
        """Neighbouring columns that share a step."""
        if self.granularity in ("matrix", "row"):
            return dim
        return 1 if self.granularity == "column" else min(int(self.granularity), dim)

    def step_shape(self, dim: int) -> tuple[int, ...]:
        """Shape of the steps of the table or, where each row has its own, of a row."""
        groups = -(-dim // self.group(dim))
        return () if self.granularity == "row" else (groups,)

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """Every width, with steps for the matrix, for columns, for rows and for groups of 32."""
        found = []
        for bits in range(1, 9):
            found += [cls(bits), cls(bits, "column"), cls(bits, "row")]
            if shape[1] > 32:
                found.append(cls(bits, 32, step_dtype="float16"))
        return list(map(str, found))

    def check(self, shape: tuple[int, int]) -> None:
        """Any table can be quantized; only a group wider than the table is refused."""
        check_group(self.granularity, shape[1], "granularity='row'")

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes and steps."""
        rows, dim = shape
        steps = int(np.prod(self.step_shape(dim), dtype=np.int64)) * (rows if self.by_row else 1)
        return rows * _core.row_bytes(dim, self.bits) + steps * np.dtype(self.step_dtype).itemsize

    def fit(self, source: Source, engine: Engine) -> FittedUniform:
        """Find the steps that all rows share, in one pass; steps of a row are found with its codes.

        Raises:
            InputError: for NaN and infinite entries, or steps that float16 cannot hold.
        """
        dim = source.shape[1]
        given = not isinstance(self.clip, str)
        if self.by_row or given:
            refuse_nonfinite(source, engine)
        if self.by_row:
            return FittedUniform(self, dim, None)
        statistic = self.empty_histogram(dim)
        if not given:
            statistic = engine.fill("fit", source, partial(self.empty_histogram, dim))
        if statistic.nonfinite:
            refuse_nonfinite(source, engine)
        if isinstance(statistic, _core.ColumnHistograms):
            steps = statistic.steps(self.bits, self.clipping(), engine.threads)
        else:
            with np.errstate(over="ignore"):  # a step beyond float32 is refused by its codec
                steps = np.array([statistic.step(self.bits, self.clipping())]).astype(np.float32)
        return FittedUniform(self, dim, self.stored_steps(steps))

    def empty_histogram(self, dim: int) -> _core.ColumnHistograms | _core.ValueHistogram:
        """What the steps that all rows share are found from."""
        column = self.granularity == "column"
        return _core.ColumnHistograms(dim) if column else _core.ValueHistogram()

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """Histograms, one for each column where columns have steps of their own."""
        return shape[1] << 17 if self.granularity == "column" else 0

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedUniform:  # noqa: ARG002
        """The codec with its steps, if all rows share them."""
        return FittedUniform(self, dim, tensors.get("steps"))

    def stored_steps(self, steps: NDArray[np.float32]) -> NDArray[Any]:
        """Steps as they are stored. Raises InputError where float16 would distort them."""
        if self.step_dtype == "float32":
            return steps
        used = steps[steps != 0]
        if used.size and (used.min() < SMALLEST_FLOAT16 or used.max() > LARGEST_FLOAT16):
            raise InputError(
                f"steps from {used.min():.3g} to {used.max():.3g} do not fit float16 "
                f"({SMALLEST_FLOAT16:.3g} to {LARGEST_FLOAT16:g}); use step_dtype='float32'"
            )
        return steps.astype(np.float16)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Packed codes, and steps of the table or of each row."""
        rows, dim = shape
        steps_shape = (rows, *self.step_shape(dim)) if self.by_row else self.step_shape(dim)
        return {
            "codes": (np.uint8, (rows, _core.row_bytes(dim, self.bits))),
            "steps": (self.step_dtype, steps_shape),
        }


class FittedUniform(FittedCodec):
    """Uniform quantization with the steps that all rows share, if they do."""

    codec: Uniform

    def __init__(self, codec: Uniform, dim: int, steps: NDArray[Any] | None) -> None:
        self.codec = codec
        self.dim = dim
        codes = RowTensor(np.uint8, (_core.row_bytes(dim, codec.bits),))
        self.row_tensors: Mapping[str, RowTensor] = {"codes": codes}
        self.shared_tensors: Tensors = {}
        if steps is None:
            self.row_tensors = {
                "codes": codes,
                "steps": RowTensor(codec.step_dtype, codec.step_shape(dim)),
            }
        else:
            self.shared_tensors = {"steps": steps}
            self.info: Info = {"range": float(steps.max()) * (2**codec.bits - 1) / 2}

    def clipped(self, rows: NDArray[Any], threads: int) -> int:
        """Entries beyond the range that all rows share, if they do."""
        if self.codec.by_row:
            return 0
        limits = self.shared_tensors["steps"].astype(np.float32) * ((2**self.codec.bits - 1) / 2)
        limits = limits.astype(np.float32)
        return _core.count_clipped(rows, self.codec.group(self.dim), -limits, limits, threads)

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block; steps of rows are found here."""
        codec = self.codec
        group = codec.group(self.dim)
        if codec.by_row:
            found = _core.choose_row_steps(block.rows, codec.bits, group, codec.clipping(), threads)
            out["steps"][...] = codec.stored_steps(found).reshape(out["steps"].shape)
            steps = out["steps"]
        else:
            steps = self.shared_tensors["steps"]
        _core.encode_uniform(
            block.rows,
            block.first,
            codec.bits,
            group,
            np.ascontiguousarray(steps, np.float32),
            codec.by_row,
            codec.rounding == "stochastic",
            codec.seed,
            out["codes"],
            threads,
        )
