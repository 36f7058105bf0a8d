"""The emcomp file: named tensors and a description of the table, mapped and checked.

Every emcomp file is also a safetensors file; docs/format.md specifies it byte by byte.
"""

from __future__ import annotations

import copy
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import atomic_write
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.recognition import TABLE_HEAD_BYTES, is_table
from emcomp.io.formats.safetensors import ITEM_BYTES, LENGTH_BYTES, NUMPY_DTYPES, TensorInfo
from emcomp.tables.container_header import (
    Header,
    Json,
    build_header,
    checksum,
    layout,
    parse_header,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

CHECKED_ON_OPEN = 64 << 10
"""Tensors of at most this many bytes are checked when a file is opened, larger ones by verify."""

_BLOCK_BYTES = (
    1 << 20
)  # bytes checksummed and written together, so that they are read from memory once

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
    with Path(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size < LENGTH_BYTES:
            raise FormatError(f"{path}: not an emcomp file, it has less than {LENGTH_BYTES} bytes")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Container(Path(path), np.frombuffer(mapped, np.uint8))


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


class Container:
    """A file that is open: a description of a table and read-only views of its tensors.

    The views are the mapped file itself: nothing is read before it is used, and processes that
    open the same file share its memory. Any number of threads may read. The file must not be
    changed in place while it is open; replacing it, as ``write`` does, is safe.
    """

    def __init__(self, path: Path, mapped: NDArray[np.uint8]) -> None:
        self._path = path
        self._bytes = mapped
        try:
            self._header: Header = parse_header(mapped.data)
            self._check_tensors(CHECKED_ON_OPEN)
        except FormatError as error:
            raise type(error)(f"{path}: {error}") from error

    @property
    def table(self) -> dict[str, Json]:
        """The description of the table that the file was written with."""
        return self._header.table

    @property
    def checksum(self) -> str:
        """Of the header, and so of all that it has checksums of: the same for the same bytes."""
        data = self._open_bytes()
        size = int.from_bytes(data[:LENGTH_BYTES].tobytes(), "little")
        return f"{checksum(data[: LENGTH_BYTES + size].data):016x}"

    @property
    def names(self) -> list[str]:
        """Names of the tensors, in the order of their bytes."""
        return list(self._header.tensors)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole file."""
        return self._open_bytes().size

    def tensor(self, name: str) -> NDArray[Any]:
        """A read-only view of a tensor in the mapped file; BF16 comes as uint16 bits.

        Raises:
            FormatError: if the file has no such tensor.
        """
        info = self._header.tensors.get(name)
        if info is None:
            raise FormatError(f"{self._path}: the file has no tensor {name!r}, only {self.names}")
        return self._view(info).view(NUMPY_DTYPES[info.dtype]).reshape(info.shape)

    def verify(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read the whole file and check every byte of it.

        Args:
            progress: called with bytes checked and bytes in all, again and again.

        Raises:
            CorruptFileError: naming the first part of the file that is damaged.
        """
        try:
            parse_header(self._open_bytes().data)
            self._check_tensors(self.nbytes, progress)
        except FormatError as error:
            raise CorruptFileError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Give the map back as soon as no view of a tensor is left."""
        self._bytes = np.empty(0, np.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open_bytes(self) -> NDArray[np.uint8]:
        if self._bytes.size == 0:
            raise ValueError(f"{self._path} is closed")
        return self._bytes

    def _view(self, info: TensorInfo) -> NDArray[np.uint8]:
        return self._open_bytes()[info.begin : info.end]

    def _check_tensors(
        self, largest: int, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Check the bytes of all tensors of at most ``largest`` bytes."""
        for name, info in self._header.padding.items():
            if self._view(info).any():
                raise CorruptFileError(f"bytes {info.begin} to {info.end} ({name}) are not zero")
        for name, info in self._header.tensors.items():
            if info.end - info.begin > largest:
                continue
            state = _core.Checksum()
            for first in range(info.begin, info.end, _BLOCK_BYTES):
                state.update(self._bytes[first : min(first + _BLOCK_BYTES, info.end)])
                if progress is not None:
                    progress(min(first + _BLOCK_BYTES, info.end), self.nbytes)
            if state.digest() != self._header.checksums[name]:
                raise CorruptFileError(
                    f"tensor {name!r} (bytes {info.begin} to {info.end}) is damaged: its checksum "
                    "does not fit. Copy the file again or compress the table again"
                )
