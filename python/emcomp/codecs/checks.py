"""Checks that codecs share: of settings, of a table's entries, of the tensors found in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcomp import _core
from emcomp.engine.base import Engine
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import Source
from emcomp.io.sources.opened import OpenedSource

if TYPE_CHECKING:
    from emcomp.codecs.base import Tensors
    from emcomp.codecs.grammar import Stage


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


class Nonfinite:
    """NaN and infinite entries found so far."""

    def __init__(self) -> None:
        self.entries = 0
        self.count = 0
        self.first = -1
        """Index of the first of them among the entries seen, -1 for none."""

    def update(self, rows: NDArray[Any], threads: int) -> None:
        """Look through the rows that follow."""
        found, number = _core.find_nonfinite(rows, threads)
        self._add(rows.size, number, found)

    def merge(self, following: Nonfinite) -> None:
        """Add what was found in the rows that follow."""
        self._add(following.entries, following.count, following.first)

    def _add(self, entries: int, count: int, first: int) -> None:
        if count and not self.count:
            self.first = self.entries + first
        self.entries += entries
        self.count += count


def refuse_nonfinite(source: Source, engine: Engine) -> None:
    """Raise InputError with the first position and the count of NaN and infinite entries."""
    found = engine.fill("check", source, Nonfinite)
    if found.count:
        row, column = divmod(found.first, source.shape[1])
        place = source.place(row) if isinstance(source, OpenedSource) else ""
        raise InputError(
            f"{found.count} of the table's entries are NaN, infinite or beyond float32, the first "
            f"at row {row}, column {column}{place and f' ({place})'}; replace them before compressing"
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
