"""Writing matrices, and words beside them, as npy, npz, safetensors and Parquet."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.vocabulary.word_list import WordList

WORD_TENSORS = ("vocabulary.bytes", "vocabulary.offsets")
"""What the words of a table are called in npz and safetensors files, as in emcomp files."""

_NPZ_TABLE = "vectors"
_TENSOR = "embedding.weight"
_WORD_COLUMN, _VECTOR_COLUMN = "word", "vector"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

Shape = tuple[int, int]
Blocks = Iterable[tuple[int, NDArray[Any]]]
"""First row and rows of each block, in the type that is written, little-endian."""


def write_npy(file: BinaryIO, shape: Shape, dtype: str, blocks: Blocks) -> None:
    """An npy file."""
    _npy_header(file, shape, np.dtype(dtype).newbyteorder("<").str)
    file.writelines(np.ascontiguousarray(block).data for _, block in blocks)


def write_npz(
    file: BinaryIO, shape: Shape, dtype: str, blocks: Blocks, words: WordList | None
) -> None:
    """An npz file that is not compressed, so that it can be mapped."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_entry(_NPZ_TABLE), "w", force_zip64=True) as member:
            write_npy(member, shape, dtype, blocks)  # type: ignore[arg-type]
        for name, array in _word_arrays(words).items():
            with archive.open(_entry(name), "w", force_zip64=True) as member:
                _npy_header(member, array.shape, array.dtype.str)  # type: ignore[arg-type]
                member.write(array.data)


def write_safetensors(
    file: BinaryIO, shape: Shape, dtype: str, blocks: Blocks, words: WordList | None
) -> None:
    """A safetensors file, the table named as checkpoints name it."""
    kinds = {"float32": "F32", "float16": "F16", "|u1": "U8", "<u8": "U64"}
    end = shape[0] * shape[1] * np.dtype(dtype).itemsize
    header: dict[str, Any] = {
        _TENSOR: {"dtype": kinds[dtype], "shape": list(shape), "data_offsets": [0, end]}
    }
    arrays = _word_arrays(words)
    # Offsets first: they are aligned where they follow the table.
    for name, array in reversed(arrays.items()):
        header[name] = {
            "dtype": kinds[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64 + 56)  # numbers begin at a multiple of 64
    file.write(len(text).to_bytes(8, "little") + text)
    file.writelines(np.ascontiguousarray(block).data for _, block in blocks)
    for array in reversed(arrays.values()):
        file.write(array.data)


def write_parquet(
    file: BinaryIO, shape: Shape, dtype: str, blocks: Blocks, words: WordList | None
) -> None:
    """A Parquet file: a column of vectors and one of words, which is binary if they are not UTF-8."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("Parquet needs pyarrow: pip install 'emcomp[arrow]'")
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.large_string()
    if words is not None:
        try:
            words.bytes.tobytes().decode("utf-8")
        except UnicodeDecodeError:
            kind = pa.large_binary()
    vectors = pa.list_(pa.float16() if dtype == "float16" else pa.float32(), shape[1])
    fields = [pa.field(_VECTOR_COLUMN, vectors)]
    if words is not None:
        fields.insert(0, pa.field(_WORD_COLUMN, kind))
    schema = pa.schema(fields)
    with pq.ParquetWriter(file, schema) as writer:
        for first, block in blocks:
            rows = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), shape[1])
            columns = [rows]
            if words is not None:
                part = words[first : first + len(block)]
                buffers = [
                    None,
                    pa.py_buffer(part.offsets.astype(np.int64)),
                    pa.py_buffer(part.bytes),
                ]
                columns.insert(0, pa.Array.from_buffers(kind, len(part), buffers))
            writer.write_table(pa.table(columns, schema=schema))


def _word_arrays(words: WordList | None) -> dict[str, NDArray[Any]]:
    if words is None:
        return {}
    return dict(zip(WORD_TENSORS, (words.bytes, words.offsets.astype("<u8")), strict=True))


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME)


def _npy_header(file: BinaryIO, shape: tuple[int, ...], descr: str) -> None:
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
