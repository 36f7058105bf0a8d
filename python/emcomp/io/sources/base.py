"""Tables of rows that are read block by block, whatever they are kept in.

A source is the one way in: fitting, encoding and measuring see blocks of consecutive rows and never
ask for the whole table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.io.sources.memory_mapped import MemoryMappedRows, handle_of

BLOCK_BYTES = 64 << 20
"""Bytes of float32 rows in a block: large enough to keep all threads busy, small beside a table."""


class Block(NamedTuple):
    """Consecutive rows of a source."""

    first: int
    """Index of the first row."""
    rows: NDArray[Any]
    """Array (count, dim): float16, float32 or float64 of any strides and byte order, or uint16
    holding bfloat16 bits; what the native core takes as a matrix."""


@runtime_checkable
class Source(Protocol):
    """Anything with rows in blocks."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        ...

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count), as ``Block.rows`` describes."""
        ...


def block_rows(dim: int, block_bytes: int = BLOCK_BYTES) -> int:
    """Rows in a block of ``block_bytes`` of float32, a multiple of 256 and at least 256."""
    return max(block_bytes // (4 * dim) // 256, 1) * 256


def blocks(source: Source, first: int = 0, count: int | None = None) -> Iterator[Block]:
    """Rows [first, first + count) of a source in order, block by block; by default all of them."""
    rows, dim = source.shape
    end = rows if count is None else first + count
    step = block_rows(dim)
    for begin in range(first, end, step):
        yield Block(begin, source.read(begin, min(step, end - begin)))


class FirstRows:
    """The first rows of a source: the most frequent words, where rows are in that order."""

    def __init__(self, source: Source, rows: int) -> None:
        self._source = source
        self._rows = min(rows, source.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self._rows, self._source.shape[1]

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count) of the underlying source."""
        return self._source.read(first, count)


class KeptRows:
    """Some rows of a source, in its order.

    Args:
        source: the source.
        kept: a mask with an entry for each of its rows.
    """

    def __init__(self, source: Source, kept: NDArray[np.bool_]) -> None:
        self._source = source
        self._rows = np.flatnonzero(kept)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return len(self._rows), self._source.shape[1]

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count) of those that are kept."""
        rows = self._rows[first : first + count]
        if len(rows) == 0:
            return self._source.read(0, 0)
        begin = int(rows[0])
        return self._source.read(begin, int(rows[-1]) + 1 - begin)[rows - begin]


class ArraySource:
    """A two-dimensional array in memory or mapped from a file; its rows are never copied."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self.array.shape[0], self.array.shape[1]

    def read(self, first: int, count: int) -> NDArray[Any]:
        """A view of rows [first, first + count)."""
        return self.array[first : first + count]

    def __getstate__(self) -> dict[str, Any]:
        """The array; of one mapped from a file the place in the file, not the rows."""
        return {"array": handle_of(self.array) or self.array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        array = state["array"]
        self.array = array.map() if isinstance(array, MemoryMappedRows) else array


def check_matrix(X: Any, dtype: str | None = None) -> NDArray[Any]:
    """An array that the native core takes as a matrix, without copying what is already one.

    Args:
        X: array-like of shape (rows, dim); float16, float32, float64 or (from ml_dtypes) bfloat16.
        dtype: ``"bfloat16"`` to read a uint16 array as bfloat16 bits.

    Raises:
        InputError: if X has another shape or type, or no rows or columns.
    """
    array: NDArray[Any] = np.asanyarray(X)
    if isinstance(array, np.ma.MaskedArray):
        masked = int(np.count_nonzero(np.ma.getmaskarray(array)))
        if masked:
            raise InputError(
                f"{masked} entries of the array are masked, and a table has no missing entries: give "
                "X.filled(value), or leave their rows out"
            )
        array = np.ma.getdata(array)
    if array.ndim != 2:
        raise InputError(f"expected a table of shape (rows, dim), got shape {array.shape}")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(f"the table has shape {array.shape}: it needs at least one row and column")
    if dtype is not None and dtype != "bfloat16":
        raise InputError(f"dtype must be 'bfloat16' or None, not {dtype!r}")
    if array.dtype.name == "bfloat16":
        bits: NDArray[np.uint16] = array.view(np.uint16)
        return bits
    if array.dtype == np.uint16 and dtype == "bfloat16":
        return array
    if array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8):
        return array
    hint = " (bfloat16 bits need dtype='bfloat16')" if array.dtype == np.uint16 else ""
    raise InputError(
        f"a table holds float16, bfloat16, float32 or float64 numbers, not {array.dtype}{hint}"
    )


def as_source(X: Any, dtype: str | None = None) -> Source:
    """A source over an array, a memory map, a Dask array, gensim's KeyedVectors, or what is a source.

    Raises:
        InputError: if X is none of these.
    """
    if hasattr(X, "index_to_key"):  # gensim's KeyedVectors; as a sequence, NumPy would copy it
        X = X.vectors
    if isinstance(X, Source) and not isinstance(X, np.ndarray):
        return X
    if type(X).__module__.startswith("dask.array"):
        from emcomp.io.sources.dask_arrays import DaskSource

        return DaskSource(X, dtype)
    return ArraySource(check_matrix(X, dtype))
