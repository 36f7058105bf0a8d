"""Matrices of numbers as they are in a file: npy, npz members, raw numbers, safetensors tensors."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.arrays import (
    MAX_NPY_HEADER,
    TENSOR_FLOATS,
    ZIP_ERRORS,
    check_table,
    choose_npz_member,
    choose_tensor,
    read_npy_header,
    stored_offset,
)
from emcomp.io.formats.recognition import naming
from emcomp.io.formats.safetensors import LENGTH_BYTES, TensorInfo, header_length, read_header
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import OpenedSource

_RAW_DTYPES = {"float16": "<f2", "bfloat16": "<u2", "float32": "<f4", "float64": "<f8"}


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
    ) -> None:
        self._numbers = np.dtype(dtype)
        kind = "bfloat16" if self._numbers.kind == "u" else self._numbers.name
        super().__init__(file.name, shape, kind)
        self._file = file
        self._offset = offset
        self._fortran_order = fortran_order
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


def open_npy(file: StoredFile, dtype: str | None) -> MatrixSource:
    """The rows of an npy file of any version, in C or Fortran order.

    Args:
        file: the file.
        dtype: ``"bfloat16"`` if it holds uint16 that are the bits of bfloat16.

    Raises:
        FormatError: if the file is damaged, or its array is no table of float numbers.
    """
    start = io.BytesIO(file.read(0, min(file.size, MAX_NPY_HEADER + 12)))
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
    """The rows of a table of an npz file that is not compressed.

    Raises:
        InputError: if the named array is not there, or is compressed.
        FormatError: if there is no table or there are several, or the file is damaged.
    """
    with naming(file.name):
        try:
            with file.open() as opened, zipfile.ZipFile(opened) as archive:
                entry, header = choose_npz_member(archive, tensor)
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise InputError(
                        f"{entry.filename!r} is compressed, so that rows cannot be read alone: "
                        "save it with numpy.save or numpy.savez"
                    )
                offset = stored_offset(opened, entry)
        except InputError:  # a ValueError too, but about the argument
            raise
        except ZIP_ERRORS as error:
            raise CorruptFileError(f"the npz file is damaged: {error}") from error
        rows, dim = _table_shape(header.shape)
    return MatrixSource(file, offset, header.descr, (rows, dim), fortran_order=header.fortran_order)


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


def open_safetensors(file: StoredFile, tensor: str | None) -> MatrixSource:
    """A table of a safetensors file: the one named, or found by its name.

    Raises:
        InputError: if the named tensor is not there or is no table of float numbers.
        FormatError: if no tensor can be told to be the embedding, or the file is damaged.
    """
    tensors = _tensors_of(file)
    with naming(file.name):
        name = choose_tensor(tensors, tensor)
    return _tensor_source(file, tensors[name])


def open_sharded_safetensors(index: StoredFile, tensor: str | None) -> MatrixSource:
    """A table of a checkpoint in several safetensors files, by its ``*.index.json``.

    Raises:
        InputError: if the named tensor is not there or is no table of float numbers.
        FormatError: if the index is not what it should be, a file of it is missing or damaged, or
            no tensor can be told to be the embedding.
    """
    with naming(index.name):
        places = _weight_map(index)
        if tensor is not None and tensor not in places:
            raise InputError(
                f"no tensor {tensor!r} in the index; it has {', '.join(list(places)[:20])}"
            )
    wanted = sorted(set(places.values())) if tensor is None else [places[tensor]]
    tensors: dict[str, TensorInfo] = {}
    files: dict[str, StoredFile] = {}
    for shard in wanted:
        file = _shard(index, shard)
        found = _tensors_of(file)
        for name in (name for name, place in places.items() if place == shard):
            if name not in found:
                raise FormatError(
                    f"{file.name}: has no tensor {name!r}, though {index.name} says so"
                )
            tensors[name] = found[name]
            files[name] = file
    with naming(index.name):
        name = choose_tensor(tensors, tensor)
    return _tensor_source(files[name], tensors[name])


def _table_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2 or 0 in shape:
        raise FormatError(f"the array has shape {shape}; a table has rows and columns")
    return shape[0], shape[1]


def _tensor_source(file: StoredFile, tensor: TensorInfo) -> MatrixSource:
    return MatrixSource(
        file, tensor.begin, TENSOR_FLOATS[tensor.dtype], (tensor.shape[0], tensor.shape[1])
    )


def _tensors_of(file: StoredFile) -> dict[str, TensorInfo]:
    with naming(file.name):
        length = file.read(0, min(LENGTH_BYTES, file.size))
        end = LENGTH_BYTES + header_length(memoryview(length), file.size)
        _, tensors = read_header(file.read(0, end), file.size)
    return tensors


def _weight_map(index: StoredFile) -> dict[str, str]:
    try:
        places = json.loads(index.read(0, index.size))["weight_map"]
        sound = all(isinstance(v, str) and v == os.path.basename(v) for v in places.values())  # noqa: PTH119
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"not the index of a checkpoint: {error}") from error
    if not sound or not places:
        raise FormatError("the weight_map of the index does not map tensors to files beside it")
    return dict(places)


def _shard(index: StoredFile, shard: str) -> StoredFile:
    if index.is_remote:
        name = index.name.rpartition("/")[0] + "/" + shard
    else:
        name = str(Path(index.name).with_name(shard))
    try:
        return StoredFile(name)
    except FileNotFoundError as error:
        raise FormatError(f"{index.name}: the file {shard!r} of the index is missing") from error
