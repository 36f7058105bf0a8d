"""Where the tensors of a torch checkpoint are, told without torch and without running its code.

A checkpoint is a zip file: ``data.pkl`` is a pickle of the tensors' names, shapes and places, and
``data/0``, ``data/1``, ... are their numbers. Here the pickle may name what makes tensors, and
nothing else; that is not imported either, but stands for itself.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

from emcomp.errors import CorruptFileError, FormatError
from emcomp.io.formats.recognition import is_of_the_system
from emcomp.io.formats.safetensors import ITEM_BYTES, MAX_TENSOR_BYTES, TensorInfo

_MAX_PICKLE_BYTES = 1 << 26
_MAX_DEPTH = 20

_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip

_STRIDED = "strided "
"""Before the type of a tensor whose rows do not lie one after another."""


class _Storage(NamedTuple):
    dtype: str
    key: str
    numbers: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuilt(storage: Any, offset: Any, shape: Any, strides: Any, *_others: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_others: Any) -> Any:
    return tensor


def _itself(*values: Any) -> Any:
    return values


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): _itself,
    ("torch", "device"): _itself,
    ("torch.serialization", "_get_layout"): _itself,
    **{("torch", name): kind for name, kind in _STORAGES.items()},
    **{("torch", name): name for name in ("float16", "bfloat16", "float32", "float64", "int64")},
}


class _Unpickler(pickle.Unpickler):
    """Takes tensors apart. Nothing that the pickle names is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name, if it is one that checkpoints need."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise FormatError(
                f"a torch checkpoint that uses {module}.{name}, which is more than tensors: load it "
                "with torch, if you trust it, and save model.state_dict() alone"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        """The storage that an entry of the pickle names."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or dtype not in ITEM_BYTES or not isinstance(key, str):
            raise ValueError("a storage of another kind than is known")
        return _Storage(dtype, key, int(count))


def read_torch_header(file: BinaryIO) -> dict[str, TensorInfo]:
    """The tensors of a checkpoint by their names, and where they are in the file.

    Raises:
        FormatError: if it holds more than tensors, or they cannot be read where they are.
        CorruptFileError: if it is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            path = next(n for n in entries if n == "data.pkl" or n.endswith("/data.pkl"))
            folder = path.removesuffix("data.pkl")
            if entries[path].file_size > _MAX_PICKLE_BYTES:
                raise ValueError(f"a list of tensors of {entries[path].file_size} bytes")
            if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") == b"big":
                raise FormatError("a torch checkpoint of a big-endian machine; save it on another")
            root = _unpickled(archive, entries[path])
            return {
                name: _place(file, entries, folder, tensor)
                for name, tensor in _named(root, "", 0).items()
            }
    except FormatError:
        raise
    except Exception as error:  # a pickle of another's making can raise whatever it likes
        if is_of_the_system(error):
            raise
        raise CorruptFileError(f"the torch checkpoint is damaged: {error}") from error


def _unpickled(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    with archive.open(entry) as opened:
        content = opened.read()
    # Python makes room for as many kept objects as an opcode claims.
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument) > len(content):  # type: ignore[arg-type]
            raise ValueError("it keeps more objects than it has bytes")
        if opcode.name in ("EXT1", "EXT2", "EXT4"):
            raise FormatError(f"a torch checkpoint with {opcode.name}, which tensors do not need")
    with archive.open(entry) as opened:
        return _Unpickler(opened, encoding="utf-8").load()


def _named(value: Any, name: str, depth: int) -> dict[str, _Tensor]:
    """The tensors of nested mappings and sequences by the path of keys to each."""
    if isinstance(value, _Tensor):
        return {name or "tensor": value}
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, (list, tuple)) and not isinstance(value, _Storage):
        items = enumerate(value)
    found: dict[str, _Tensor] = {}
    for key, inner in items:
        found |= _named(inner, f"{name}.{key}" if name else str(key), depth + 1)
        if len(found) > 1_000_000:
            raise ValueError("it has more tensors than any model")
    return found


def _place(
    file: BinaryIO, entries: dict[str, zipfile.ZipInfo], folder: str, tensor: _Tensor
) -> TensorInfo:
    storage, shape = tensor.storage, tensor.shape
    numbers = (tensor.offset, storage.numbers, *shape, *tensor.strides)
    if any(type(n) is not int or not 0 <= n <= MAX_TENSOR_BYTES for n in numbers):
        raise ValueError(f"a tensor of shape {shape} from number {tensor.offset} on")
    entry = entries.get(f"{folder}data/{storage.key}")
    if entry is None:
        raise ValueError(f"it has no data/{storage.key}")
    if entry.compress_type != zipfile.ZIP_STORED:
        raise FormatError("a torch checkpoint whose numbers are compressed; save it with torch")
    item = ITEM_BYTES[storage.dtype]
    count = math.prod(shape)
    if (tensor.offset + count) * item > entry.file_size:
        raise ValueError(f"a tensor of shape {shape} ends after its data/{storage.key}")
    begin = _data_offset(file, entry) + tensor.offset * item
    rows = all(
        stride == math.prod(shape[i + 1 :]) or shape[i] == 1
        for i, stride in enumerate(tensor.strides)
    )
    is_plain = len(tensor.strides) == len(shape) and rows
    dtype = storage.dtype if is_plain else _STRIDED + storage.dtype
    return TensorInfo(dtype, shape, begin, begin + count * item)


def _data_offset(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    file.seek(entry.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    return int(entry.header_offset + 30 + name_length + extra_length)
