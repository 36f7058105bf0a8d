"""Linear maps of rows: as they are stored, in floats or bytes, and as the core takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcomp import _core
from emcomp.errors import InputError

_LARGEST_BYTE = 127.0


def stored_map(matrix: NDArray[np.float64], dtype: DTypeLike) -> NDArray[Any]:
    """A map as it is stored. Raises InputError where float16 would distort it."""
    stored = matrix.astype(dtype)
    largest = np.abs(matrix).max(initial=0.0)
    if stored.dtype == np.float16 and largest > 0 and not 1e-2 < largest < 6e4:
        raise InputError(
            f"a map with entries up to {largest:.3g} does not fit float16; use map_dtype=float32"
        )
    return stored


def map_in_bytes(matrix: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A map in signed bytes, and what 1 stands for in each of its rows."""
    steps = (np.abs(matrix).max(axis=1) / _LARGEST_BYTE).astype(np.float32)
    entries = np.rint(matrix / np.where(steps > 0, steps, np.float32(1))[:, None])
    return entries.clip(-_LARGEST_BYTE, _LARGEST_BYTE).astype(np.int8).view(np.uint8), steps


def float_map(entries: NDArray[np.uint8], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map that bytes and steps stand for."""
    return entries.view(np.int8).astype(np.float32) * steps[:, None]


def nearest_latents(entries: NDArray[np.uint8], steps: NDArray[np.float32]) -> NDArray[np.float64]:
    """The map from rows to the latents that a map in bytes turns into the nearest rows."""
    used = (steps > 0) & entries.any(axis=1)
    directions = entries[used].view(np.int8).astype(np.float64)
    encoder = np.zeros((entries.shape[1], len(entries)))
    encoder[:, used] = np.linalg.pinv(directions) / steps[used]
    return encoder


def projected_rows(
    rows: NDArray[Any], linear_map: _core.LinearMap, threads: int
) -> NDArray[np.float32]:
    """Rows of any type times a map, array (count, outputs)."""
    out = np.empty((len(rows), linear_map.outputs), np.float32)
    _core.encode_latents(rows, linear_map, None, None, "none", 1.0, None, out, None, threads)
    return out


def map_of(matrix: NDArray[Any]) -> _core.LinearMap:
    """The native map of rows by a matrix (inputs, outputs)."""
    return _core.dense_map(np.ascontiguousarray(matrix, np.float32))
