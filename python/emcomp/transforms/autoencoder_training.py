"""Training the direction-aware autoencoder: a loop over bounded native calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.training import steps_at_once
from emcomp._support.validation import check_count, check_number
from emcomp.engine.base import Progress
from emcomp.errors import InputError


class TrainingSettings(NamedTuple):
    """How to train; the fields of ``Autoencoder`` of the same names."""

    epochs: int
    batch: int
    learning_rate: float
    decay: float
    decay_epochs: int
    cosine_weight: float
    rmse_weight: float
    power_weight: float
    last_power: float
    power_epochs: int

    def check(self) -> None:
        """Raise InputError for settings out of range."""
        check_count("epochs", self.epochs, 1, None)
        check_count("batch", self.batch, 1, None)
        check_count("decay_epochs", self.decay_epochs, 1, None)
        check_count("power_epochs", self.power_epochs, 1, None)
        check_number("learning_rate", self.learning_rate, 1e-12)
        check_number("decay", self.decay, 0.0, 1.0)
        check_number("last_power", self.last_power, 0.01, 2.0)
        for name in ("cosine_weight", "rmse_weight", "power_weight"):
            check_number(name, getattr(self, name), 0.0)
        if not self.cosine_weight + self.rmse_weight + self.power_weight > 0:
            raise InputError(
                "at least one of cosine_weight, rmse_weight and power_weight must be above zero"
            )

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from zero: a step down every ``decay_epochs``."""
        return self.learning_rate * self.decay ** (epoch // self.decay_epochs)

    def power(self, epoch: int) -> float:
        """Power of the errors: from 1 down to the last in ``power_epochs`` epochs."""
        return 1.0 + (self.last_power - 1.0) * min(epoch / self.power_epochs, 1.0)

    def objective(self, epoch: int) -> _core.AutoencoderObjective:
        """Loss of an epoch."""
        return _core.AutoencoderObjective(
            self.cosine_weight, self.rmse_weight, self.power_weight, self.power(epoch)
        )


class Layers(NamedTuple):
    """Weights and biases of encoder and decoder, float32."""

    encoder: NDArray[np.float32]
    """Array (latents, dim)."""
    encoder_bias: NDArray[np.float32]
    """Array (1, latents)."""
    decoder: NDArray[np.float32]
    """Array (latents, dim)."""
    decoder_bias: NDArray[np.float32]
    """Array (1, dim)."""

    @classmethod
    def of_axes(cls, vectors: NDArray[np.float64]) -> Layers:
        """Projection on orthonormal columns (dim, latents) and back, without biases."""
        weights = np.ascontiguousarray(vectors.T, np.float32)
        dim, latents = vectors.shape
        return cls(
            weights, np.zeros((1, latents), np.float32), weights, np.zeros((1, dim), np.float32)
        )


class Trained(NamedTuple):
    """What training leaves."""

    layers: Layers
    losses: list[float]
    """Mean loss of each epoch's steps, as they were taken."""
    cosine_distances: list[float]
    """Mean cosine distance between rows and outputs, likewise."""


def train(
    rows: NDArray[Any],
    latents: int,
    elu: bool,
    settings: TrainingSettings,
    start: Layers | None,
    seed: int,
    threads: int,
    progress: Progress,
) -> Trained:
    """Train encoder and decoder on rows (n, dim), from given layers or random ones.

    Raises:
        InputError: if training diverges.
    """
    count, dim = rows.shape
    batch = min(settings.batch, count)
    trainer = _core.AutoencoderTrainer(rows, latents, elu, batch, seed)
    if start is not None:
        trainer.parameters = start
    at_once = steps_at_once(2 * latents * dim, batch)
    steps = trainer.steps_per_epoch
    losses, distances = [], []
    for epoch in range(settings.epochs):
        objective, rate = settings.objective(epoch), settings.rate(epoch)
        loss = distance = 0.0
        for first in range(0, steps, at_once):
            progress("train", epoch * count + first * count // steps, settings.epochs * count)
            taken = min(at_once, steps - first)
            means = trainer.train(taken, objective, rate, threads)
            loss += means[0] * taken / steps
            distance += means[1] * taken / steps
        losses.append(loss)
        distances.append(distance)
    return Trained(Layers(*trainer.parameters), losses, distances)
