"""Training deep compositional codes, and refining them: loops over bounded native calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.training import steps_at_once
from emcomp._support.validation import check_count, check_number
from emcomp.codecs.base import Tensors
from emcomp.engine.base import Progress

NETWORK = ("hidden_weights", "hidden_bias", "logit_weights", "logit_bias")
"""Parameters of the encoder, in the order of the native ones; codebooks follow."""
_IMPROVEMENT = 0.999  # a validation loss below this part of the best one is better
_ROWS_AT_ONCE = 4096
_RESTARTS = 8  # of the search for a row's codes in a round


class TrainingSettings(NamedTuple):
    """How long and how fast to train; the fields of ``DeepCompositionalCodes`` of the same names."""

    epochs: int
    batch: int
    learning_rate: float
    clip_norm: float
    normalize: bool
    patience: int
    refine: int

    def check(self) -> None:
        """Raise InputError for settings out of range."""
        check_count("epochs", self.epochs, 0, None)
        check_count("batch", self.batch, 1, None)
        check_count("patience", self.patience, 0, None)
        check_count("refine", self.refine, 0, None)
        check_number("learning_rate", self.learning_rate, 1e-12)
        check_number("clip_norm", self.clip_norm, 0.0)


class Trained(NamedTuple):
    """What training leaves: the network that chooses codewords, the codebooks and how it went."""

    network: Tensors
    """The encoder's weights and biases, by the names in ``NETWORK``."""
    codebooks: NDArray[np.float32]
    """Array (codes, codewords, dim)."""
    info: Mapping[str, Any]


def train(
    rows: NDArray[Any],
    codes: int,
    codewords: int,
    settings: TrainingSettings,
    seed: int,
    threads: int,
    progress: Progress,
) -> Trained:
    """Train encoder and codebooks on rows (n, dim); the best parameters on validation rows are kept.

    Raises:
        InputError: if training diverges.
    """
    count, dim = rows.shape
    trainer = _core.CompositionalTrainer(
        rows,
        codes,
        codewords,
        min(settings.batch, count),
        settings.learning_rate,
        settings.clip_norm,
        settings.normalize,
        seed,
    )
    logits = codes * codewords
    parameters = (logits // 2) * dim + logits * (logits // 2) + logits * dim
    at_once = steps_at_once(parameters, min(settings.batch, count))
    steps = trainer.steps_per_epoch
    best, best_epoch, epoch = math.inf, 0, 0
    while epoch < settings.epochs and not (
        settings.patience and epoch - best_epoch >= settings.patience
    ):
        for first in range(0, steps, at_once):
            progress("train", epoch * count + first * count // steps, settings.epochs * count)
            trainer.train(min(at_once, steps - first), threads)
        epoch += 1
        loss = trainer.validation_loss(threads)
        if loss < _IMPROVEMENT * best:
            best, best_epoch = loss, epoch
            trainer.keep()
    trainer.restore()
    *network, codebooks = trainer.parameters
    info = {"epochs": epoch, "best_epoch": best_epoch, "validation_loss": best if epoch else None}
    return Trained(
        dict(zip(NETWORK, network, strict=True)), codebooks.reshape(codes, codewords, dim), info
    )


def make_encoder(network: Tensors, codebooks: NDArray[np.float32]) -> _core.CompositionalEncoder:
    """The chooser of codewords that a trained network and its codebooks are."""
    codes, codewords, dim = codebooks.shape
    parameters = (*(network[name] for name in NETWORK), codebooks.reshape(-1, dim))
    return _core.CompositionalEncoder(parameters, codes, codewords)


class Refined(NamedTuple):
    """What refinement leaves."""

    codebooks: NDArray[np.float32]
    """Array (codes, codewords, dim)."""
    codes: NDArray[np.uint8]
    """Array (n, codes): the rows' codes, one a byte."""
    info: Mapping[str, Any]


def refine(
    rows: NDArray[Any],
    trained: Trained,
    rounds: int,
    seed: int,
    threads: int,
    progress: Progress,
) -> Refined:
    """Improve codebooks and codes of rows (n, dim) in turn, starting from the encoder's codes.

    A round is least squares for the codebooks, given the codes (Babenko & Lempitsky 2014, "Additive
    quantization", section 3.3), and local search for the codes, given the codebooks. Neither can
    raise the squared error.
    """
    codebooks = trained.codebooks
    count = len(rows)
    codes = np.empty((count, len(codebooks)), np.uint8)
    encoder = make_encoder(trained.network, codebooks)
    for part in row_parts(count):
        encoder.encode(rows[part], codes[part], threads)
    errors = []
    for done in range(rounds):
        statistics = _core.AdditiveStatistics(codebooks.shape[2], *codebooks.shape[:2])
        for part in row_parts(count):
            statistics.update(rows[part], codes[part], threads)
        codebooks = statistics.solve(codebooks, threads)
        _fill_unused(codebooks, statistics.counts, rows, codes, seed + done)
        search = _core.AdditiveSearch(codebooks, threads)
        error = 0.0
        for part in row_parts(count):
            progress("refine", done * count + part.start, rounds * count)
            error += search.improve(
                rows[part], part.start, _RESTARTS, seed + done, codes[part], threads
            )
        errors.append(error)
    return Refined(codebooks, codes, {"refined_squared_error": errors})


def _fill_unused(
    codebooks: NDArray[np.float32],
    counts: NDArray[np.uint32],
    rows: NDArray[Any],
    codes: NDArray[np.uint8],
    seed: int,
) -> None:
    """Put each codeword without rows where, in place of its own, it completes the sum of a row."""
    books, words = np.nonzero(counts == 0)
    if not len(books):
        return
    drawn = _core.sample_rows(len(rows), min(len(books), len(rows)), seed)
    chosen = np.resize(drawn, len(books))
    left = rows[chosen]
    if left.dtype == np.uint16:  # bfloat16 bits
        left = (left.astype(np.uint32) << 16).view(np.float32)
    left = left.astype(np.float32)
    for codebook, own in zip(codebooks, codes[chosen].T, strict=True):
        left -= codebook[own]
    codebooks[books, words] = left + codebooks[books, codes[chosen, books]]


def row_parts(count: int) -> Iterator[slice]:
    """Rows of one native call each, so that an interruption is soon noticed."""
    for first in range(0, count, _ROWS_AT_ONCE):
        yield slice(first, min(first + _ROWS_AT_ONCE, count))
