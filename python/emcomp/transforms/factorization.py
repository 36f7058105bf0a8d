"""Factorizations: ``svd:k`` and ``pca:k``, exact and in one pass over the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from emcomp import _core
from emcomp.codec import Progress, RowTensor, Tensors
from emcomp.errors import InputError
from emcomp.grammar import register
from emcomp.sources import Source
from emcomp.transforms.axes import singular_axes
from emcomp.transforms.linear import NO_TENSORS, FittedTransform, LinearTransform, map_of


def check_size(k: object) -> None:
    """Raise InputError unless k can be a number of latents."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"k must be a whole number from 1, not {k!r}")


def check_dtype(dtype: object) -> None:
    """Raise InputError unless a map can be stored so."""
    if dtype not in ("float32", "float16"):
        raise InputError(f"map_dtype must be 'float32' or 'float16', not {dtype!r}")


def size_for_ratio(shape: tuple[int, int], ratio: float) -> int:
    """The k for which float32 latents and a k x dim decoder make a table ``ratio`` times smaller.

    That is ``floor(n d / (ratio (n + d)))`` (Bałazy et al. 2021).

    Raises:
        InputError: if not even one latent is left, or the ratio is not positive.
    """
    rows, dim = shape
    k = int(rows * dim / (ratio * (rows + dim))) if ratio > 0 else 0
    if k < 1:
        raise InputError(f"a table of {rows} x {dim} cannot be factorized {ratio} times smaller")
    return min(k, dim)


@dataclass(frozen=True)
class _Projection(LinearTransform):
    """Rows to their coordinates along the k leading right singular vectors."""

    size_fields: ClassVar[tuple[str, ...]] = ("k",)

    k: int

    def __post_init__(self) -> None:
        check_size(self.k)

    def latent_dim(self, dim: int) -> int:
        """k."""
        return self.k

    def fit(self, source: Source, threads: int, progress: Progress) -> FittedTransform:
        """Singular vectors of the table, signs fixed."""
        progress("fit", 0, source.shape[0])
        axes = singular_axes(source, self.k, threads)
        return FittedTransform(
            map_of(axes.vectors),
            tensors=self.stored(axes.vectors.T),
            info={"mean_squares": [float(value) for value in axes.values]},
        )

    def stored(self, decoder: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Tensors:
        """What is kept of the decoder (k, dim)."""
        return {}


@register
@dataclass(frozen=True)
class Svd(_Projection):
    """Truncated singular value decomposition, without centring, exact.

    The best approximation of rank k in squared error (Eckart and Young 1936); the baseline of
    Bałazy et al. 2021, who used a randomized solver.

    Attributes:
        k: rank, the number of latents.
        map_dtype: ``"float32"`` or ``"float16"``, how the decoder is stored.
    """

    name: ClassVar[str] = "svd"

    map_dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dtype(self.map_dtype)

    @classmethod
    def for_ratio(cls, shape: tuple[int, int], ratio: float) -> Svd:
        """The factorization with float32 latents that is ``ratio`` times smaller than float32."""
        return cls(size_for_ratio(shape, ratio))

    @property
    def orthonormal(self) -> bool:  # type: ignore[override]
        """Rounded to float16 the decoder is not quite orthonormal."""
        return self.map_dtype == "float32"

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:
        """The decoder."""
        return {"map": RowTensor(self.map_dtype, (self.k, dim))}

    def stored(self, decoder: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Tensors:
        """The decoder, rounded."""
        return {"map": decoder.astype(self.map_dtype)}

    def decoder(self, dim: int, tensors: Tensors) -> _core.LinearMap:
        """The stored decoder."""
        return map_of(tensors["map"])


@register
@dataclass(frozen=True)
class Pca(_Projection):
    """Dimensionality reduction: rows of k entries, with no way back to the original ones.

    The rows are ``U_k S_k``, without centring (May et al. 2019, section 2). The compressed table
    has dimension k.

    Attributes:
        k: entries of a row.
    """

    name: ClassVar[str] = "pca"

    def table_dim(self, dim: int) -> int:
        """k."""
        return self.k

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:
        """None: there is no decoder."""
        return NO_TENSORS

    def decoder(self, dim: int, tensors: Tensors) -> None:
        """None: latents are the rows."""
