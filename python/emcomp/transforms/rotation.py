"""A random rotation before quantization: the data-free way to make all columns alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from emcomp import _core
from emcomp._support.validation import is_whole
from emcomp.codecs.base import NOTHING, Info, RowTensor, Tensors
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.statistics.squared_error import ErrorSums
from emcomp.transforms.linear import NO_TENSORS, FittedTransform, LinearTransform

ROW_SCALES: Mapping[str, RowTensor] = {"scales": RowTensor(np.float16, ())}


def check_scales(scales: object) -> None:
    """Raise InputError unless rows can be scaled so."""
    if scales not in ("none", "row"):
        raise InputError(f"scales must be 'none' or 'row', not {scales!r}")


def check_seed(seed: object) -> None:
    """Raise InputError unless seed can be one."""
    if not (isinstance(seed, int) and is_whole(seed) and 0 <= seed < 2**64):
        raise InputError(f"seed must be a whole number from 0 to 2**64 - 1, not {seed!r}")


def root_mean_square(source: Source, engine: Engine) -> float:
    """Of all entries of a source."""
    sums = engine.fold("fit", source.shape, ErrorSums(source, source))
    return math.sqrt(sums.total / math.prod(source.shape))


@register
@dataclass(frozen=True)
class Rotate(LinearTransform):
    """Rows times an orthogonal matrix drawn by a seed; nothing of it is stored.

    The matrix is a product of random signs and Walsh-Hadamard transforms (Ailon and Chazelle 2009).
    Rotated entries are nearly Gaussian and alike in all columns, which is what a scalar quantizer
    wants. Lengths, angles and the eigenspace overlap stay as they are.

    Attributes:
        scales: ``"row"`` to divide rows by their root mean square, kept as float16.
        seed: of the signs.
    """

    name: ClassVar[str] = "rotate"
    size_fields: ClassVar[tuple[str, ...]] = ()

    scales: Literal["none", "row"] = "none"
    seed: int = 0

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """Optimal levels of 1 to 6 bits, with a scale for each row."""
        return [f"{cls.name}(scales=row)+kmeans:{bits}" for bits in range(1, 7)]

    def __post_init__(self) -> None:
        check_scales(self.scales)
        check_seed(self.seed)

    def row_tensors(self) -> Mapping[str, RowTensor]:
        """The scales, if wanted."""
        return ROW_SCALES if self.scales == "row" else NO_TENSORS

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:  # noqa: ARG002
        """What a row scale of 1 stands for."""
        return {"gain": RowTensor(np.float32, (1,))} if self.scales == "row" else NO_TENSORS

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Nothing is learned but the size of the entries, for the row scales."""
        tensors = {}
        if self.scales == "row":
            tensors["gain"] = np.array([root_mean_square(source, engine) or 1.0], np.float32)
        return self.restore(source.shape[1], tensors, NOTHING)

    def fit_passes(self) -> tuple[int, int]:
        """One where rows have scales."""
        return (1, 1) if self.scales == "row" else (0, 0)

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:
        """The rotation of the seed, and the size of the entries."""
        rotation = _core.rotation(dim, self.seed, inverse=False)
        gain = float(tensors["gain"][0]) if self.scales == "row" else 1.0
        return FittedTransform(
            self, rotation, scaling=self.scales, gain=gain, tensors=tensors, info=info
        )

    def drawn_decoder(self, dim: int) -> _core.LinearMap:
        """The rotation back."""
        return _core.rotation(dim, self.seed, inverse=True)
