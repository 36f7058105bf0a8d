"""Whitening before quantization: bits go where the eigenspace overlap looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emcomp import _core
from emcomp.codecs.grammar import register
from emcomp.statistics.row_sums import Matrix
from emcomp.transforms.principal import AxisPowers
from emcomp.transforms.rotation import check_seed


@register
@dataclass(frozen=True)
class Whiten(AxisPowers):
    """Rows times (X'X)^(-power/2) and a random rotation.

    The eigenspace overlap score sees only the span of a table's columns, in which all directions
    weigh alike; quantizing whitened rows spreads the error over the span as evenly. ``power=1``
    makes all directions equally strong, 0 only rotates; in between, squared error and overlap are
    traded for each other, and 0.5 improves both over plain quantization.

    Attributes:
        power: from 0 to 1.
        centre: ``"mean"`` to subtract the mean row first and add it after decoding, or ``"none"``.
        scales: ``"row"`` to divide latents by their root mean square, kept as float16 for each row.
        map_dtype: ``"float16"``, ``"float32"`` or ``"int8"``, how the dim x dim decoder is stored:
            in bytes with a step for each latent, which are those that fit the rounded decoder best.
        seed: of the rotation.
    """

    name: ClassVar[str] = "whiten"

    power: float = 0.5
    seed: int = 0

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """Optimal levels of 1 to 6 bits."""
        return [f"{cls.name}+kmeans:{bits}" for bits in range(1, 7)]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)

    def mixed(self, encoder: Matrix, decoder: Matrix) -> tuple[Matrix, Matrix]:
        """The maps through a random rotation of the latents, which makes all of them alike."""
        dim = len(encoder)
        rotation = _core.rotation(dim, self.seed, inverse=False)
        mixing = rotation.apply(np.eye(dim, dtype=np.float32)).astype(np.float64)
        return encoder @ mixing, mixing.T @ decoder
