"""The header of a safetensors file, with every length checked before it is used.

A safetensors file is an 8-byte little-endian length, that many bytes of JSON, and the data of the
tensors one after another (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import math
import mmap
from collections import Counter
from typing import Any, NamedTuple

from emcomp.errors import FormatError

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
"""The longest header that the safetensors package reads."""

MAX_TENSOR_BYTES = 2**63 - 1
MAX_DIMENSIONS = 64

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip

NUMPY_DTYPES = {
    "BOOL": "?", "U8": "<u1", "I8": "<i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "BF16": "<u2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
"""NumPy's name of each type that NumPy has, and for BF16 the type that holds its bits."""


class TensorInfo(NamedTuple):
    """Where a tensor is and what it holds."""

    dtype: str
    """A key of ``ITEM_BYTES``."""
    shape: tuple[int, ...]
    begin: int
    """First byte, counted from the start of the file."""
    end: int
    """Byte after the last one."""


def read_header(
    buffer: bytes | memoryview | mmap.mmap, size: int | None = None
) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    """Read the header of a whole safetensors file.

    Args:
        buffer: the file's bytes, usually a memory map; the header is enough where ``size`` is given.
        size: bytes of the whole file, by default those of ``buffer``.

    Returns:
        The metadata, and the tensors in the order of their bytes.

    Raises:
        FormatError: if this is not a safetensors file or its header does not fit its size.
    """
    view = memoryview(buffer)
    size = len(view) if size is None else size
    start = LENGTH_BYTES + header_length(view, size)
    entries = parse_object(bytes(view[LENGTH_BYTES:start]), "the header")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError("the header's __metadata__ is not an object of strings")
    tensors = {name: _tensor_info(name, entry, start) for name, entry in entries.items()}
    tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    end = start
    for name, info in tensors.items():
        if info.begin != end:
            raise FormatError(f"tensor {name!r} begins at byte {info.begin}, expected {end}")
        end = info.end
    if end != size:
        raise FormatError(f"the tensors end at byte {end} and the file at byte {size}")
    return metadata, tensors


def header_length(view: memoryview, size: int) -> int:
    """The length of the header's JSON in bytes, known to lie within the file of ``size`` bytes.

    Raises:
        FormatError: if it does not, or is more than any reader takes.
    """
    if size < LENGTH_BYTES:
        raise FormatError(f"{size} bytes are too few for a safetensors file")
    length = int.from_bytes(view[:LENGTH_BYTES], "little")
    if length > size - LENGTH_BYTES:
        raise FormatError(f"the header is said to have {length} bytes, the file has {size} in all")
    if length > MAX_HEADER_BYTES:
        raise FormatError(f"a header of {length} bytes: at most {MAX_HEADER_BYTES} are allowed")
    return length


def parse_object(text: bytes | str, what: str) -> dict[str, Any]:
    """Read a JSON object, refusing duplicate keys and numbers that JSON does not have.

    Raises:
        FormatError: if the text is anything else.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = counts.most_common(1)[0][0]
        raise ValueError(f"the key {repeated!r} is there twice")
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _tensor_info(name: str, entry: Any, start: int) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"tensor {name!r} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise FormatError(f"tensor {name!r} has the unknown type {dtype!r}")
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        raise FormatError(f"tensor {name!r} has a shape that is not a list of sizes")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(f"tensor {name!r} has offsets that are not a pair in order")
    if math.prod(max(size, 1) for size in shape) * ITEM_BYTES[dtype] > MAX_TENSOR_BYTES:
        raise FormatError(f"tensor {name!r} has an impossible shape")
    needed = math.prod(shape) * ITEM_BYTES[dtype]
    if needed != offsets[1] - offsets[0]:
        raise FormatError(
            f"tensor {name!r} of type {dtype} and shape {shape} needs {needed} bytes and has "
            f"{offsets[1] - offsets[0]}"
        )
    return TensorInfo(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(size) is int and 0 <= size <= MAX_TENSOR_BYTES for size in value
    )
