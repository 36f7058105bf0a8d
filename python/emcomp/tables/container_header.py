"""The header of an emcomp file, as it is written; docs/format.md specifies it byte by byte."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias, Union

import numpy as np

from emcomp import _core
from emcomp.errors import FormatError, InputError
from emcomp.io.formats.recognition import TABLE_BEGIN
from emcomp.io.formats.safetensors import LENGTH_BYTES, TensorInfo

Json: TypeAlias = Union[bool, int, float, str, "list[Json]", "dict[str, Json]", None]

FORMAT = 1
"""The version of the format that this emcomp writes and reads."""

MAX_HEADER_BYTES = 16 << 20
"""The longest header that is read."""

ALIGNMENT = 64
"""Every tensor begins at a multiple of this many bytes: one cache line, one AVX-512 register."""

PADDING = "padding."
"""What the names of padding tensors begin with."""

_TENSOR_NAME = re.compile(r"[a-z][a-z0-9_.]*")
_HEADER_CHECKSUM = re.compile(rb'([0-9]{1,9}),\\"header_checksum\\":\\"([0-9a-f]{16})\\"')


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
        _core.check_description(_canonical(table))
    except (TypeError, ValueError, RecursionError, FormatError) as error:
        raise InputError(
            f"the description of the table cannot be JSON that readers take: {error}"
        ) from error
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


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
