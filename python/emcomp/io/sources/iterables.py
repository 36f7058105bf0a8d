"""Rows that a function yields anew for every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.io.sources.base import check_matrix
from emcomp.io.sources.opened import SequentialSource


class IterableSource(SequentialSource):
    """A table that a function yields in blocks of rows, as often as it is called.

    Each pass over the rows calls the function again; it must yield the same rows every time. Its
    first block is looked at when the source is made. The source pickles if the function does.

    Args:
        factory: called without arguments; returns an iterable of arrays (any number of rows, dim)
            of one type: float16, bfloat16, float32 or float64.
        shape: rows and dimension of the whole table.
        dtype: ``"bfloat16"`` if the blocks are uint16 arrays of bfloat16 bits.

    Raises:
        InputError: if the first block does not fit; while reading, if another one does not, or
            there are fewer or more rows than ``shape`` says.

    Example:
        >>> def rows():
        ...     for i in range(4):
        ...         yield np.full((100, 8), i, np.float32)
        >>> IterableSource(rows, (400, 8)).read(250, 2)[:, 0].tolist()
        [2.0, 2.0]
    """

    def __init__(
        self,
        factory: Callable[[], Iterable[Any]],
        shape: tuple[int, int],
        *,
        dtype: str | None = None,
    ) -> None:
        if not callable(factory):
            raise InputError(
                f"expected a function that returns an iterable of blocks, not {type(factory).__name__}"
                ": one that has been read cannot be read again"
            )
        rows, dim = shape
        if rows < 1 or dim < 1:
            raise InputError(f"the table has shape {shape}: it needs at least one row and column")
        self._factory = factory
        self._given_dtype = dtype
        self._numbers: np.dtype[Any] | None = None
        name = getattr(factory, "__qualname__", type(factory).__name__)
        super().__init__(name, (rows, dim), "")
        first = next(self._row_blocks(0), None)
        if first is None:
            raise InputError(f"{name}: there are no rows, and {rows} were promised")
        self._numbers = first.dtype
        self.dtype = "bfloat16" if first.dtype == np.uint16 else first.dtype.name

    def _row_blocks(self, first: int) -> Iterator[NDArray[Any]]:  # noqa: ARG002
        row = 0
        for given in self._factory():
            block = np.asanyarray(given)
            if block.ndim != 2 or block.shape[1] != self.shape[1]:
                raise InputError(
                    f"{self.name}: the block at row {row} has shape {block.shape}, expected (rows, "
                    f"{self.shape[1]})"
                )
            if len(block) == 0:
                continue
            numbers = check_matrix(block, self._given_dtype)
            if self._numbers is not None and numbers.dtype.name != self._numbers.name:
                raise InputError(
                    f"{self.name}: the block at row {row} holds {numbers.dtype}, the first one "
                    f"{self._numbers}"
                )
            yield numbers
            row += len(block)
