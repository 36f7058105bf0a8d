"""The header of an emcomp file: what is in it, how it is written and how it is checked.

docs/format.md specifies it byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

import numpy as np

from emcomp import _core
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.recognition import TABLE_BEGIN
from emcomp.io.formats.safetensors import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    TensorInfo,
    header_length,
    parse_object,
    read_header,
)

Json: TypeAlias = Union[bool, int, float, str, "list[Json]", "dict[str, Json]", None]

FORMAT = 1
"""The version of the format that this emcomp writes and reads."""

ALIGNMENT = 64
"""Every tensor begins at a multiple of this many bytes: one cache line, one AVX-512 register."""

PADDING = "padding."
"""What the names of padding tensors begin with."""

_TENSOR_NAME = re.compile(r"[a-z][a-z0-9_.]*")
_DIGITS = re.compile(r"[0-9a-f]{16}")

_HEADER_CHECKSUM = re.compile(rb'([0-9]{1,9}),\\"header_checksum\\":\\"([0-9a-f]{16})\\"')


@dataclass(frozen=True)
class Header:
    """A checked header."""

    tensors: dict[str, TensorInfo]
    """The tensors that were written, in the order of their bytes."""
    padding: dict[str, TensorInfo]
    """The padding between them."""
    checksums: dict[str, int]
    """XXH64 of each tensor's bytes."""
    table: dict[str, Json]
    """What the writer said about the table."""


def layout(tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> dict[str, TensorInfo]:
    """Places for tensors one after another, with padding where the next would not be aligned.

    Args:
        tensors: type, shape and bytes of each, in the order wanted.

    Returns:
        The tensors and the padding, in order; positions are counted from the end of the header.

    Raises:
        InputError: if a name is not made of small letters, digits, ``_`` and ``.``.
    """
    places: dict[str, TensorInfo] = {}
    paddings = position = 0
    for name, (dtype, shape, nbytes) in tensors.items():
        if not _TENSOR_NAME.fullmatch(name) or name.startswith(PADDING):
            raise InputError(f"{name!r} cannot be a tensor's name: use a-z, 0-9, '_' and '.'")
        missing = -position % ALIGNMENT
        if missing:
            place = TensorInfo("U8", (missing,), position, position + missing)
            places[f"{PADDING}{paddings}"] = place
            paddings += 1
            position += missing
        places[name] = TensorInfo(dtype, shape, position, position + nbytes)
        position += nbytes
    return places


def build_header(
    places: Mapping[str, TensorInfo], table: Mapping[str, Json], checksums: Mapping[str, int]
) -> bytes:
    """The first bytes of a file, up to the first tensor; as many whatever the checksums are.

    Args:
        places: what ``layout`` returned.
        table: what the file says about the table; anything JSON has, finite numbers only.
        checksums: XXH64 of each tensor.

    Raises:
        InputError: if ``table`` cannot be JSON or the header becomes longer than readers allow.
    """
    about = {
        "format": FORMAT,
        "header_checksum": "0" * 16,
        "table": table,
        "tensor_checksums": {name: f"{value:016x}" for name, value in checksums.items()},
    }
    entries: dict[str, object] = {
        name: {"dtype": info.dtype, "shape": info.shape, "data_offsets": [info.begin, info.end]}
        for name, info in places.items()
    }
    try:
        entries["__metadata__"] = {"emcomp": _canonical(about)}
        text = _canonical(entries).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the description of the table cannot be JSON: {error}") from error
    text += b" " * (-(LENGTH_BYTES + len(text)) % ALIGNMENT)
    if len(text) > MAX_HEADER_BYTES:
        raise InputError(
            f"the header would have {len(text)} bytes, readers take {MAX_HEADER_BYTES}: put large "
            "things into tensors"
        )
    return seal(len(text).to_bytes(LENGTH_BYTES, "little") + text)


def seal(header: bytes) -> bytes:
    """The header with its own checksum put in, whatever stood there before."""
    match = _HEADER_CHECKSUM.match(header, LENGTH_BYTES + len(TABLE_BEGIN))
    if match is None:
        raise ValueError("not the header of an emcomp file")
    begin, end = match.span(2)
    blank = header[:begin] + b"0" * 16 + header[end:]
    return b"%b%016x%b" % (header[:begin], checksum(blank), header[end:])


def checksum(data: bytes | memoryview) -> int:
    """XXH64 with seed 0."""
    state = _core.Checksum()
    state.update(np.frombuffer(data, np.uint8))
    return state.digest()


def parse_header(buffer: memoryview) -> Header:
    """Read and check the header of a whole emcomp file.

    Raises:
        FormatError: if this is not an emcomp file, or one of another format version.
        CorruptFileError: if it is one and damaged.
    """
    begin = LENGTH_BYTES + len(TABLE_BEGIN)
    if bytes(buffer[LENGTH_BYTES:begin]) != TABLE_BEGIN:
        raise FormatError(_what_else(buffer))
    with _damaged():
        header = bytes(buffer[: LENGTH_BYTES + header_length(buffer, len(buffer))])
        match = _HEADER_CHECKSUM.match(header, begin)
        if match is None or seal(header) != header:
            raise FormatError("its checksum does not fit its bytes")
    if int(match[1]) != FORMAT:
        raise FormatError(
            f"format {int(match[1])} of emcomp files: this emcomp reads format {FORMAT}. Upgrade "
            "with 'pip install --upgrade emcomp', or compress the table again with this version"
        )
    with _damaged():
        metadata, places = read_header(buffer)
        return _check(parse_object(metadata["emcomp"], "the metadata"), places)


@contextmanager
def _damaged() -> Iterator[None]:
    """What is wrong with the header of a file that began as an emcomp file means damage."""
    try:
        yield
    except FormatError as error:
        raise CorruptFileError(
            f"damaged header: {error}. Copy the file again or compress the table again"
        ) from error


def _check(about: Mapping[str, Any], places: Mapping[str, TensorInfo]) -> Header:
    table, digits = about.get("table"), about.get("tensor_checksums")
    if not isinstance(table, dict) or not isinstance(digits, dict):
        raise FormatError("the metadata lacks the table or the checksums")
    padding = {name: info for name, info in places.items() if name.startswith(PADDING)}
    tensors = {name: info for name, info in places.items() if name not in padding}
    if digits.keys() != tensors.keys():
        raise FormatError("the checksums are not those of the tensors")
    for name, value in digits.items():
        if not isinstance(value, str) or not _DIGITS.fullmatch(value):
            raise FormatError(f"the checksum of tensor {name!r} is not 16 hexadecimal digits")
        if tensors[name].begin % ALIGNMENT:
            raise FormatError(
                f"tensor {name!r} begins at byte {tensors[name].begin}, not a multiple of "
                f"{ALIGNMENT}"
            )
    for name, info in padding.items():
        if info.dtype != "U8" or info.end - info.begin >= ALIGNMENT:
            raise FormatError(f"{name!r} is not padding")
    checksums = {name: int(value, 16) for name, value in digits.items()}
    return Header(tensors, padding, checksums, table)


def _what_else(buffer: memoryview) -> str:
    """What a file is that is not an emcomp file."""
    try:
        read_header(buffer)
    except FormatError:
        return "not an emcomp file; compress a table with 'emcomp compress' to make one"
    return "a plain safetensors file, not an emcomp file: compress it with 'emcomp compress' first"


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
