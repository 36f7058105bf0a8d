"""Correlation of two lists of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emcomp.errors import InputError, UndefinedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's correlation, in [-1, 1].

    Raises:
        InputError: if the lengths differ, are below 2, or a number is not finite.
        UndefinedError: if either list is constant.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size < 2:
        raise InputError(
            f"expected two lists of one length of at least 2, got {a.shape}, {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("a correlation needs finite numbers")
    if (a == a[0]).all() or (b == b[0]).all():
        raise UndefinedError("a correlation with a constant is not defined")
    a, b = a - a.mean(), b - b.mean()
    a, b = a / np.abs(a).max(), b / np.abs(b).max()
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def ranks(x: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1 up; equal numbers share the mean of theirs."""
    _, place, counts = np.unique(
        np.asarray(x, dtype=np.float64), return_inverse=True, return_counts=True
    )
    last: NDArray[np.float64] = np.cumsum(counts).astype(np.float64)
    return (last - (counts - 1) / 2.0)[place]


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, in [-1, 1], with its sign.

    Raises:
        InputError, UndefinedError: as `pearson`.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("a correlation needs finite numbers")
    return pearson(ranks(a), ranks(b))
