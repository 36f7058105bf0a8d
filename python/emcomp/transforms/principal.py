"""Rows in their principal axes: the basis in which columns are uncorrelated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp.codecs.allocation import Allocate
from emcomp.codecs.base import NOTHING, Info, RowTensor, Tensors
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.statistics.row_sums import Matrix
from emcomp.transforms.axes import centred_axes, mean_row
from emcomp.transforms.factorization import check_dtype
from emcomp.transforms.linear import (
    ENCODER,
    NO_TENSORS,
    FittedTransform,
    LatentNarrowing,
    LinearTransform,
)
from emcomp.transforms.maps import map_in_bytes, map_of, nearest_latents, stored_map
from emcomp.transforms.rotation import ROW_SCALES, check_scales

_STEP_BYTES = 4
_NEGLIGIBLE = 1e-14
"""Mean squares along an axis below this, relative to the largest, are rounding."""


@dataclass(frozen=True)
class AxisPowers(LinearTransform):
    """Rows in principal axes, each axis divided by a power of its strength."""

    size_fields: ClassVar[tuple[str, ...]] = ()
    main_option: ClassVar[str | None] = "power"

    power: float
    centre: Literal["mean", "none"] = "mean"
    scales: Literal["none", "row"] = "row"
    map_dtype: Literal["float16", "float32", "int8"] = "float16"

    def __post_init__(self) -> None:
        if not isinstance(self.power, (int, float)) or not 0.0 <= self.power <= 1.0:
            raise InputError(f"power must be a number from 0 to 1, not {self.power!r}")
        object.__setattr__(self, "power", float(self.power))
        if self.centre not in ("mean", "none"):
            raise InputError(f"centre must be 'mean' or 'none', not {self.centre!r}")
        check_scales(self.scales)
        if self.map_dtype != "int8":
            check_dtype(self.map_dtype)

    def row_tensors(self) -> Mapping[str, RowTensor]:
        """The scales, if wanted."""
        return ROW_SCALES if self.scales == "row" else NO_TENSORS

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:
        """The decoder, and the mean row where rows are centred."""
        in_bytes = self.map_dtype == "int8"
        tensors = {"map": RowTensor(np.uint8 if in_bytes else self.map_dtype, (dim, dim))}
        if in_bytes:
            tensors["steps"] = RowTensor(np.float32, (dim,))
        if self.centre == "mean":
            tensors["offset"] = RowTensor(np.float32, (dim,))
        return tensors

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Eigenvectors of the Gram matrix of the (centred) rows.

        Raises:
            InputError: if the decoder has entries that float16 cannot hold.
        """
        tensors: dict[str, NDArray[Any]] = {}
        centre = None
        if self.centre == "mean":
            tensors["offset"] = mean_row(source, engine).astype(np.float32)
            centre = tensors["offset"].astype(np.float64)
        values, vectors = centred_axes(source, centre, engine)
        live = values > _NEGLIGIBLE * values[0]
        strengths = np.where(live, np.where(live, values, 1.0) ** (1.0 - self.power), 0.0)
        mean_strength = strengths.mean() or 1.0
        # Latents are of mean square 1; those along axis i, before mixing, of strengths[i] / mean.
        factors = np.where(live, values, 1.0) ** (self.power / 2) * np.sqrt(mean_strength)
        encoder, decoder = self.mixed(vectors * (live / factors), (vectors * (live * factors)).T)
        if self.map_dtype == "int8":
            tensors["map"], tensors["steps"] = map_in_bytes(decoder)
            encoder = nearest_latents(tensors["map"], tensors["steps"])
        else:
            tensors["map"] = stored_map(decoder, self.map_dtype)
        tensors[ENCODER] = encoder.astype(np.float32)
        importance = self.importance(strengths / mean_strength)
        if importance is not None:
            tensors["importance"] = importance
        return self.restore(source.shape[1], tensors, NOTHING)

    def fit_passes(self) -> tuple[int, int]:
        """One for the mean, if it is wanted, and one for the sums about it."""
        return (2, 2) if self.centre == "mean" else (1, 1)

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:
        """The maps to latents and back."""
        shared = self.shared_tensors(dim)
        return FittedTransform(
            self,
            map_of(tensors[ENCODER]),
            centre=tensors.get("offset"),
            scaling=self.scales,
            importance=tensors.get("importance"),
            tensors={name: tensors[name] for name in shared},
            encoder_tensors={n: tensor for n, tensor in tensors.items() if n not in shared},
            info=info,
        )

    def narrowing(self, source: Source, fitted: FittedTransform) -> LatentNarrowing | None:
        """How to leave the weakest axes out, where the decoder is stored in bytes."""
        if self.map_dtype != "int8":
            return None
        column_bytes = fitted.encoder.inputs + _STEP_BYTES
        return LatentNarrowing(source, fitted, column_bytes, partial(self._narrowed, fitted))

    def _narrowed(self, fitted: FittedTransform, latents: int) -> FittedTransform:
        """The first latents alone, which are fitted to the rows again."""
        tensors = {**fitted.tensors, **fitted.encoder_tensors}
        for name in ("map", "steps", "importance"):
            if name in tensors:
                tensors[name] = tensors[name][:latents]
        encoder = nearest_latents(tensors["map"], tensors["steps"])
        tensors[ENCODER] = encoder.astype(np.float32)
        return self.restore(fitted.encoder.inputs, tensors, fitted.info)

    def mixed(self, encoder: Matrix, decoder: Matrix) -> tuple[Matrix, Matrix]:
        """The maps to latents and back, arrays (dim, dim), given those by the axes."""
        return encoder, decoder

    def importance(self, mean_squares: Matrix) -> NDArray[np.float32] | None:  # noqa: ARG002
        """What latents count in a row's scale, given their mean squares; None for all alike."""
        return None


@register
@dataclass(frozen=True)
class Principal(AxisPowers):
    """Rows in their principal axes, strongest first: transform coding, with ``allocate`` after it.

    Axes that are stronger than others take more bits, which a quantizer that gives all columns as
    many does not know: use ``allocate``. Its squared error is the rows' for ``power=0``; larger
    powers give more of the bits to weak axes, which the eigenspace overlap counts as much.

    Row scales are the root mean square of latents that have all been brought to the same strength:
    a row's place along the strongest axis does not decide its scale.

    Attributes:
        power: from 0 to 1; latents along an axis are divided by this power of its strength.
        centre: ``"mean"`` to subtract the mean row first and add it after decoding, or ``"none"``.
        scales: ``"row"`` to divide latents by a scale of the row, kept as float16, or ``"none"``.
        map_dtype: ``"float16"``, ``"float32"`` or ``"int8"``, how the dim x dim decoder is stored:
            in bytes with a step for each axis, latents are those that fit the rounded decoder best,
            and axes that get no bits are left out by ``trellis`` with several classes.
    """

    name: ClassVar[str] = "principal"

    power: float = 0.25

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """Half a bit to 6 bits per entry, where codes take more of them than map and scales."""
        rows, dim = shape
        found = []
        for bits in (0.5, 1, 2, 3, 4, 5, 6):
            codes = Allocate(bits)
            beside = cls().then(codes).nbytes(shape) / rows - codes.row_bytes(dim)
            row_bytes = int(dim * bits / 8 - beside)
            hundredths = int(800 * row_bytes / dim)
            if row_bytes >= beside:
                found.append(str(cls().then(Allocate(hundredths / 100))))
        return found

    def importance(self, mean_squares: Matrix) -> NDArray[np.float32]:
        """The inverse of their mean squares."""
        live = mean_squares > 0
        return np.where(live, 1.0 / np.where(live, mean_squares, 1.0), 0.0).astype(np.float32)
