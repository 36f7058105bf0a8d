"""Compressing a table and measuring what is left of it."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import emcomp
from emcomp.engine.base import Engine
from emcomp.io.sources.base import as_source, blocks
from emcomp.measures.evaluation import Evaluation
from emcomp.measures.registry import resolve_measures
from experiments.data import ROOT

KEPT = ROOT / "build" / "tables"
_LONG = 5.0  # seconds of fitting from which a table is worth keeping
MEASURES = (
    "eos",
    "eos_centred",
    "frobenius_error",
    "linear_map_error",
    "orthogonal_map_error",
    "pip_loss",
    "delta",
    "delta_max",
    "mean_cosine_distance",
    "mean_cosine_distance_centred",
    "neighbour_overlap",
    "neighbour_overlap_centred",
    "similarity_spearman_centred",
)


def with_seed(codec: str, seed: int) -> str:
    """The codec with this seed, where it has one that matters; otherwise as it is."""
    return str(_seeded(emcomp.parse_codec(codec), seed))


def _seeded(stage: Any, seed: int) -> Any:
    if isinstance(stage, emcomp.transforms.Transformed):
        return emcomp.transforms.Transformed(
            _seeded(stage.transform, seed), _seeded(stage.latents, seed)
        )
    if not hasattr(stage, "seed") or getattr(stage, "rounding", None) == "nearest":
        return stage
    return dataclasses.replace(stage, seed=seed)


def is_random(codec: str) -> bool:
    """Whether the result depends on a seed."""
    return with_seed(codec, 0) != with_seed(codec, 1)


def is_known(template: str) -> bool:
    """Whether this version of the package has the codec of a template."""
    try:
        emcomp.parse_codec(template.replace("BITS", "1").replace("{}", "1"))
    except emcomp.InputError:
        return False
    return True


def largest(
    template: str, shape: tuple[int, int], nbytes: float, limit: int, unit: float = 1
) -> str | None:
    """The codec with the most units up to ``limit`` of them, for ``{}``, that fits so many bytes.

    None if 1 is too large.
    """

    def codec(number: int) -> str:
        return template.format(f"{number * unit:g}")

    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        fits = emcomp.parse_codec(codec(middle)).nbytes(shape) <= nbytes
        low, high = (middle, high) if fits else (low, middle - 1)
    return codec(low) if low else None


def largest_at(template: str, shape: tuple[int, int], nbytes: float, bits: float) -> str | None:
    """The largest codec that fits: of codes or latents, or of hundredths of mean bits up to ``bits``."""
    if template.endswith("allocate:{}"):
        return largest(template, shape, nbytes, round(100 * bits), 0.01)
    return largest(template, shape, nbytes, shape[1])


def compress_timed(
    X: Any, codec: str, threads: int = 1
) -> tuple[emcomp.CompressedEmbedding, dict[str, float]]:
    """The compressed table, and processor seconds of fitting and encoding."""
    start = fitted = time.process_time()

    def progress(phase: str, done: int, total: int) -> None:  # noqa: ARG001
        nonlocal fitted
        if phase == "encode" and done == 0:
            fitted = time.process_time()

    table = emcomp.compress(X, codec, threads=threads, progress=progress)
    seconds = {"fit_seconds": fitted - start, "encode_seconds": time.process_time() - fitted}
    return table, seconds


def length_error(X: Any, table: emcomp.CompressedEmbedding) -> float:
    """Mean of ``| |x̂| / |x| - 1 |`` over rows that are not zero."""
    total, count = 0.0, 0
    for first, rows in blocks(as_source(X)):
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        decoded = np.linalg.norm(table.decode(first, len(rows)).astype(np.float64), axis=1)
        live = lengths > 0
        total += float(np.abs(decoded[live] / lengths[live] - 1).sum())
        count += int(live.sum())
    return total / max(count, 1)


def _kept(name: str, X: NDArray[Any], codec: str) -> Path:
    """Where a compressed table that took long to make is kept for other experiments."""
    what = f"{emcomp.__version__} {name} {X.shape} {codec}"
    return KEPT / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.emcomp"


class Bench:
    """One original table; the sums of it that all measures need are computed once."""

    def __init__(self, name: str, X: NDArray[Any], measures: tuple[str, ...] = MEASURES) -> None:
        self.name = name
        self.X = X
        self._measures = measures
        self._evaluation: Evaluation | None = None
        self._squared = 0.0

    def measure(self, table: Any) -> dict[str, float | None]:
        """Measures of a table; EOS as what is lost of it, squared error over the table's square."""
        if self._evaluation is None:
            wanted = resolve_measures(list(self._measures))
            self._evaluation = Evaluation(as_source(self.X), wanted, Engine(1))
            self._squared = float(np.square(self.X, dtype=np.float64).sum())
        scores = self._evaluation.scores(as_source(table), "table")
        values = {name: score.value for name, score in scores.items()}
        found: dict[str, float | None] = {}
        for name, value in values.items():
            if name.startswith("eos"):
                found[name.replace("eos", "overlap_lost")] = None if value is None else 1 - value
            elif name == "frobenius_error":
                found["squared_error"] = None if value is None else value**2 / self._squared
            else:
                found[name] = value
        return found

    def table(self, codec: str, seed: int = 0) -> emcomp.CompressedEmbedding:
        """A compressed table, of an earlier run where that has kept it."""
        codec = with_seed(codec, seed)
        path = _kept(self.name, self.X, codec)
        if path.exists():
            return emcomp.open(path)
        table, seconds = compress_timed(self.X, codec)
        if seconds["fit_seconds"] > _LONG:
            KEPT.mkdir(parents=True, exist_ok=True)
            table.save(path)
        return table

    def compress(
        self, codec: str, seed: int = 0
    ) -> tuple[emcomp.CompressedEmbedding, dict[str, Any]]:
        """A compressed table; its size, times, measures and error of lengths."""
        codec = with_seed(codec, seed)
        table, seconds = compress_timed(self.X, codec)
        if seconds["fit_seconds"] > _LONG:
            KEPT.mkdir(parents=True, exist_ok=True)
            table.save(_kept(self.name, self.X, codec))
        point: dict[str, Any] = {"bits": table.bits_per_entry, "bytes": table.nbytes, **seconds}
        if table.dim == self.X.shape[1]:
            point["length_error"] = length_error(self.X, table)
        return table, {**point, **self.measure(table)}


def once(make: Callable[[], Any]) -> Callable[[], Any]:
    """A function that makes something the first time it is called, and then returns it again."""
    made: list[Any] = []

    def get() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return get
