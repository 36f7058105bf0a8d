"""Tables among named tensors: safetensors, torch checkpoints, GGUF, and indexes of several files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import FormatError, InputError
from emcomp.io.formats.arrays import TENSOR_FLOATS, choose_tensor
from emcomp.io.formats.gguf import read_gguf_header
from emcomp.io.formats.matrix_files import WORD_TENSORS
from emcomp.io.formats.recognition import naming, recognise
from emcomp.io.formats.safetensors import (
    LENGTH_BYTES,
    NUMPY_DTYPES,
    TensorInfo,
    header_length,
    read_header,
)
from emcomp.io.formats.torch_checkpoint import read_torch_header
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.matrices import MatrixSource, WordPlaces
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList

_STATIC = ("embeddings", "mapping", "weights")
"""What a static model of model2vec is made of; the last two may be missing."""


def open_tensors(file: StoredFile, kind: str, tensor: str | None) -> OpenedSource:
    """A table of a safetensors file, torch checkpoint or GGUF file: the one named, or found.

    Raises:
        InputError: if the named tensor is not there or is no table of float numbers.
        FormatError: if no tensor can be told to be the embedding, or the file is damaged.
    """
    with naming(file.name):
        if kind == "gguf":
            with file.open() as opened:
                header = read_gguf_header(opened, file.size)
            name = choose_tensor(header.tensors, tensor)
            return GgufSource(file, header.tensors[name], header.tokens)
        tensors = _tensors_of(file, kind)
        if tensor is None and _is_static(tensors):
            return StaticModelSource(file, tensors)
        name = choose_tensor(tensors, tensor)
        return _tensor_source(file, tensors[name], _words_of(tensors, tensors[name]))


def open_sharded_tensors(index: StoredFile, tensor: str | None) -> MatrixSource:
    """A table of a checkpoint in several files, by its ``*.index.json``.

    Raises:
        InputError: if the named tensor is not there or is no table of float numbers.
        FormatError: if the index is not what it should be, a file of it is missing or damaged, or
            no tensor can be told to be the embedding.
    """
    with naming(index.name):
        places = _weight_map(index)
        if tensor is not None and tensor not in places:
            raise InputError(
                f"no tensor {tensor!r} in the index; it has {', '.join(list(places)[:20])}"
            )
    wanted = sorted(set(places.values())) if tensor is None else [places[tensor]]
    tensors: dict[str, TensorInfo] = {}
    files: dict[str, StoredFile] = {}
    for shard in wanted:
        file = _shard(index, shard)
        with naming(file.name):
            found = _tensors_of(file, recognise(file))
        for name in (name for name, place in places.items() if place == shard):
            if name not in found:
                raise FormatError(
                    f"{file.name}: has no tensor {name!r}, though {index.name} says so"
                )
            tensors[name] = found[name]
            files[name] = file
    with naming(index.name):
        name = choose_tensor(tensors, tensor)
    return _tensor_source(files[name], tensors[name], None)


class GgufSource(MatrixSource):
    """A table of a GGUF file that is not quantized, with the tokens of its tokenizer as words."""

    def __init__(self, file: StoredFile, tensor: TensorInfo, tokens: list[bytes] | None) -> None:
        rows, dim = tensor.shape
        super().__init__(file, tensor.begin, TENSOR_FLOATS[tensor.dtype], (rows, dim))
        self.has_words = self.words_guessed = tokens is not None and len(tokens) == rows
        self._tokens = WordList.from_strings(tokens) if self.has_words and tokens else None

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        assert self._tokens is not None
        yield self._tokens[first : first + count]


class StaticModelSource(OpenedSource):
    """The rows of a static model whose vocabulary is quantized or weighted, as float32.

    Row i is ``embeddings[mapping[i]] * weights[i]``. The embeddings are kept in memory while rows
    are read: they are few, which is what such a model is for.

    Args:
        file: a safetensors file.
        tensors: those of the file.

    Raises:
        FormatError: if they do not fit each other.
    """

    def __init__(self, file: StoredFile, tensors: dict[str, TensorInfo]) -> None:
        self._embeddings = _tensor_source(file, tensors["embeddings"], None)
        self._file = file
        self._mapping = self._vector(tensors.get("mapping"))
        self._weights = self._vector(tensors.get("weights"))
        self._held: NDArray[np.float64] | None = None
        lengths = {len(v) for v in (self._mapping, self._weights) if v is not None}
        kept, dim = self._embeddings.shape
        if self._mapping is None:
            lengths.add(kept)
        elif len(self._mapping) and not 0 <= self._mapping.min() <= self._mapping.max() < kept:
            raise FormatError(
                f"{file.name}: the mapping names rows that the embeddings do not have"
            )
        if len(lengths) != 1 or 0 in lengths:
            raise FormatError(
                f"{file.name}: embeddings, mapping and weights are of different lengths"
            )
        super().__init__(file.name, (lengths.pop(), dim), "float32")

    def _vector(self, info: TensorInfo | None) -> NDArray[Any] | None:
        if info is None:
            return None
        values = np.empty(info.shape, NUMPY_DTYPES[info.dtype])
        self._file.read_into(info.begin, values)
        return values

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count), put together."""
        self._check_range(first, count)
        if self._mapping is None:
            rows = _as_float64(self._embeddings.read(first, count))
        else:
            if self._held is None:
                self._held = _as_float64(self._embeddings.read(0, self._embeddings.shape[0]))
            rows = self._held[self._mapping[first : first + count]]
        if self._weights is not None:
            rows = rows * self._weights[first : first + count, np.newaxis]
        return rows.astype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None}


def _as_float64(rows: NDArray[Any]) -> NDArray[np.float64]:
    if rows.dtype == np.uint16:  # bfloat16: the upper half of a float32
        rows = (rows.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return rows.astype(np.float64)


def _is_static(tensors: dict[str, TensorInfo]) -> bool:
    if not {"embeddings"} < set(tensors) <= set(_STATIC):
        return False
    table = tensors["embeddings"]
    vectors = [info for name, info in tensors.items() if name != "embeddings"]
    kinds = {"mapping": ("I", "U"), "weights": ("F",)}
    return (
        len(table.shape) == 2
        and table.dtype in TENSOR_FLOATS
        and all(len(info.shape) == 1 for info in vectors)
        and all(
            info.dtype.startswith(kinds[name]) and info.dtype in NUMPY_DTYPES
            for name, info in tensors.items()
            if name != "embeddings"
        )
    )


def _words_of(tensors: dict[str, TensorInfo], table: TensorInfo) -> WordPlaces | None:
    """Where a safetensors file that emcomp has written has its words."""
    letters, offsets = (tensors.get(name) for name in WORD_TENSORS)
    if letters is None or offsets is None:
        return None
    if (letters.dtype, offsets.dtype, offsets.shape) != ("U8", "U64", (table.shape[0] + 1,)):
        return None
    return WordPlaces(letters.begin, offsets.begin)


def _tensor_source(file: StoredFile, tensor: TensorInfo, words: WordPlaces | None) -> MatrixSource:
    rows, dim = tensor.shape
    return MatrixSource(file, tensor.begin, TENSOR_FLOATS[tensor.dtype], (rows, dim), words=words)


def _tensors_of(file: StoredFile, kind: str) -> dict[str, TensorInfo]:
    if kind == "torch":
        with file.open() as opened:
            return read_torch_header(opened)
    if kind != "safetensors":
        raise FormatError(f"a {kind} file, where a safetensors file or torch checkpoint is meant")
    length = file.read(0, min(LENGTH_BYTES, file.size))
    end = LENGTH_BYTES + header_length(memoryview(length), file.size)
    _, tensors = read_header(file.read(0, end), file.size)
    return tensors


def _weight_map(index: StoredFile) -> dict[str, str]:
    try:
        places = json.loads(index.read(0, index.size))["weight_map"]
        sound = all(isinstance(v, str) and v == os.path.basename(v) for v in places.values())  # noqa: PTH119
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"not the index of a checkpoint: {error}") from error
    if not sound or not places:
        raise FormatError("the weight_map of the index does not map tensors to files beside it")
    return dict(places)


def _shard(index: StoredFile, shard: str) -> StoredFile:
    if index.is_remote:
        name = index.name.rpartition("/")[0] + "/" + shard
    else:
        name = str(Path(index.name).with_name(shard))
    try:
        return StoredFile(name)
    except FileNotFoundError as error:
        raise FormatError(f"{index.name}: the file {shard!r} of the index is missing") from error
