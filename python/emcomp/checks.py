"""Checks that codecs share: of settings, of a table's entries, of the tensors found in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from emcomp import _core
from emcomp.errors import FormatError, InputError
from emcomp.sources import Source, blocks

if TYPE_CHECKING:
    from emcomp.codec import Codec, Progress, Tensors


def is_whole(value: object) -> bool:
    """Whether a setting is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


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


def refuse_nonfinite(source: Source, threads: int, progress: Progress) -> None:
    """Raise InputError with the first position and the count of NaN and infinite entries."""
    rows, dim = source.shape
    first, count = -1, 0
    for block in blocks(source):
        progress("check", block.first, rows)
        found, number = _core.find_nonfinite(block.rows, threads)
        if number and first < 0:
            first = block.first * dim + found
        count += number
    if count:
        raise InputError(
            f"{count} of the table's entries are NaN, infinite or beyond float32, the first at "
            f"row {first // dim}, column {first % dim}; replace them before compressing"
        )


def check_tensors(
    codec: Codec, tensors: Tensors, expected: Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
) -> None:
    """Raise FormatError unless there are tensors of the expected types and shapes."""
    for name, (dtype, shape) in expected.items():
        if name not in tensors:
            raise FormatError(f"codec {codec}: the tensor {name!r} is missing")
        found = tensors[name]
        if found.shape != shape or found.dtype != np.dtype(dtype):
            raise FormatError(
                f"codec {codec}: tensor {name!r} is {found.dtype}{list(found.shape)}, "
                f"expected {np.dtype(dtype)}{list(shape)}"
            )
