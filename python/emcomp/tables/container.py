"""The emcomp file: named tensors and a description of the table.

Files are written here and read by the core. Every emcomp file is also a safetensors file;
docs/format.md specifies it byte by byte.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import atomic_write
from emcomp.errors import InputError
from emcomp.io.formats.recognition import TABLE_HEAD_BYTES, is_table
from emcomp.io.formats.safetensors import ITEM_BYTES, NUMPY_DTYPES
from emcomp.tables.container_header import Json, build_header, layout

Container = _core.Container

_BLOCK_BYTES = 1 << 20
"""Bytes checksummed and written together, so that they are read from memory once."""

_TYPE_NAMES = {
    "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "int64": "I64",
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip


@dataclass(frozen=True)
class TensorStream:
    """A tensor that is produced while it is written, a piece at a time."""

    dtype: str
    """U8, U16, U32, U64, I64, F16, BF16 (pieces are uint16 bits), F32 or F64."""
    shape: tuple[int, ...]
    blocks: Iterable[NDArray[Any]]
    """Arrays of that type whose entries follow each other; their shapes do not matter."""


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, NDArray[Any] | TensorStream],
    table: Mapping[str, Json],
) -> None:
    """Write a file in one go; until the end, ``path`` is as it was before.

    The same tensors in the same order and the same description give the same bytes.

    Args:
        path: the file to write or replace.
        tensors: arrays, or streams of arrays; names are made of a-z, 0-9, ``_`` and ``.``.
        table: the description of the table, anything that JSON has.

    Raises:
        InputError: for a name, type or description that cannot be written, or a stream that gives
            another type or number of entries than it said.
        OSError: if the file cannot be written.
    """
    streams = {name: _as_stream(name, tensor) for name, tensor in tensors.items()}
    sizes = {
        name: (stream.dtype, stream.shape, _nbytes(stream)) for name, stream in streams.items()
    }
    places = layout(sizes)
    checksums = dict.fromkeys(streams, 0)
    table = copy.deepcopy(dict(table))  # streams may take long, and it must not change meanwhile
    header = build_header(places, table, checksums)
    with atomic_write(path) as file:
        file.write(header)
        for name, info in places.items():
            if name in streams:
                checksums[name] = _write_tensor(file, name, streams[name], info.end - info.begin)
            else:
                file.write(bytes(info.end - info.begin))
        file.seek(0)
        file.write(build_header(places, table, checksums))


def _as_stream(name: str, tensor: NDArray[Any] | TensorStream) -> TensorStream:
    if isinstance(tensor, TensorStream):
        if tensor.dtype not in _TYPE_NAMES.values():
            raise InputError(f"tensor {name!r} cannot be stored as {tensor.dtype!r}")
        return tensor
    if tensor.dtype.name not in _TYPE_NAMES:
        raise InputError(f"tensor {name!r} cannot be stored as {tensor.dtype}")
    return TensorStream(type_name(tensor.dtype), tensor.shape, _blocks(tensor))


def type_name(dtype: np.dtype[Any]) -> str:
    """What a `TensorStream` calls a type."""
    return _TYPE_NAMES[dtype.name]


def _nbytes(stream: TensorStream) -> int:
    return ITEM_BYTES[stream.dtype] * int(np.prod(stream.shape, dtype=object))


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Rows of an array, so that no more of one with strides is copied at once."""
    if array.ndim == 0 or array.size == 0:
        yield array
        return
    step = max(_BLOCK_BYTES * len(array) // array.nbytes, 1)
    for first in range(0, len(array), step):
        yield array[first : first + step]


def _write_tensor(file: BinaryIO, name: str, stream: TensorStream, nbytes: int) -> int:
    """Write the bytes of a tensor; returns their checksum."""
    numpy_dtype = np.dtype(NUMPY_DTYPES[stream.dtype])
    state = _core.Checksum()
    written = 0
    for chunk in stream.blocks:
        if _TYPE_NAMES.get(chunk.dtype.name) != stream.dtype and chunk.dtype != numpy_dtype:
            raise InputError(f"tensor {name!r} is to be {stream.dtype} and got {chunk.dtype}")
        if chunk.dtype.name == "bfloat16":
            chunk = chunk.view(np.uint16)
        data = np.ascontiguousarray(chunk, numpy_dtype).reshape(-1).view(np.uint8)
        written += data.size
        if written > nbytes:
            break
        for first in range(0, data.size, _BLOCK_BYTES):
            piece = data[first : first + _BLOCK_BYTES]
            state.update(piece)
            file.write(piece.data)
    if written != nbytes:
        amount = "more" if written > nbytes else f"only {written}"
        raise InputError(
            f"tensor {name!r} of type {stream.dtype} and shape {stream.shape} has {nbytes} bytes "
            f"and got {amount}"
        )
    return state.digest()


def recognises(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as an emcomp file does; ``open`` says whether it is a good one.

    Raises:
        OSError: if the file cannot be read.
    """
    if not Path(path).is_file():  # a pipe would wait for its writer
        return False
    with Path(path).open("rb") as file:
        return is_table(file.read(TABLE_HEAD_BYTES))


def open(path: str | os.PathLike[str]) -> Container:  # noqa: A001
    """Map a file and check what can be checked without reading all of it.

    That is the header and its checksum, the size of the file, where every tensor lies, and the
    checksums of small tensors. ``Container.verify`` checks the rest.

    Raises:
        FormatError: if this is not an emcomp file, or one of another format version.
        CorruptFileError: if it is one and damaged or cut short.
        OSError: if the file cannot be read.
    """
    return Container(path)


def verify(
    path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> None:
    """Read a whole file and check every byte of it; `open` alone reads little.

    Args:
        path: an emcomp file.
        progress: called with bytes checked and bytes in all, again and again.

    Raises:
        FormatError: if this is not an emcomp file, or one of another format version.
        CorruptFileError: if a bit of it has changed, or it is cut short.
        OSError: if the file cannot be read.
    """
    with open(path) as opened:
        opened.verify(progress)
