"""The direction-aware autoencoder of Bałazy et al. 2021, as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codec import Progress
from emcomp.errors import InputError
from emcomp.grammar import register
from emcomp.sources import Source
from emcomp.transforms.autoencoder_training import AutoencoderPlan, Layers, train
from emcomp.transforms.axes import mean_row, singular_axes
from emcomp.transforms.factorization import InvertedProjection
from emcomp.transforms.linear import FittedTransform, map_of, stored_map
from emcomp.vector_kmeans import check_count, sampled


@dataclass(frozen=True, kw_only=True)
class EluTransform(FittedTransform):
    """A transform whose latents are ``elu(row @ encoder + bias)``."""

    bias: NDArray[np.float32]

    def latents(
        self, rows: NDArray[Any], threads: int, scales: NDArray[np.float16] | None = None
    ) -> NDArray[np.float32]:
        """Latents (count, latents) of a block of rows."""
        latents = super().latents(rows, threads, scales)
        _core.activate_latents(latents, self.bias, threads)
        return latents


@register
@dataclass(frozen=True)
class Autoencoder(InvertedProjection):
    """One layer to k latents and one back, both linear by default, trained for direction first.

    The loss of a batch is ``cosine_weight * mean(1 - cosine(x̂, x)) + rmse_weight *
    sqrt(mean((x̂ - x)^2)) + power_weight * mean((|x̂ - x| + 1e-10)^power)`` (Bałazy et al. 2021,
    "Direction is what you need: improving word embedding compression in large language models").
    The cosine is ``x̂ · x / max(|x̂| |x|, 1e-6)``, so that rows of zeros have none. Defaults are
    those of the published program, which divides a cosine weight of 0.9975 by 5 and leaves the root
    mean square error out. Adam takes the steps; the parameters after the last epoch are kept.

    Attributes:
        k: latents of a row.
        map_dtype: ``"float32"`` or ``"float16"``, how the decoder is stored.
        epochs: rounds over the rows.
        batch: rows of a step.
        learning_rate: of Adam, in the first epochs.
        decay: factor of the learning rate after every ``decay_epochs``.
        decay_epochs: epochs between two such steps.
        cosine_weight: of the mean cosine distance.
        rmse_weight: of the root mean square error.
        power_weight: of the mean powered error.
        last_power: of errors; it falls to this from 1, in equal steps of an epoch each.
        power_epochs: epochs in which it falls.
        start: ``"random"``, or ``"svd"`` for the leading singular vectors.
        activation: ``"linear"``, or ``"elu"`` for an exponential linear unit after both layers (the
            paper's ablation): no entry comes back below -1, and a sum of rows takes a decoding of
            each of them.
        sample: rows to learn from at most, drawn by ``seed``.
        seed: what the start and the order of rows depend on.
    """

    name: ClassVar[str] = "autoencoder"
    has_offset: ClassVar[bool] = True

    epochs: int = 30
    batch: int = 32
    learning_rate: float = 1e-3
    decay: float = 0.5
    decay_epochs: int = 4
    cosine_weight: float = 0.1995
    rmse_weight: float = 0.0
    power_weight: float = 0.0025
    last_power: float = 0.1
    power_epochs: int = 20
    start: Literal["random", "svd"] = "random"
    activation: Literal["linear", "elu"] = "linear"
    sample: int = 131072
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.plan.check()
        if self.start not in ("random", "svd"):
            raise InputError(f"start must be 'random' or 'svd', not {self.start!r}")
        if self.activation not in ("linear", "elu"):
            raise InputError(f"activation must be 'linear' or 'elu', not {self.activation!r}")
        check_count("sample", self.sample, 1, None)
        check_count("seed", self.seed, 0, 2**64 - 1)

    @property
    def plan(self) -> AutoencoderPlan:
        """The settings of training."""
        return AutoencoderPlan(*(getattr(self, name) for name in AutoencoderPlan._fields))

    @property
    def orthonormal(self) -> bool:
        """Training does not ask for it."""
        return False

    @property
    def elu(self) -> bool:
        """Whether ELU is taken of the entries of decoded rows."""
        return self.activation == "elu"

    def fit(self, source: Source, threads: int, progress: Progress) -> FittedTransform:
        """Train on the rows, or on a sample of them.

        Raises:
            InputError: if training diverges, or the decoder has entries that float16 cannot hold.
        """
        start = None
        if self.start == "svd":
            progress("fit", 0, source.shape[0])
            start = Layers.of_axes(singular_axes(source, self.k, threads).vectors)
        rows = sampled(source, self.sample, self.seed)
        trained = train(rows, self.k, self.elu, self.plan, start, self.seed, threads, progress)
        layers = trained.layers
        encoder = map_of(layers.encoder.T)
        decoder = stored_map(layers.decoder.astype(np.float64), self.map_dtype)
        info = {"losses": trained.losses, "cosine_distances": trained.cosine_distances}
        if self.elu:
            tensors = {"map": decoder, "offset": layers.decoder_bias[0]}
            return EluTransform(encoder, bias=layers.encoder_bias[0], tensors=tensors, info=info)
        # What a mean row has as latents goes to the offset, the encoder's bias with it: decoded
        # rows stay the same, and latents are around zero, where quantizers want them.
        centre = mean_row(source, threads).astype(np.float32)
        latents = layers.encoder.astype(np.float64) @ centre + layers.encoder_bias[0]
        offset = latents @ decoder.astype(np.float64) + layers.decoder_bias[0]
        return FittedTransform(
            encoder,
            centre=centre,
            tensors={"map": decoder, "offset": offset.astype(np.float32)},
            info=info,
        )
