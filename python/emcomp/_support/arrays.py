"""The arrays that calls take and give: ids of any integer type, outputs of any float type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from emcomp.errors import InputError


def as_ids(ids: ArrayLike) -> NDArray[np.int64]:
    """Ids of any integer type and shape as dense int64.

    Raises:
        InputError: for anything else than integers.
        IndexError: for an integer beyond int64.
    """
    array = np.asarray(ids)
    if array.dtype == np.int64 and array.flags.c_contiguous and array.dtype.isnative:
        return array
    if array.dtype.kind not in "iu" and array.size:
        hint = "; use np.flatnonzero for a mask" if array.dtype.kind == "b" else ""
        raise InputError(f"ids must be integers, not {array.dtype}{hint}")
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise IndexError(f"row {int(array.max())} is out of range")
    return np.ascontiguousarray(array, np.int64).reshape(array.shape)


def core_view(array: NDArray[Any]) -> NDArray[Any]:
    """The array as the core takes it: bfloat16 as its bits."""
    return array if array.dtype.kind == "f" else array.view(np.uint16)


def output_array(
    out: NDArray[Any] | None, shape: tuple[int, ...], dtype: DTypeLike | None
) -> NDArray[Any]:
    """The caller's array, checked, or a new one of a float type.

    Raises:
        InputError: if the type is none that rows come as, or ``out`` does not fit.
    """
    if out is None and dtype is None:
        return np.empty(shape, np.float32)
    wanted = np.dtype(out.dtype if dtype is None and out is not None else dtype)
    known = wanted.type in (np.float32, np.float16, np.float64) or wanted.name == "bfloat16"
    if not known or not wanted.isnative:
        raise InputError(f"rows come as float16, bfloat16, float32 or float64, not {wanted}")
    if out is None:
        return np.empty(shape, wanted)
    if out.shape != shape or out.dtype != wanted or not out.flags.c_contiguous:
        raise InputError(
            f"out must be a C-contiguous {wanted} array of shape {shape}, "
            f"not {out.dtype} of shape {out.shape}"
        )
    if not out.flags.writeable:
        raise InputError("out is read-only")
    return out
