"""A table's decoded rows as something that looks like their array, without making that array."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.io.sources.base import Block

if TYPE_CHECKING:
    from emcomp.tables.table import CompressedEmbedding

BLOCK_BYTES = 256 << 10
"""Rows decoded and used together: they are still in the second-level cache when they are used."""


class DecodedRows:
    """Rows [first, first + len) of a compressed table, for code that expects a float32 array.

    Rows are decoded as they are indexed. Of NumPy's functions those work that look at a row at a
    time: ``rows @ x`` and ``np.dot(rows, x)``, and ``np.linalg.norm(rows, axis=1)``, decoding a
    piece of the table at a time. Everything that needs the whole matrix, ``np.asarray`` too, is an
    InputError. It is a source of rows, as `emcomp.compress` and the measures take them.

    Slices with step 1 are DecodedRows, too; other indices give arrays.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(
        self, table: CompressedEmbedding, first: int = 0, count: int | None = None
    ) -> None:
        self.table = table
        self._first = first
        self._count = len(table) - first if count is None else count

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self._count, self.table.dim

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"DecodedRows({self._count:,} of {self.table!r})"

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            start, stop, step = key.indices(self._count)
            if step == 1:
                return DecodedRows(self.table, self._first + start, max(stop - start, 0))
            return self.table.lookup(self._first + np.arange(start, stop, step))
        try:
            row = operator.index(key)
        except TypeError:
            return self.table.lookup(self._first + self._in_range(key))
        return self.table[self._first + int(self._in_range(row))]

    def _in_range(self, key: Any) -> NDArray[np.int64]:
        """Row numbers from 0 on."""
        ids = np.asarray(key)
        if ids.dtype.kind == "b" and ids.shape == (self._count,):
            return np.flatnonzero(ids)
        if ids.dtype.kind not in "iu" and ids.size:
            raise InputError(f"decoded rows are indexed by whole rows, not by {ids.dtype}")
        wrong = np.flatnonzero((ids < -self._count) | (ids >= self._count))
        if wrong.size:
            raise IndexError(f"row {ids.flat[wrong[0]]} is out of range for {self._count} rows")
        found: NDArray[np.int64] = np.where(ids < 0, ids + self._count, ids).astype(np.int64)
        return found

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """Rows [first, first + count), decoded."""
        return self.table.decode(self._first + first, count)

    def blocks(self, nbytes: int = BLOCK_BYTES, threads: int = 1) -> Iterator[Block]:
        """All rows, at most ``nbytes`` of them at a time; a block is good until the next one."""
        step = min(max(nbytes // (4 * self.table.dim), 1), max(self._count, 1))
        buffer = np.empty((step, self.table.dim), np.float32)
        for first in range(0, self._count, step):
            count = min(step, self._count - first)
            rows = self.table.decode(
                self._first + first, count, out=buffer[:count], threads=threads
            )
            yield Block(first, rows)

    def _by_block(self, function: Callable[[NDArray[np.float32]], NDArray[Any]]) -> NDArray[Any]:
        """What ``function`` makes of each row, found block by block."""
        empty = function(np.empty((0, self.table.dim), np.float32))
        result = np.empty((self._count, *empty.shape[1:]), empty.dtype)
        for first, rows in self.blocks():
            result[first : first + len(rows)] = function(rows)
        return result

    # What NumPy calls

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        if function is np.dot and self._times(args) and not kwargs:
            return self._by_block(lambda rows: np.dot(rows, args[1]))
        if function is np.linalg.norm and len(args) == 1 and kwargs in _ROW_NORMS:
            return self._by_block(lambda rows: np.linalg.norm(rows, axis=1))
        return self._refuse(f"np.{function.__name__}")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if ufunc is np.matmul and method == "__call__" and self._times(args) and not kwargs:
            return self._by_block(lambda rows: np.matmul(rows, args[1]))
        return self._refuse(f"np.{ufunc.__name__}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        self._refuse("an array of it")

    def _times(self, factors: tuple[Any, ...]) -> bool:
        """Whether these are the rows, on the left, and something else."""
        return len(factors) == 2 and factors[0] is self

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(
            f"{what} needs the whole decoded matrix, {4 * self._count * self.table.dim:,} bytes; "
            "take rows or slices of it, or make it with table.decode()"
        )


_ROW_NORMS: tuple[dict[str, Any], ...] = ({"axis": 1}, {"axis": -1})
