"""The direction-aware autoencoder of Bałazy et al. 2021, as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import check_count
from emcomp.codecs.base import Info, Tensors
from emcomp.codecs.grammar import register
from emcomp.codecs.row_kmeans import sampled
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.statistics.basis import MAX_PASSES
from emcomp.statistics.extremes import TRAINABLE
from emcomp.transforms.autoencoder_training import Layers, TrainingSettings, train
from emcomp.transforms.axes import mean_row, singular_axes
from emcomp.transforms.factorization import InvertedProjection
from emcomp.transforms.linear import ENCODER, FittedTransform
from emcomp.transforms.maps import map_of, stored_map


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
        self.settings.check()
        if self.start not in ("random", "svd"):
            raise InputError(f"start must be 'random' or 'svd', not {self.start!r}")
        if self.activation not in ("linear", "elu"):
            raise InputError(f"activation must be 'linear' or 'elu', not {self.activation!r}")
        check_count("sample", self.sample, 1, None)
        check_count("seed", self.seed, 0, 2**64 - 1)

    @property
    def settings(self) -> TrainingSettings:
        """The settings of training."""
        return TrainingSettings(*(getattr(self, name) for name in TrainingSettings._fields))

    @property
    def elu(self) -> bool:
        """Whether ELU is taken of the entries of decoded rows."""
        return self.activation == "elu"

    @property
    def entries(self) -> tuple[float, float]:
        """Range in which the largest entry of a table must lie."""
        return TRAINABLE

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Train on the rows, or on a sample of them.

        Raises:
            InputError: if training diverges, or the decoder has entries that float16 cannot hold.
        """
        start = None
        if self.start == "svd":
            start = Layers.of_axes(singular_axes(source, self.k, engine).vectors)
        rows = sampled(source, self.sample, self.seed, engine)
        trained = engine.call(train, rows, self.k, self.elu, self.settings, start, self.seed)
        layers = trained.layers
        decoder = stored_map(layers.decoder.astype(np.float64), self.map_dtype)
        tensors: dict[str, NDArray[Any]] = {
            "map": decoder,
            ENCODER: np.ascontiguousarray(layers.encoder.T),
        }
        if self.elu:
            tensors.update(offset=layers.decoder_bias[0], bias=layers.encoder_bias[0])
        else:
            # What a mean row has as latents goes to the offset, the encoder's bias with it: decoded
            # rows stay the same, and latents are around zero, where quantizers want them.
            centre = mean_row(source, engine).astype(np.float32)
            latents = layers.encoder.astype(np.float64) @ centre + layers.encoder_bias[0]
            offset = latents @ decoder.astype(np.float64) + layers.decoder_bias[0]
            tensors.update(offset=offset.astype(np.float32), centre=centre)
        info = {"losses": trained.losses, "cosine_distances": trained.cosine_distances}
        return self.restore(source.shape[1], tensors, info)

    def fit_passes(self) -> tuple[int, int]:
        """One for the sample, one for the mean row, and those of a start from singular vectors."""
        own = 1 if self.elu else 2
        return (own + 1, own + MAX_PASSES) if self.start == "svd" else (own, own)

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample, as it is and as float32, and the sums of a start."""
        return super().fit_bytes(shape) + min(shape[0], self.sample) * 8 * shape[1]

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:  # noqa: ARG002
        """Both layers."""
        shared = {name: tensors[name] for name in ("map", "offset")}
        own = {name: tensor for name, tensor in tensors.items() if name not in shared}
        encoder = map_of(tensors[ENCODER])
        if self.elu:
            return EluTransform(
                self,
                encoder,
                bias=tensors["bias"],
                tensors=shared,
                encoder_tensors=own,
                info=info,
            )
        return FittedTransform(
            self,
            encoder,
            centre=tensors["centre"],
            tensors=shared,
            encoder_tensors=own,
            info=info,
        )
