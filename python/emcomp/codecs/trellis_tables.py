"""The tables that turn windows of a trellis code into values: a start, and learning from rows.

A table is antisymmetric: the value of a window is that of the inverted window, negated. So half of
it is stored, that of windows whose last bit is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.trellis_layout import WIDEST
from emcomp.engine.base import Progress

Tables: TypeAlias = NDArray[np.float64]
"""Values for windows, array (WIDEST, 2^window): those of columns of 1, 2, ... bits."""
BYTES = 4
"""Up to this width values are stored as bytes."""
_LARGEST = 127.0
_SPREADS = {
    8: (0.88, 1.06, 1.16, 1.23, 1.27, 1.37, 1.65, 1.75),
    10: (0.88, 1.04, 1.12, 1.18, 1.21, 1.26, 1.35, 1.42),
    12: (0.88, 1.03, 1.10, 1.16, 1.19, 1.22, 1.26, 1.30),
}
"""Standard deviations of the start, by window and width: fine steps are better spread evenly."""
_PRIOR = 0.2
"""How much the value that an entry had counts beside what it stands for, in mean entries."""


def start_tables(window: int) -> Tables:
    """Tables for Gaussian columns of variance 1."""
    tables = np.zeros((WIDEST, 1 << window))
    for width in range(1, min(WIDEST, window) + 1):
        tables[width - 1] = _start_table(window, width)
    return tables


def _start_table(window: int, width: int) -> NDArray[np.float64]:
    """Quantiles of a Gaussian, shared out such that windows that follow each other differ.

    The windows that can follow a window, and those that it can follow, are each spread evenly over
    the Gaussian: one in each of 2^width parts of equal probability. Which part is said by the
    column's own bits, mixed with differences of the last ones (which the inverted window shares),
    where in the part by all that are not its own.
    """
    windows = np.arange(1 << window)
    rests = 1 << (window - width)
    between = window - width
    mixed = (windows >> between) ^ (windows >> between - 1) if between > 1 else 0
    part = (windows ^ mixed) & ((1 << width) - 1)
    place = _antisymmetric_permutation(rests)[windows >> width]
    normal = NormalDist()
    # The first half of an antisymmetric table says everything.
    quantiles = (part + (place + 0.5) / rests) / (1 << width)
    half = [normal.inv_cdf(q) for q in quantiles[: 1 << (window - 1)]]
    return np.array([*half, *(-value for value in reversed(half))]) * _SPREADS[window][width - 1]


def _antisymmetric_permutation(size: int) -> NDArray[np.int64]:
    """A scattered permutation p of size numbers, p[size - 1 - i] = size - 1 - p[i]."""
    if size == 1:
        return np.zeros(1, np.int64)
    hashed = np.arange(size // 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashed ^= hashed >> np.uint64(29)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    hashed ^= hashed >> np.uint64(32)
    ranks = np.argsort(np.argsort(hashed, kind="stable"), kind="stable")
    half = np.where(hashed & np.uint64(1), ranks, size - 1 - ranks)
    return np.concatenate([half, (size - 1 - half)[::-1]])


def learned_tables(
    tables: Tables,
    make_code: Callable[[Tables], _core.TrellisCode],
    rows: NDArray[Any],
    classes: NDArray[np.uint8] | None,
    class_weights: NDArray[np.float64],
    rounds: int,
    reach: int,
    threads: int,
    progress: Progress,
) -> Tables:
    """Tables after rounds of Lloyd's iteration: code rows, then move values to what they stand for.

    Args:
        tables: to start from.
        make_code: the code that has some tables.
        rows: to learn from.
        classes: of the rows, where there are several.
        class_weights: what the squared error of a row of each class counts.
        rounds: how often rows are coded.
        reach: of the search.
        threads: threads to use.
        progress: called with the rounds done.
    """
    for done in range(rounds):
        progress("tables", done, rounds)
        weights, values = make_code(tables).sums(rows, classes, reach, class_weights, threads)
        weights, values = weights.reshape(tables.shape), values.reshape(tables.shape)
        weights = weights + weights[:, ::-1]
        values = values - values[:, ::-1]
        prior = _PRIOR * weights.mean(axis=1, keepdims=True)
        used = prior[:, 0] > 0
        moved = (values + prior * tables) / np.where(prior > 0, weights + prior, 1.0)
        tables = np.where(used[:, None], moved, tables)
    return tables


def stored_tables(tables: Tables) -> dict[str, NDArray[np.generic]]:
    """Tables as they are stored: bytes with a step for each narrow width, float16 for wide ones."""
    half = tables[:, : tables.shape[1] // 2]
    steps = (np.abs(half[:BYTES]).max(axis=1) / _LARGEST).astype(np.float32)
    rounded = np.rint(half[:BYTES] / np.where(steps > 0, steps, np.float32(1))[:, None])
    return {
        "tables": rounded.clip(-_LARGEST, _LARGEST).astype(np.int8).view(np.uint8),
        "steps": steps,
        "wide_tables": half[BYTES:].astype(np.float16),
    }
