"""Compressing word vectors at several widths, and what is left of them."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import emcomp
from emcomp.statistics.squared_error import relative_squared_error

if TYPE_CHECKING:
    from emcomp.io.reading import WordVectors
    from emcomp.tables.table import CompressedEmbedding

WIDTHS = (1, 2, 3, 4, 6, 8)
NEIGHBOURS = 10
_COMPARED_WORDS = 1000
_LOOKUPS = 1 << 16
_REPEATS = 15


@dataclass(frozen=True)
class Result:
    """What one width costs and keeps."""

    codec: str
    table_bytes: int
    ratio: float
    bits_per_entry: float
    relative_squared_error: float
    neighbours_kept: float
    """Share of the ten nearest words that still are among the ten nearest."""


@dataclass(frozen=True)
class Serving:
    """A table saved, opened again and read."""

    file_bytes: int
    open_seconds: float
    packed_rows_per_second: float
    float32_rows_per_second: float


def nearest(vectors: NDArray[np.float32], rows: NDArray[Any], k: int) -> NDArray[np.int64]:
    """The k rows of largest cosine with each of some rows, themselves left out, nearest first."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1)
    cosines = unit[rows] @ unit.T
    cosines[np.arange(len(rows)), rows] = -np.inf
    found = np.sort(np.argpartition(-cosines, k, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(cosines, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def study(vectors: WordVectors, tables: Sequence[CompressedEmbedding]) -> list[Result]:
    """Compare compressed tables with the vectors they were made from.

    Neighbours are compared for words from the whole vocabulary, from frequent to rare.
    """
    rows = np.unique(np.linspace(0, len(vectors) - 1, _COMPARED_WORDS).astype(np.int64))
    exact = nearest(vectors.vectors, rows, NEIGHBOURS)
    results = []
    for table in tables:
        found = nearest(table.decode(), rows, NEIGHBOURS)
        kept = (exact[:, :, None] == found[:, None, :]).any(axis=2).mean()
        results.append(
            Result(
                codec=str(table.codec),
                table_bytes=table.nbytes,
                ratio=table.ratio,
                bits_per_entry=table.bits_per_entry,
                relative_squared_error=relative_squared_error(vectors, table),
                neighbours_kept=float(kept),
            )
        )
    return results


def serve(vectors: WordVectors, table: CompressedEmbedding) -> Serving:
    """Save a table to a temporary folder, open it, and time the lookup of random rows."""
    ids = np.random.default_rng(0).integers(0, len(table), _LOOKUPS)
    with tempfile.TemporaryDirectory(prefix="emcomp-demo-") as folder:
        path = Path(folder) / "demo.emcomp"
        table.save(path)
        opened = emcomp.open(path)
        out = np.empty((_LOOKUPS, table.dim), np.float32)
        open_seconds, packed_seconds, float_seconds = _fastest(
            lambda: emcomp.open(path),
            lambda: opened.lookup(ids, out=out),
            lambda: vectors.vectors.take(ids, axis=0, out=out),
        )
        file_bytes = path.stat().st_size
    return Serving(file_bytes, open_seconds, _LOOKUPS / packed_seconds, _LOOKUPS / float_seconds)


def _fastest(*calls: Callable[[], object]) -> list[float]:
    """The shortest time that each call takes; in turns, so that a busy machine is fair to all."""
    seconds = [math.inf] * len(calls)
    for _ in range(_REPEATS):
        for i, call in enumerate(calls):
            started = time.perf_counter()
            call()
            seconds[i] = min(seconds[i], time.perf_counter() - started)
    return seconds
