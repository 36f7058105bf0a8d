"""Factorizations: ``svd:k`` and ``pca:k``, exact and in one pass over the rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from emcomp._support.validation import is_whole
from emcomp.codecs.base import Info, RowTensor, Tensors, parse_codec
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.statistics.basis import MAX_PASSES
from emcomp.transforms.axes import singular_axes
from emcomp.transforms.linear import ENCODER, FittedTransform, LinearTransform
from emcomp.transforms.maps import map_of

if TYPE_CHECKING:
    from typing_extensions import Self


def check_dtype(dtype: object) -> None:
    """Raise InputError unless a map can be stored so."""
    if dtype not in ("float32", "float16"):
        raise InputError(f"map_dtype must be 'float32' or 'float16', not {dtype!r}")


@dataclass(frozen=True)
class Projection(LinearTransform):
    """Rows to their k coordinates along orthonormal axes."""

    size_fields: ClassVar[tuple[str, ...]] = ("k",)

    k: int

    def __post_init__(self) -> None:
        if not is_whole(self.k) or self.k < 1:
            raise InputError(f"k must be a whole number from 1, not {self.k!r}")

    def latent_dim(self, dim: int) -> int:  # noqa: ARG002
        """As many as there are axes."""
        return self.k


@dataclass(frozen=True)
class InvertedProjection(Projection):
    """A projection whose decoder is stored, so that rows come back in their own space."""

    has_offset: ClassVar[bool] = False
    """Whether decoding adds a row of float32, which is stored too."""

    map_dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dtype(self.map_dtype)

    @classmethod
    def for_ratio(cls, shape: tuple[int, int], ratio: float) -> Self:
        """The one with float32 latents that makes a table ``ratio`` times smaller than float32.

        That is ``k = floor(n d / (ratio (n + d)))``, which counts the decoder (Bałazy et al. 2021);
        ``d`` comes off the numbers that may be stored, ``n d / ratio``, where there is an offset.

        Raises:
            InputError: if not even one latent is left, or the ratio is not positive.
        """
        rows, dim = shape
        stored = rows * dim / ratio - cls.has_offset * dim if ratio > 0 else 0.0
        k = int(stored / (rows + dim))
        if k < 1:
            raise InputError(
                f"a table of {rows} x {dim} cannot be factorized {ratio} times smaller"
            )
        return cls(min(k, dim))

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:
        """The decoder."""
        tensors = {"map": RowTensor(self.map_dtype, (self.k, dim))}
        if self.has_offset:
            tensors["offset"] = RowTensor(np.float32, (dim,))
        return tensors


def most_latents(template: str, shape: tuple[int, int], bits: float) -> list[str]:
    """The codec with the most latents, for ``{}``, that takes at most so many bits per entry.

    Empty if that is all of them, or not one.
    """
    rows, dim = shape

    def nbytes(k: int) -> int:
        return parse_codec(template.format(k)).nbytes(shape)

    k = bisect_right(range(1, dim + 1), rows * dim * bits / 8, key=nbytes)
    return [template.format(k)] if 0 < k < min(dim, rows) else []


@register
@dataclass(frozen=True)
class Svd(InvertedProjection):
    """Truncated singular value decomposition, without centring, exact.

    The best approximation of rank k in squared error (Eckart and Young 1936); the baseline of
    Bałazy et al. 2021, who used a randomized solver.

    Attributes:
        k: rank, the number of latents.
        map_dtype: ``"float32"`` or ``"float16"``, how the decoder is stored.
    """

    name: ClassVar[str] = "svd"

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """Latents of 2 bits, more for the stronger, at half a bit and one bit per entry."""
        template = f"{cls.name}:{{}}+allocate:2"
        return [codec for bits in (0.5, 1) for codec in most_latents(template, shape, bits)]

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Singular vectors of the table, signs fixed."""
        axes = singular_axes(source, self.k, engine)
        tensors = {
            "map": np.ascontiguousarray(axes.vectors.T, self.map_dtype),
            ENCODER: axes.vectors.astype(np.float32),
        }
        return self.restore(source.shape[1], tensors, {"rank_error": axes.error})

    def fit_passes(self) -> tuple[int, int]:
        """One, and more for tables too ill-conditioned for a Gram matrix."""
        return 1, MAX_PASSES

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:  # noqa: ARG002
        """The projection on the axes."""
        return FittedTransform(
            self,
            map_of(tensors[ENCODER]),
            tensors={"map": tensors["map"]},
            encoder_tensors={ENCODER: tensors[ENCODER]},
            info=info,
        )


@register
@dataclass(frozen=True)
class Pca(Projection):
    """Dimensionality reduction: rows of k entries, with no way back to the original ones.

    The rows are ``U_k S_k``, without centring (May et al. 2019, section 2). The compressed table
    has dimension k.

    Attributes:
        k: entries of a row.
    """

    name: ClassVar[str] = "pca"

    def table_dim(self, dim: int) -> int:  # noqa: ARG002
        """As many as there are axes."""
        return self.k

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Singular vectors of the table, signs fixed."""
        axes = singular_axes(source, self.k, engine)
        tensors = {ENCODER: axes.vectors.astype(np.float32)}
        return self.restore(source.shape[1], tensors, {"rank_error": axes.error})

    def fit_passes(self) -> tuple[int, int]:
        """One, and more for tables too ill-conditioned for a Gram matrix."""
        return 1, MAX_PASSES

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:  # noqa: ARG002
        """The projection on the axes."""
        encoder_tensors = {ENCODER: tensors[ENCODER]}
        return FittedTransform(
            self, map_of(tensors[ENCODER]), encoder_tensors=encoder_tensors, info=info
        )
