"""Arrays by name: the headers of npy and npz, and which of several tensors is the table."""

from __future__ import annotations

import ast
import lzma
import math
import struct
import zipfile
import zlib
from typing import IO, NamedTuple

import numpy as np

from emcomp.errors import FormatError, InputError
from emcomp.io.formats.safetensors import TensorInfo

TENSOR_FLOATS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}

ZIP_ERRORS = (
    ValueError, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
    struct.error, IndexError, KeyError,
)  # fmt: skip


class NpyHeader(NamedTuple):
    """What an npy file says of its array."""

    shape: tuple[int, ...]
    fortran_order: bool
    descr: str

    @property
    def is_table(self) -> bool:
        """Whether it has rows and columns of float numbers."""
        return len(self.shape) == 2 and 0 not in self.shape and self.descr in _NPY_FLOATS

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * np.dtype(self.descr).itemsize


_NPY_FLOATS = {order + size for order in "<>" for size in ("f2", "f4", "f8")}
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
MAX_NPY_HEADER = 10_000


_EMBEDDING_NAMES = (
    "word_embeddings.weight",
    "wte.weight",
    "shared.weight",
    "embed_tokens.weight",
    "tok_embeddings.weight",
    "token_embedding.weight",
    "embeddings.weight",
    "embedding.weight",
    "token_embd.weight",
)
"""How token embeddings are named in checkpoints, the most telling first."""


def choose_npz_member(
    archive: zipfile.ZipFile, tensor: str | None
) -> tuple[zipfile.ZipInfo, NpyHeader]:
    """The table of an npz file: the one named, or the only one.

    Raises:
        InputError: if the named array is not there.
        FormatError: if there is no table or there are several.
        ValueError: and other ``ZIP_ERRORS``, if the file is damaged.
    """
    headers = {}
    entries = {}
    for entry in archive.infolist():
        with archive.open(entry) as member:
            name = entry.filename.removesuffix(".npy")
            headers[name] = read_npy_header(member)
            entries[name] = entry
    shapes = {name: header.shape for name, header in headers.items()}
    tables: dict[str, tuple[int, ...]] = {
        name: header.shape for name, header in headers.items() if header.is_table
    }
    name = _choose(tables, shapes, tensor)
    check_table(headers[name], repr(name))
    return entries[name], headers[name]


def npz_offset(file: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Where the numbers of an npz member that is not compressed begin in the file."""
    file.seek(entry.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    file.seek(name_length + extra_length, 1)
    read_npy_header(file)
    return file.tell()


def choose_tensor(tensors: dict[str, TensorInfo], wanted: str | None) -> str:
    """The name of the table of a checkpoint: the one wanted, or found by its name.

    Raises:
        InputError: if the wanted tensor is not there or is no table of float numbers.
        FormatError: if no tensor can be told to be the embedding.
    """
    shapes = {name: info.shape for name, info in tensors.items()}
    tables: dict[str, tuple[int, ...]] = {
        name: info.shape
        for name, info in tensors.items()
        if len(info.shape) == 2 and info.dtype in TENSOR_FLOATS and 0 not in info.shape
    }
    name = _choose(_named_as_embedding(tables) or tables, shapes, wanted)
    if name not in tables:
        raise InputError(
            f"tensor {name!r} is {tensors[name].dtype} of shape {tensors[name].shape}, not a table "
            f"of {', '.join(TENSOR_FLOATS)}"
        )
    return name


def _named_as_embedding(tables: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    for ending in _EMBEDDING_NAMES:
        found = {
            name: shape
            for name, shape in tables.items()
            if name == ending or name.endswith("." + ending)
        }
        if found:
            return found
    return {}


def _choose(
    candidates: dict[str, tuple[int, ...]], present: dict[str, tuple[int, ...]], wanted: str | None
) -> str:
    if wanted is not None:
        if wanted not in present:
            raise InputError(f"no tensor {wanted!r} in the file; it has {_listed(present)}")
        return wanted
    if not candidates:
        raise FormatError(f"no table of float numbers in the file; it has {_listed(present)}")
    if len(candidates) > 1:
        raise FormatError(
            f"several tensors may be the embedding; name one with tensor=: {_listed(candidates)}"
        )
    return next(iter(candidates))


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    shown = [f"{name!r} {shape}" for name, shape in list(shapes.items())[:20]]
    more = len(shapes) - len(shown)
    return (", ".join(shown) or "nothing") + (f" and {more} more" if more > 0 else "")


def read_npy_header(file: IO[bytes]) -> NpyHeader:
    """Read the header that NumPy's format describes; NumPy's own reader lets odd errors through."""
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in _LENGTH_BYTES:
        raise ValueError("it does not begin as an npy file of version 1, 2 or 3")
    length = int.from_bytes(file.read(_LENGTH_BYTES[start[6:]]), "little")
    text = file.read(min(length, MAX_NPY_HEADER + 1))
    if len(text) < length:
        raise ValueError(f"a header of {length} bytes is cut short or too long")
    try:
        header = ast.literal_eval(text.decode("latin-1").strip())
        shape, fortran_order, descr = header["shape"], header["fortran_order"], header["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise ValueError(f"the header cannot be read: {error}") from error
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"{shape!r} is not a shape")
    return NpyHeader(shape, fortran_order is True, str(descr))


def check_table(header: NpyHeader, name: str) -> None:
    """Raise FormatError unless an npy header is that of a table."""
    if not header.is_table:
        raise FormatError(
            f"{name} has shape {header.shape} and holds {header.descr}; a table has rows and "
            "columns of float16, float32 or float64"
        )
