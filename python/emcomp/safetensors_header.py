"""The header of a safetensors file, read without trusting it.

A file is eight bytes with the header's length, little-endian; the header, a JSON object; and the
tensors' bytes. For each tensor the header has its type, shape and place.
"""

from __future__ import annotations

import json
import math
from mmap import mmap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError

MAX_HEADER_BYTES = 100_000_000
"""The safetensors package refuses longer headers too."""

ITEM_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Bits of one entry of each type."""


class TensorInfo(NamedTuple):
    """What the header says of a tensor."""

    dtype: str
    """Name of the type, a key of ``ITEM_BITS``."""
    shape: tuple[int, ...]
    begin: int
    """Position of the first byte in the file."""
    end: int
    """Position after the last byte in the file."""


def read_header(
    buffer: bytes | memoryview | mmap | NDArray[np.uint8],
) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    """Metadata and tensors of a safetensors file, every number checked against the file's size.

    Args:
        buffer: the whole file, such as a memory map; only the header is read.

    Returns:
        The metadata, and the tensors by name in the order of their bytes.

    Raises:
        CorruptFileError: if the file is shorter than it says.
        FormatError: if the header is not a safetensors header, or contradicts itself.
    """
    view = np.frombuffer(buffer, np.uint8)
    if len(view) < 8:
        raise CorruptFileError(f"the file has {len(view)} bytes; a safetensors header needs 8")
    length = int.from_bytes(view[:8].tobytes(), "little")
    if length > len(view) - 8:
        raise CorruptFileError(
            f"the header says that it is {length} bytes long; the file has {len(view)} bytes"
        )
    if length > MAX_HEADER_BYTES:
        raise FormatError(f"a header of {length} bytes is longer than safetensors allows")
    try:
        header = json.loads(view[8 : 8 + length].tobytes(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FormatError("the header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError("__metadata__ in the header is not a table of strings")
    data = 8 + length
    tensors = {name: _tensor(name, entry, data, len(view)) for name, entry in header.items()}
    tensors = dict(sorted(tensors.items(), key=lambda item: item[1][2:]))
    _check_layout(tensors, data, len(view))
    return metadata, tensors


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _tensor(name: str, entry: Any, data: int, size: int) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"tensor {name!r}: the header needs its dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BITS:
        raise FormatError(f"tensor {name!r}: unknown type {dtype!r}")
    if not isinstance(shape, list) or not all(map(_is_size, shape)):
        raise FormatError(f"tensor {name!r}: {shape!r} is not a shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise FormatError(f"tensor {name!r}: {offsets!r} is not a pair of offsets")
    begin, end = data + offsets[0], data + offsets[1]
    if end > size:
        raise CorruptFileError(f"tensor {name!r} ends at byte {end}; the file has {size} bytes")
    if begin > end or (end - begin) * 8 != math.prod(shape) * ITEM_BITS[dtype]:
        raise FormatError(
            f"tensor {name!r}: bytes {begin} to {end} do not hold {dtype} of shape {tuple(shape)}"
        )
    return TensorInfo(dtype, tuple(shape), begin, end)


def _check_layout(tensors: dict[str, TensorInfo], data: int, size: int) -> None:
    """Tensors must fill the file without gaps or overlaps, as the format demands."""
    position = data
    for name, tensor in tensors.items():
        if tensor.begin != position:
            raise FormatError(
                f"tensor {name!r} begins at byte {tensor.begin}, not at {position} where the "
                "tensor before it ends"
            )
        position = tensor.end
    if position != size:
        raise FormatError(f"the tensors end at byte {position}; the file has {size} bytes")
