"""Checks that codecs share: of settings, and of the tensors found in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from emcomp._support.validation import is_whole
from emcomp.errors import FormatError, InputError

if TYPE_CHECKING:
    from emcomp.codecs.base import Tensors
    from emcomp.codecs.grammar import Stage


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


def check_tensors(
    codec: Stage, tensors: Tensors, expected: Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
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
