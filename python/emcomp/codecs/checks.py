"""Checks of settings that codecs share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcomp._support.validation import is_whole
from emcomp.errors import InputError

if TYPE_CHECKING:
    from emcomp.codecs.base import FittedCodec, Tensors
    from emcomp.codecs.grammar import Stage


_HUGE = 1e30
"""Entries of levels, steps and maps beyond which decoded rows may be beyond float32."""


def check_bits(bits: object) -> None:
    """Raise InputError unless codes can have this width."""
    if not (isinstance(bits, int) and is_whole(bits) and 1 <= bits <= 8):
        raise InputError(f"bits must be a whole number from 1 to 8, not {bits!r}")


def check_group(group: object, dim: int, instead: str) -> None:
    """Raise InputError for a group of columns wider than a table; ``instead`` says what to use."""
    if isinstance(group, int) and group > dim:
        raise InputError(
            f"a group of {group} columns is wider than the table's {dim}; use {instead}"
        )


def refuse_overflow(fitted: FittedCodec) -> None:
    """Raise InputError if what a codec has learned, or will say of it, is not finite."""
    for name, tensor in fitted.tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise InputError(_overflow(fitted.codec, f"its {name}"))
    for name, value in fitted.info.items():
        if not np.isfinite(_numbers_in(value)).all():
            raise InputError(_overflow(fitted.codec, f"its {name}"))


def _overflow(codec: Stage, what: str) -> str:
    return (
        f"codec {codec}: the table's entries are so large that {what} overflows float32; multiply the "
        "table by a small power of two, which loses nothing"
    )


def refuse_infinite_rows(codec: Stage, shared: Tensors, decoded: Iterable[NDArray[Any]]) -> None:
    """Raise InputError if rows are not finite when they are decoded.

    Args:
        codec: what encoded them.
        shared: what all rows share; rows are only looked at where these numbers are huge.
        decoded: the rows, block by block.
    """
    floats = [tensor for tensor in shared.values() if tensor.dtype.kind == "f" and tensor.size]
    if max((float(np.abs(tensor).max()) for tensor in floats), default=0.0) < _HUGE:
        return
    if not all(np.isfinite(rows).all() for rows in decoded):
        raise InputError(_overflow(codec, "a decoded row"))


def _numbers_in(value: Any) -> list[float]:
    """All numbers in a value that JSON has."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _numbers_in(item)]
    return [float(value)] if isinstance(value, (int, float)) else []
