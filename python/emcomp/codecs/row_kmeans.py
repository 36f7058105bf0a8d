"""k-means on rows: the centroids that a table is closest to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp._support.validation import check_count
from emcomp.engine.base import Engine, RowCollector
from emcomp.errors import InputError
from emcomp.io.sources.base import ArraySource, Source, as_source, blocks
from emcomp.statistics.extremes import refuse_nonfinite


@dataclass(frozen=True)
class Clustering:
    """What ``kmeans`` found."""

    centroids: NDArray[np.float32]
    """Array (k, dim)."""
    labels: NDArray[np.int32]
    """Array (rows,): the index of each row's nearest centroid, the smallest of equally near ones.
    Of the sampled rows alone where a sample was taken."""
    inertia: float
    """Sum of squared distances of the rows from their centroids."""
    iterations: int
    """Rounds in which centroids moved."""


def kmeans(
    X: Any,
    k: int,
    *,
    seed: int = 0,
    iterations: int = 25,
    sample: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Clustering:
    """Find k centroids with a small sum of squared distances to their rows.

    Lloyd's algorithm (Lloyd 1982, "Least squares quantization in PCM"): rows go to their nearest
    centroids, centroids to the means of their rows, and so on until a round lowers the sum by less
    than a part in 100,000. The start is the better of evenly drawn rows and k-means++ (Arthur &
    Vassilvitskii 2007) after a few rounds on a sample. Distances that cannot matter are skipped
    (Ding et al. 2015, "Yinyang k-means") without changing the result. A cluster that loses all rows
    is put on the row farthest from its centroid.

    The result is the same for any number of threads. Rows are read block by block once a round,
    and a table larger than memory may be given as a source.

    Args:
        X: table of shape (rows, dim), as an array or a source: float16, bfloat16, float32 or
            float64, any strides.
        k: centroids to find, between 1 and the number of different rows.
        seed: what the start depends on, in [0, 2**64).
        iterations: rounds at most, at least 1.
        sample: learn from this many rows, drawn by ``seed``, instead of all.
        threads: threads to use; None for ``EMCOMP_NUM_THREADS``, else OpenMP's default.
        progress: called after every round with the rounds done and the inertia.

    Returns:
        Centroids, labels, inertia and the number of rounds.

    Raises:
        InputError: if k is below 1 or above the number of different rows, a row is not finite, or
            an argument is out of range.

    Example:
        >>> X = np.array([[0.0], [1.0], [10.0], [11.0]], dtype=np.float32)
        >>> sorted(kmeans(X, 2).centroids.ravel().tolist())
        [0.5, 10.5]
    """
    source = as_source(X)
    threads = resolve_threads(threads)
    engine = Engine(threads)
    check_count("k", k, 1, None)
    check_count("seed", seed, 0, 2**64 - 1)
    check_count("iterations", iterations, 1, None)
    if sample is not None:
        check_count("sample", sample, 1, None)
        source = ArraySource(sampled(source, sample, seed, engine))
    rows, dim = source.shape
    if k > rows:
        raise InputError(f"{k} centroids need at least as many rows, and there are {rows}")
    refuse_nonfinite(source, engine)

    few = sampled(source, k * _core.KMEANS_START_ROWS, seed, engine)
    start = _core.start_centroids(few, k, seed, threads)
    lloyd = _core.Lloyd(start, rows, use_bounds=dim >= _core.KMEANS_BOUNDS_MIN_DIM)
    previous = np.inf
    done = 0
    while True:
        for block in blocks(source):
            lloyd.assign(block.rows, block.first, threads)
        inertia = lloyd.inertia
        if progress is not None:
            progress(done, inertia)
        empty = lloyd.empty_clusters()
        settled = not empty and previous - inertia <= _core.KMEANS_TOLERANCE * inertia
        # Empty clusters are given rows even after the last round; each time some find theirs.
        if settled or (done >= iterations and not empty):
            return Clustering(lloyd.centroids, lloyd.labels, inertia, done)
        if done < iterations:
            lloyd.update()
        _fill_empty(lloyd, empty, source, k, hopeless=done > iterations + k)
        previous = inertia
        done += 1


def _fill_empty(
    lloyd: _core.Lloyd, empty: list[int], source: Source, k: int, hopeless: bool
) -> None:
    """Put empty clusters on the rows farthest from their centroids."""
    farthest = lloyd.farthest_rows(len(empty))
    if empty and (hopeless or not farthest):
        raise InputError(
            f"{k} centroids need at least as many different rows, and about {k - len(empty)} "
            "of the rows can be told apart in float32"
        )
    for cluster, row in zip(empty, farthest, strict=False):
        lloyd.replace(cluster, source.read(row, 1))


@dataclass(frozen=True)
class ChosenRows:
    """Rows of given indices, as they are in a source."""

    source: Source
    index: NDArray[np.int64]
    """Ascending."""

    def __call__(self, first: int, count: int, threads: int) -> RowCollector:  # noqa: ARG002
        """Those in [first, first + count)."""
        found = RowCollector()
        for block in blocks(self.source, first, count):
            end = block.first + len(block.rows)
            low, high = np.searchsorted(self.index, (block.first, end))
            if low < high:
                found.blocks.append(block.rows[self.index[low:high] - block.first])
        return found


def sampled(source: Source, count: int, seed: int, engine: Engine) -> NDArray[Any]:
    """Rows of a source: ``count`` of them, drawn evenly by ``seed``, or all where it has no more."""
    rows = source.shape[0]
    if count >= rows:
        return source.read(0, rows)
    index = _core.sample_rows(rows, count, seed)
    return engine.fold("sample", source.shape, ChosenRows(source, index)).rows()
