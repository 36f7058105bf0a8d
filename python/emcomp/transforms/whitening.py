"""Whitening before quantization: bits go where the eigenspace overlap looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from emcomp import _core
from emcomp.codec import NOTHING, Info, RowTensor, Tensors
from emcomp.engine import Engine
from emcomp.errors import InputError
from emcomp.gram import Matrix
from emcomp.grammar import register
from emcomp.sources import Source
from emcomp.transforms.axes import centred_axes, mean_row
from emcomp.transforms.factorization import check_dtype
from emcomp.transforms.linear import (
    ENCODER,
    NO_TENSORS,
    FittedTransform,
    LinearTransform,
    map_of,
    stored_map,
)
from emcomp.transforms.rotation import ROW_SCALES, check_scales, check_seed

_NEGLIGIBLE = 1e-14
"""Mean squares along an axis below this, relative to the largest, are rounding."""


@register
@dataclass(frozen=True)
class Whiten(LinearTransform):
    """Rows times (X'X)^(-power/2) and a random rotation.

    The eigenspace overlap score sees only the span of a table's columns, in which all directions
    weigh alike; quantizing whitened rows spreads the error over the span as evenly. ``power=1``
    makes all directions equally strong, 0 only rotates; in between, squared error and overlap are
    traded for each other, and 0.5 improves both over plain quantization.

    Attributes:
        power: from 0 to 1.
        centre: ``"mean"`` to subtract the mean row first and add it after decoding, or ``"none"``.
        scales: ``"row"`` to divide latents by their root mean square, kept as float16 for each row.
        seed: of the rotation.
        map_dtype: ``"float16"`` or ``"float32"``, how the dim x dim decoder is stored.
    """

    name: ClassVar[str] = "whiten"
    size_fields: ClassVar[tuple[str, ...]] = ()
    main_option: ClassVar[str | None] = "power"

    power: float = 0.5
    centre: Literal["mean", "none"] = "mean"
    scales: Literal["none", "row"] = "row"
    seed: int = 0
    map_dtype: Literal["float16", "float32"] = "float16"

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """Optimal levels of 1 to 6 bits."""
        return [f"{cls.name}+kmeans:{bits}" for bits in range(1, 7)]

    def __post_init__(self) -> None:
        if not isinstance(self.power, (int, float)) or not 0.0 <= self.power <= 1.0:
            raise InputError(f"power must be a number from 0 to 1, not {self.power!r}")
        object.__setattr__(self, "power", float(self.power))
        if self.centre not in ("mean", "none"):
            raise InputError(f"centre must be 'mean' or 'none', not {self.centre!r}")
        check_scales(self.scales)
        check_seed(self.seed)
        check_dtype(self.map_dtype)

    def row_tensors(self) -> Mapping[str, RowTensor]:
        """The scales, if wanted."""
        return ROW_SCALES if self.scales == "row" else NO_TENSORS

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:
        """The decoder, and the mean row where rows are centred."""
        tensors = {"map": RowTensor(self.map_dtype, (dim, dim))}
        if self.centre == "mean":
            tensors["offset"] = RowTensor(np.float32, (dim,))
        return tensors

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Eigenvectors of the Gram matrix of the (centred) rows.

        Raises:
            InputError: if the decoder has entries that float16 cannot hold.
        """
        tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.floating]]] = {}
        centre = None
        if self.centre == "mean":
            centre = mean_row(source, engine).astype(np.float32)
            tensors["offset"] = centre
        centre64 = None if centre is None else centre.astype(np.float64)
        values, vectors = centred_axes(source, centre64, engine)
        encoder, decoder = self.maps(values, vectors)
        tensors["map"] = stored_map(decoder, self.map_dtype)
        tensors[ENCODER] = encoder.astype(np.float32)
        return self.restore(source.shape[1], tensors, NOTHING)

    def fit_passes(self) -> tuple[int, int]:
        """One for the mean, if it is wanted, and one for the sums about it."""
        return (2, 2) if self.centre == "mean" else (1, 1)

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:  # noqa: ARG002
        """The whitening map and its inverse."""
        return FittedTransform(
            self,
            map_of(tensors[ENCODER]),
            centre=tensors.get("offset"),
            scaling=self.scales,
            tensors={name: tensor for name, tensor in tensors.items() if name != ENCODER},
            encoder_tensors={ENCODER: tensors[ENCODER]},
            info=info,
        )

    def maps(self, values: Matrix, vectors: Matrix) -> tuple[Matrix, Matrix]:
        """Encoder and decoder, arrays (dim, dim), for latents whose mean square is 1."""
        dim = values.size
        live = values > _NEGLIGIBLE * values[0]
        powers = np.where(live, values, 1.0) ** (self.power / 2)
        rotation = _core.rotation(dim, self.seed, inverse=False)
        mixing = rotation.apply(np.eye(dim, dtype=np.float32)).astype(np.float64)
        strength = np.sqrt(np.where(live, values / powers**2, 0.0).mean()) or 1.0
        encoder = (vectors * (live / powers / strength)) @ mixing
        decoder = mixing.T @ (vectors * (live * powers * strength)).T
        return encoder, decoder
