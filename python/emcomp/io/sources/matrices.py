"""Matrices of numbers as they are in a file: npy, npz members, raw numbers, tensors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.arrays import (
    MAX_NPY_HEADER,
    ZIP_ERRORS,
    check_table,
    choose_npz_member,
    npz_offset,
    read_npy_header,
)
from emcomp.io.formats.matrix_files import WORD_TENSORS
from emcomp.io.formats.recognition import naming
from emcomp.io.sources.archives import copy_member
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import OpenedSource
from emcomp.io.sources.temporary import TemporaryFile
from emcomp.vocabulary.word_list import WordList

_RAW_DTYPES = {"float16": "<f2", "bfloat16": "<u2", "float32": "<f4", "float64": "<f8"}


class WordPlaces(NamedTuple):
    """Where a file has its words one after another, and the offset of each."""

    letters: int
    offsets: int

    def read(self, file: StoredFile, first: int, count: int) -> WordList:
        """Words [first, first + count).

        Raises:
            CorruptFileError: if the offsets do not fit the words.
        """
        ends = np.empty(count + 1, "<u8")
        file.read_into(self.offsets + 8 * first, ends)
        begin, end = int(ends[0]), int(ends[-1])
        if end < begin or self.letters + end > file.size:
            raise CorruptFileError(f"{file.name}: the offsets of the words do not fit")
        letters = np.frombuffer(file.read(self.letters + begin, self.letters + end), np.uint8)
        try:
            return WordList(letters, (ends - ends[0]).astype(np.uint64))
        except InputError as error:
            raise CorruptFileError(f"{file.name}: {error}") from error


class MatrixSource(OpenedSource):
    """Rows of equal length one after another in a file, or column after column.

    Rows are read into memory of their own when they are asked for; nothing is mapped, so that a
    process never holds more than the rows it works on, and a file cut short is an error.

    Args:
        file: the file.
        offset: where its numbers begin, in bytes.
        dtype: NumPy's name of their type; uint16 for the bits of bfloat16.
        shape: rows and dimension.
        fortran_order: whether they are there column after column.
        words: where the file has words, if it has.

    Raises:
        CorruptFileError: if the file is too short, naming the row in which it ends.
    """

    def __init__(
        self,
        file: StoredFile,
        offset: int,
        dtype: str,
        shape: tuple[int, int],
        *,
        fortran_order: bool = False,
        words: WordPlaces | None = None,
    ) -> None:
        self._numbers = np.dtype(dtype)
        kind = "bfloat16" if self._numbers.kind == "u" else self._numbers.name
        super().__init__(file.name, shape, kind)
        self._file = file
        self._offset = offset
        self._fortran_order = fortran_order
        self._places = words
        self.has_words = words is not None
        rows, dim = shape
        row_bytes = dim * self._numbers.itemsize
        if offset + rows * row_bytes > file.size:
            ends = "" if fortran_order else f", inside row {(file.size - offset) // row_bytes}"
            raise CorruptFileError(
                f"{file.name}: the file ends at byte {file.size}{ends}; {rows} rows of {dim} "
                f"{kind} numbers end at byte {offset + rows * row_bytes}"
            )

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count), in the file's type and byte order."""
        self._check_range(first, count)
        rows, dim = self.shape
        size = self._numbers.itemsize
        if not self._fortran_order:
            out = np.empty((count, dim), self._numbers)
            self._file.read_into(self._offset + first * dim * size, out)
            return out
        columns = np.empty((dim, count), self._numbers)
        for c in range(dim):
            self._file.read_into(self._offset + (c * rows + first) * size, columns[c])
        return columns.T

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        assert self._places is not None
        yield self._places.read(self._file, first, count)

    def mapped(self) -> NDArray[Any]:
        """All rows, mapped from a file on this machine; a remote file is read."""
        if self._file.is_remote:
            return self.read(0, self.shape[0])
        order: Literal["C", "F"] = "F" if self._fortran_order else "C"
        array = np.memmap(self._file.place, self._numbers, "r", self._offset, self.shape, order)
        array._emcomp_file = self._file  # type: ignore[attr-defined]  # a temporary one stays
        return array


def open_npy(file: StoredFile, dtype: str | None) -> MatrixSource:
    """The rows of an npy file of any version, in C or Fortran order.

    Args:
        file: the file.
        dtype: ``"bfloat16"`` if it holds uint16 that are the bits of bfloat16.

    Raises:
        FormatError: if the file is damaged, or its array is no table of float numbers.
    """
    start = io.BytesIO(file.head(MAX_NPY_HEADER + 12))
    with naming(file.name):
        try:
            header = read_npy_header(start)
        except ValueError as error:
            raise CorruptFileError(f"the npy file is damaged: {error}") from error
        if dtype != "bfloat16" or header.descr[1:] != "u2":
            check_table(header, "the array")
        rows, dim = _table_shape(header.shape)
    return MatrixSource(
        file, start.tell(), header.descr, (rows, dim), fortran_order=header.fortran_order
    )


def open_npz(file: StoredFile, tensor: str | None) -> MatrixSource:
    """The rows of a table of an npz file; a compressed one is decompressed to a temporary file.

    Raises:
        InputError: if the named array is not there.
        FormatError: if there is no table or there are several, or the file is damaged.
    """
    with naming(file.name):
        try:
            with file.open() as opened, zipfile.ZipFile(opened) as archive:
                entry, header = choose_npz_member(archive, tensor)
                if entry.compress_type == zipfile.ZIP_STORED:
                    offset = npz_offset(opened, entry)
                    words = _npz_words(opened, archive, header.shape)
        except InputError:  # a ValueError too, but about the argument
            raise
        except ZIP_ERRORS as error:
            raise CorruptFileError(f"the npz file is damaged: {error}") from error
        if entry.compress_type != zipfile.ZIP_STORED:
            return open_npy(
                TemporaryFile(file.name, partial(copy_member, file, entry.filename)), None
            )
        rows, dim = _table_shape(header.shape)
    return MatrixSource(
        file, offset, header.descr, (rows, dim), fortran_order=header.fortran_order, words=words
    )


def _npz_words(
    opened: BinaryIO, archive: zipfile.ZipFile, shape: tuple[int, ...]
) -> WordPlaces | None:
    """Where an npz file that emcomp has written has its words."""
    names = archive.namelist()
    if not {f"{name}.npy" for name in WORD_TENSORS} <= set(names):
        return None
    entries = [archive.getinfo(f"{name}.npy") for name in WORD_TENSORS]
    headers = []
    for entry in entries:
        with archive.open(entry) as member:
            headers.append(read_npy_header(member))
    sound = [header.descr for header in headers] == ["|u1", "<u8"]
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not sound or not stored or headers[1].shape != (shape[0] + 1,):
        return None
    letters, offsets = (npz_offset(opened, entry) for entry in entries)
    return WordPlaces(letters, offsets)


def open_raw(file: StoredFile, dtype: str, shape: tuple[int | None, int]) -> MatrixSource:
    """Rows of numbers one after another, with nothing before them.

    Args:
        file: the file.
        dtype: float16, bfloat16, float32 or float64, little-endian; or NumPy's name of one, such
            as ``">f4"``.
        shape: rows and dimension; rows None for as many as the file has.

    Raises:
        InputError: if dtype or shape is none of these.
        CorruptFileError: if the file has another size.
    """
    numbers = _RAW_DTYPES.get(dtype, dtype)
    try:
        itemsize = np.dtype(numbers).itemsize
        is_float = numbers == "<u2" or np.dtype(numbers).kind == "f"
    except TypeError:
        is_float = False
    if not is_float or itemsize not in (2, 4, 8):
        raise InputError(f"dtype must be one of {', '.join(_RAW_DTYPES)}, not {dtype!r}")
    rows, dim = shape
    if dim < 1 or (rows is not None and rows < 1):
        raise InputError(f"shape must be rows (or None) and dimension, not {shape!r}")
    row_bytes = dim * itemsize
    if rows is None:
        rows = -(-file.size // row_bytes)
    source = MatrixSource(file, 0, numbers, (rows, dim))
    if file.size != rows * row_bytes:
        raise CorruptFileError(
            f"{file.name}: the file has {file.size} bytes, {rows} rows of {dim} {dtype} numbers "
            f"have {rows * row_bytes}"
        )
    return source


def _table_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2 or 0 in shape:
        raise FormatError(f"the array has shape {shape}; a table has rows and columns")
    return shape[0], shape[1]
