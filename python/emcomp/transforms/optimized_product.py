"""Optimized product quantization (Ge et al. 2013): rows are rotated to suit their codebooks first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import check_count
from emcomp.codecs.base import NOTHING, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.grammar import register
from emcomp.codecs.product import FittedProduct, ProductQuantization
from emcomp.codecs.row_kmeans import sampled
from emcomp.engine.base import Engine
from emcomp.io.sources.base import ArraySource, Block, Source
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.statistics.row_sums import Matrix, View, pair_sums
from emcomp.statistics.units import in_unit, unit_of
from emcomp.transforms.axes import centred_axes, mean_row
from emcomp.transforms.factorization import check_dtype
from emcomp.transforms.linear import ENCODER
from emcomp.transforms.maps import map_of, projected_rows, stored_map

_ROUNDS = 2  # of k-means between two rotations
_GRAMS = 6
_NEGLIGIBLE = 1e-14
"""Variances below this, relative to the largest, are rounding."""


@register
@dataclass(frozen=True)
class OptimizedProductQuantization(ProductQuantization):
    """Rows times a learned orthogonal matrix, then product quantization.

    Rotation and codewords are learned in turns (Ge et al. 2013, "Optimized product quantization",
    section 3.1): codewords by rounds of k-means on the rotated rows, the rotation as the orthogonal
    one that takes the rows nearest to what they are coded as (Procrustes). The first rotation is
    the best for Gaussian rows (section 3.2): to principal axes, dealt out so that the variances of
    all parts have the same product.

    Attributes:
        rotations: times that the rotation is learned, with two rounds of k-means before each.
        iterations: rounds of k-means after the last rotation at most.
        map_dtype: ``"float16"`` or ``"float32"``, how the dim x dim rotation back is stored.
    """

    name: ClassVar[str] = "opq"

    rotations: int = 25
    map_dtype: Literal["float16", "float32"] = "float16"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("rotations", self.rotations, 0, None)
        check_dtype(self.map_dtype)

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes, codebook and rotation."""
        return super().nbytes(shape) + shape[1] ** 2 * np.dtype(self.map_dtype).itemsize

    def fit(self, source: Source, engine: Engine) -> FittedCodec:
        """Learn rotation and codewords from a sample of the rows.

        Raises:
            InputError: for NaN and infinite entries.
        """
        unit = unit_of(refuse_nonfinite(source, engine))
        rows = in_unit(sampled(source, self.sample, self.seed, engine), unit)
        local, quiet = Engine(engine.threads, engine.progress), Engine(engine.threads)
        rotation = self._first_rotation(ArraySource(rows), quiet)
        latents = _rotated(rows, rotation, engine.threads)
        codebook = self.start(latents, local)
        for done in range(self.rotations):
            engine.progress("rotate", done * len(rows) // self.rotations, len(rows))
            codebook = self.improve(codebook, latents, _ROUNDS, quiet)
            coded = self._coded(latents.array, codebook, engine.threads)
            rotation = _nearest_rotation(rows, coded, quiet)
            latents = _rotated(rows, rotation, engine.threads)
        tensors = {
            "codebook": self.improve(codebook, latents, self.iterations, local) * np.float32(unit),
            "map": stored_map(rotation.T, self.map_dtype),
            ENCODER: rotation.astype(np.float32),
        }
        return self.restore(source.shape[1], tensors, NOTHING)

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """To check the rows and to draw the sample."""
        return 2, 2

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample, rotated, and what it is coded as."""
        return 16 * shape[1] * min(shape[0], self.sample) + _GRAMS * 8 * shape[1] ** 2

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedCodec:  # noqa: ARG002
        """The codec with its rotation and codebook."""
        return FittedOptimizedProduct(self, tensors)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Codes, codebook and the rotation back."""
        rotation = RowTensor(self.map_dtype, (shape[1], shape[1]))
        return {**super().tensor_layout(shape), "map": rotation}

    def _first_rotation(self, rows: Source, engine: Engine) -> Matrix:
        """Principal axes in an order that makes the variances of all parts multiply to the same."""
        variances, axes = centred_axes(rows, mean_row(rows, engine), engine)
        dim = variances.size
        room = np.full(self.parts, dim // self.parts) + (np.arange(self.parts) < dim % self.parts)
        largest = max(variances[0], np.finfo(np.float64).tiny)
        weights = np.log(np.maximum(variances / largest, _NEGLIGIBLE) / _NEGLIGIBLE)
        weight = np.zeros(self.parts)
        part_of = np.empty(dim, np.int64)
        for axis in range(dim):
            part = np.where(room > 0, weight, np.inf).argmin()
            part_of[axis] = part
            weight[part] += weights[axis]
            room[part] -= 1
        return axes[:, np.argsort(part_of, kind="stable")]

    def _coded(
        self, latents: NDArray[np.float32], codebook: NDArray[np.float32], threads: int
    ) -> NDArray[np.float32]:
        """What rotated rows come back as."""
        codes = np.empty((len(latents), self.row_bytes), np.uint8)
        _core.encode_product(latents, 0, self.parts, self.bits, codebook, codes, threads)
        coded = np.empty_like(latents)
        plain = ProductQuantization(self.parts, self.bits)
        reader = plain.reader(coded.shape, {"codes": codes, "codebook": codebook})
        reader.read(0, coded, threads)
        return coded


class FittedOptimizedProduct(FittedCodec):
    """A rotation and the codebook of rotated rows, float32 (2^bits, dim)."""

    def __init__(self, codec: OptimizedProductQuantization, tensors: Tensors) -> None:
        self.codec = codec
        self.dim = len(tensors[ENCODER])
        self.product = FittedProduct(codec, tensors["codebook"])
        self.row_tensors: Mapping[str, RowTensor] = self.product.row_tensors
        self.shared_tensors: Tensors = {name: tensors[name] for name in ("codebook", "map")}
        self.encoder_tensors: Tensors = {ENCODER: tensors[ENCODER]}
        self._rotation = map_of(tensors[ENCODER])

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block: rotated, each part to its nearest codeword."""
        latents = projected_rows(block.rows, self._rotation, threads)
        self.product.encode(Block(block.first, latents), out, threads)


def _rotated(rows: NDArray[Any], rotation: Matrix, threads: int) -> ArraySource:
    return ArraySource(projected_rows(rows, map_of(rotation), threads))


def _nearest_rotation(rows: NDArray[Any], coded: NDArray[np.float32], engine: Engine) -> Matrix:
    """The orthogonal matrix R of least |rows R - coded|^2 (Schönemann 1966)."""
    sums = pair_sums(
        View(ArraySource(rows), "the rows"), View(ArraySource(coded), "their codewords"), engine
    )
    left, _, right = np.linalg.svd(sums.cross)
    rotation: Matrix = left @ right
    return rotation
