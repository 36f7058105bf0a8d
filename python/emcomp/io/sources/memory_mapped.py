"""Handles of arrays that are mapped from files: what travels instead of their rows."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.errors import InputError


class MemoryMappedRows(NamedTuple):
    """Where an array is in a file."""

    path: str
    size: int
    """Of the file, with the time of its last change: the handle opens this file or none."""
    changed_ns: int
    offset: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def map(self) -> NDArray[Any]:
        """The array, mapped again, read-only.

        Raises:
            InputError: if the file has changed since the handle was made.
            OSError: if the file is not there.
        """
        status = Path(self.path).stat()
        if (status.st_size, status.st_mtime_ns) != (self.size, self.changed_ns):
            raise InputError(
                f"{self.path}: the file has changed since it was mapped for this table"
            )
        whole = np.memmap(self.path, np.uint8, "r")
        return np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)


def handle_of(array: NDArray[Any]) -> MemoryMappedRows | None:
    """The handle of an array that lies in a memory map of a named file; None for any other.

    Maps that are private to the process (``mode="c"``) may differ from their file and have none.
    """
    root = _memmap_of(array)
    if root is None or root.filename is None or root.mode == "c":
        return None
    root.flush()
    mapping = root._mmap  # type: ignore[attr-defined]
    start = np.frombuffer(mapping, np.uint8)
    begin = root.offset - root.offset % mmap.ALLOCATIONGRANULARITY
    offset = begin + array.ctypes.data - start.ctypes.data
    status = Path(root.filename).stat()
    dtype = array.dtype.str
    return MemoryMappedRows(
        os.fspath(root.filename), status.st_size, status.st_mtime_ns, offset, dtype,
        array.shape, array.strides,
    )  # fmt: skip


def release(array: NDArray[Any]) -> None:
    """Let go of the memory of a read-only array that is mapped from a file, if it is one.

    Nothing is lost: whoever reads the array again gets its pages from the file again. Without this a
    process that goes over a file seems to hold all of it.
    """
    root: Any = array
    while isinstance(root, (np.ndarray, memoryview)):
        root = root.base if isinstance(root, np.ndarray) else root.obj
    if array.flags.writeable or not array.flags.c_contiguous:
        return
    if isinstance(root, _core.MappedFile):
        root.forget(array)
    elif isinstance(root, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        start = array.ctypes.data - np.frombuffer(root, np.uint8).ctypes.data
        page = start - start % mmap.PAGESIZE
        root.madvise(mmap.MADV_DONTNEED, page, start + array.nbytes - page)


def _memmap_of(array: Any) -> np.memmap[Any, Any] | None:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array._mmap is not None:  # type: ignore[attr-defined]
            return array
        array = array.base
    return None
