"""Where the tensors of a GGUF file are, and the words of its tokenizer.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from typing import Any, BinaryIO, NamedTuple

from emcomp.errors import CorruptFileError, FormatError
from emcomp.io.formats.safetensors import ITEM_BYTES, MAX_TENSOR_BYTES, TensorInfo

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9

_TYPES = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}

_TOKENS = "tokenizer.ggml.tokens"
_ALIGNMENT = "general.alignment"


class GgufHeader(NamedTuple):
    """What a GGUF file says of itself."""

    tensors: dict[str, TensorInfo]
    """Quantized ones have the number of their type as dtype, and end where they begin."""
    tokens: list[bytes] | None


class _Reader:
    """Reads one value after another, never more than the file has."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self._size = size

    @property
    def position(self) -> int:
        return self._size - self._left

    def take(self, count: int) -> bytes:
        if count > self._left:
            raise CorruptFileError(f"the GGUF file ends at byte {self._size}, inside its header")
        self._left -= count
        data = self._file.read(count)
        if len(data) != count:
            raise CorruptFileError("the GGUF file cannot be read to the end")
        return data

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def string(self) -> bytes:
        return self.take(self.number("<Q"))

    def value(self, kind: int, depth: int = 0) -> Any:
        """A value of a kind; of an array of numbers only that it is there."""
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            if kind not in _SCALARS:
                raise CorruptFileError(f"the GGUF file has a value of the unknown kind {kind}")
            return self.number(_SCALARS[kind])
        inner, count = self.number("<I"), self.number("<Q")
        if inner in _SCALARS:
            self.take(count * struct.calcsize(_SCALARS[inner]))
            return None
        if depth > 4 or count > self._left:
            raise CorruptFileError(f"the GGUF file has an array of {count} values of kind {inner}")
        return [self.value(inner, depth + 1) for _ in range(count)]


def read_gguf_header(file: BinaryIO, size: int) -> GgufHeader:
    """The tensors and tokens of a GGUF file of ``size`` bytes.

    Raises:
        FormatError: if it is of another version.
        CorruptFileError: if it is damaged.
    """
    reader = _Reader(file, size)
    reader.take(4)
    version, tensor_count, pair_count = (reader.number(f) for f in ("<I", "<Q", "<Q"))
    if version not in (2, 3):
        raise FormatError(f"a GGUF file of version {version}; 2 and 3 are read")
    pairs = {}
    for _ in range(pair_count):
        name = reader.string().decode("utf-8", "replace")
        pairs[name] = reader.value(reader.number("<I"))
    described = []
    for _ in range(tensor_count):
        name = reader.string().decode("utf-8", "replace")
        dimensions = reader.number("<I")
        if dimensions > 8:
            raise CorruptFileError(f"the GGUF tensor {name!r} has {dimensions} dimensions")
        shape = tuple(reader.number("<Q") for _ in range(dimensions))[::-1]
        described.append((name, shape, reader.number("<I"), reader.number("<Q")))
    alignment = pairs.get(_ALIGNMENT, 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise CorruptFileError(f"the GGUF file is aligned to {alignment!r} bytes")
    start = -(-reader.position // alignment) * alignment
    tensors = {
        name: _place(name, shape, kind, start + offset, size)
        for name, shape, kind, offset in described
    }
    tokens = pairs.get(_TOKENS)
    sound = isinstance(tokens, list) and all(isinstance(token, bytes) for token in tokens)
    return GgufHeader(tensors, tokens if sound else None)


def _place(name: str, shape: tuple[int, ...], kind: int, begin: int, size: int) -> TensorInfo:
    dtype = _TYPES.get(kind)
    if dtype is None:
        return TensorInfo(f"quantized (GGML type {kind})", shape, begin, begin)
    nbytes = math.prod(shape) * ITEM_BYTES[dtype]
    if nbytes > MAX_TENSOR_BYTES or begin + nbytes > size:
        raise CorruptFileError(f"the GGUF tensor {name!r} ends after the file")
    return TensorInfo(dtype, shape, begin, begin + nbytes)
