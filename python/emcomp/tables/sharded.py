"""Tables in shards: a folder of emcomp files and an index, which is written last.

`index.json` names the codec, the shape and the shards in the order of their rows; `fit.emcomp` has
what all rows share and what encoding more rows needs; a shard has what its own rows became;
where it has words, `words-<rows>.emcomp` has the vocabulary. docs/format.md specifies them.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import atomic_write
from emcomp.codecs.base import Codec, FittedCodec, Info, LatentFactor, Tensors, parse_codec
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.memory_mapped import release
from emcomp.tables import container
from emcomp.tables.container import TensorStream
from emcomp.tables.origin import Origin
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.index import Vocabulary

INDEX = "index.json"
FIT = "fit.emcomp"
_FORMAT = "emcomp table in shards"
_VERSION = 1


class Shard(NamedTuple):
    """One file of a table in shards."""

    file: str
    rows: int
    squared_error: float | None
    """Of its rows as decoded; None where those are shorter than the original ones."""
    squared_total: float
    clipped: float
    """Share of the entries of some of its rows that lie beyond the codec's range."""


class Index(NamedTuple):
    """What `index.json` says."""

    codec: Codec
    shape: tuple[int, int]
    """Rows and entries of a row as they are decoded."""
    input_dim: int
    """Entries of a row before compression."""
    fit: str
    """Checksum of the fit that all shards were encoded with."""
    shards: tuple[Shard, ...]
    words: str | None
    """File of the vocabulary."""
    info: Info


def shard_name(number: int) -> str:
    """The file of a shard."""
    return f"shard-{number:06d}.emcomp"


def write_index(folder: Path, index: Index) -> None:
    """Write the index, after everything that it names."""
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "codec": str(index.codec),
        "shape": list(index.shape),
        "input_dim": index.input_dim,
        "fit": index.fit,
        "words": index.words,
        "info": dict(index.info),
        "shards": [shard._asdict() for shard in index.shards],
    }
    with atomic_write(folder / INDEX) as file:
        file.write(json.dumps(document, indent=1).encode())


def read_index(folder: Path) -> Index:
    """Read the index of a table in shards.

    Raises:
        FormatError: if the folder has none, or one that is damaged or newer.
    """
    path = folder / INDEX
    if not path.is_file():
        raise FormatError(
            f"{folder} is no table in shards: it has no {INDEX}. If it is being written or was "
            "interrupted, finish that with resume=True"
        )
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["format"] != _FORMAT or kept["version"] != _VERSION:
            raise FormatError(f"{path}: {kept['format']!r}, version {kept['version']}, is unknown")
        rows, dim = (operator.index(size) for size in kept["shape"])
        shards = tuple(Shard(**shard) for shard in kept["shards"])
        index = Index(
            parse_codec(kept["codec"]),
            (rows, dim),
            operator.index(kept["input_dim"]),
            str(kept["fit"]),
            shards,
            kept["words"],
            dict(kept["info"]),
        )
        files = [shard.file for shard in shards] + ([] if index.words is None else [index.words])
        in_folder = all(Path(file).name == file for file in files)
        counts = [operator.index(shard.rows) for shard in shards]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: the index is damaged: {error}") from error
    if sum(counts) != rows or not 0 < dim < 2**63:
        raise FormatError(f"{path}: the shards do not have the {rows} rows of the table")
    if not in_folder or not counts or min(counts) < 1:
        raise FormatError(f"{path}: it names what is not a file of this folder, or has no rows")
    return index


def write_words(folder: Path, vocabulary: Vocabulary) -> str:
    """Write the vocabulary of a table, beside that of a shorter one; returns the file's name."""
    name = f"words-{len(vocabulary)}.emcomp"
    container.write(folder / name, vocabulary.tensors(), {})
    return name


def index_files(folder: Path) -> list[Path]:
    """The emcomp files of a table in shards; what an interrupted `append` left is not of them.

    Raises:
        FormatError: if the folder has no index, or one that is damaged or newer.
    """
    index = read_index(folder)
    words = [] if index.words is None else [index.words]
    return [folder / name for name in (FIT, *(shard.file for shard in index.shards), *words)]


class Fit(NamedTuple):
    """A fit as it is kept."""

    tensors: dict[str, NDArray[Any]]
    shared: tuple[str, ...]
    """Names of those that decoding needs."""
    info: Info
    checksum: str


def write_fit(folder: Path, fitted: FittedCodec) -> None:
    """Keep what was learned."""
    description: dict[str, Any] = {
        "codec": str(fitted.codec),
        "dim": fitted.dim,
        "shared": list(fitted.shared_tensors),
        "info": dict(fitted.info),
    }
    container.write(folder / FIT, fitted.tensors, {"fit": description})


def read_fit(folder: Path) -> Fit:
    """What was learned, checked byte by byte.

    Raises:
        FormatError: if it is not there or not a fit.
    """
    try:
        opened = container.open(folder / FIT)
        opened.verify()
        description: Any = opened.table["fit"]
        tensors = {name: opened.tensor(name) for name in opened.names}
        shared = tuple(description["shared"])
        if not tensors.keys() >= set(shared):
            raise FormatError(f"{folder / FIT}: a tensor that rows share is missing")
        return Fit(tensors, shared, dict(description["info"]), opened.checksum)
    except (FileNotFoundError, KeyError, TypeError) as error:
        raise FormatError(f"{folder / FIT} is missing or not a fit") from error


def write_shard(
    path: Path, codec: Codec, fit: str, first: int, shard: Shard, tensors: Tensors
) -> None:
    """Write what the rows of a shard became, whole or not at all."""
    description: dict[str, Any] = {
        "codec": str(codec),
        "fit": fit,
        "first": first,
        **shard._asdict(),
    }
    container.write(path, tensors, {"shard": description})


def read_shard(path: Path, fit: str) -> tuple[Shard, dict[str, NDArray[Any]]]:
    """A shard and its tensors, mapped.

    Raises:
        FormatError: naming the shard, if it is missing, damaged or of another fit.
    """
    try:
        opened = container.open(path)
        description: Any = opened.table["shard"]
        found = description["fit"]
        shard = Shard(**{name: description[name] for name in Shard._fields})
    except (OSError, KeyError, TypeError) as error:
        raise FormatError(f"the shard {path} is missing or not a shard: {error}") from error
    if found != fit:
        raise FormatError(f"the shard {path} was encoded with another fit than the rest")
    return shard, {name: opened.tensor(name) for name in opened.names}


class ShardedEmbedding(CompressedEmbedding):
    """A compressed table whose rows are in several files; it does all that a table does.

    ``save`` joins the shards into one file.
    """

    def __init__(
        self,
        codec: Codec,
        shape: tuple[int, int],
        shared: Tensors,
        shards: Sequence[Tensors],
        words: Vocabulary | None,
        info: Info,
    ) -> None:
        self._shards = shards
        readers = []
        for shard in shards:
            rows = len(next(iter(shard.values())))
            readers.append(codec.reader((rows, shape[1]), {**shard, **shared}))
        reader = readers[0] if len(readers) == 1 else _core.concatenated_reader(readers)
        super().__init__(codec, shape, shared, words, info, reader)

    @cached_property
    def _joined(self) -> Tensors:
        joined = {
            name: np.concatenate([shard[name] for shard in self._shards])
            for name in self._shards[0]
        }
        return {**joined, **self._tensors}

    @property
    def tensors(self) -> Tensors:
        """All tensors; those of the rows are joined in memory when first asked for."""
        return self._joined

    def _latent_factor(self) -> LatentFactor | None:
        factors = []
        for shard in self._shards:
            shape = len(next(iter(shard.values()))), self.dim
            factor = self.codec.latent_factor(shape, {**shard, **self._tensors})
            if factor is None:
                return None
            factors.append(factor)
        scales = [factor.scales for factor in factors if factor.scales is not None]
        return LatentFactor(
            factors[0].width,
            _core.concatenated_reader([factor.latents for factor in factors]),
            np.concatenate(scales) if scales else None,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of everything that rows are made from; the vocabulary is not part of it."""
        return sum(
            tensor.nbytes for part in (self._tensors, *self._shards) for tensor in part.values()
        )

    def save(self, path: str | Path) -> None:
        """Write all shards to one file, the same bytes as of the table compressed at once."""
        rows = self.shape[0]
        streams: dict[str, NDArray[Any] | TensorStream] = {
            name: TensorStream(
                container.type_name(tensor.dtype), (rows, *tensor.shape[1:]), self._blocks(name)
            )
            for name, tensor in self._shards[0].items()
        }
        words = {} if self.words is None else self.words.tensors()
        container.write(path, {**streams, **self._tensors, **words}, self._description)

    def _blocks(self, name: str) -> Iterator[NDArray[Any]]:
        for shard in self._shards:
            yield shard[name]
            release(shard[name])

    def _release(self, first: int, count: int) -> None:
        begin = 0
        for shard in self._shards:
            rows = len(next(iter(shard.values())))
            low, high = max(first - begin, 0), min(first + count - begin, rows)
            if low < high:
                for tensor in shard.values():
                    release(tensor[low:high])
            begin += rows


def open_sharded(folder: Path) -> ShardedEmbedding:
    """Open a table in shards.

    Raises:
        FormatError: if the index, the fit or a shard is missing or does not fit the others.
        CorruptFileError: if a file is damaged.
    """
    index = read_index(folder)
    origin = Origin.of(folder, folder / INDEX, open_sharded)
    fit = read_fit(folder)
    if fit.checksum != index.fit:
        raise FormatError(f"{folder / FIT} is not the fit that the index names")
    shards: list[Mapping[str, NDArray[Any]]] = []
    for shard in index.shards:
        found, tensors = read_shard(folder / shard.file, index.fit)
        lengths = {tensor.shape[:1] for tensor in tensors.values()}
        if found.rows != shard.rows or lengths != {(shard.rows,)}:
            raise FormatError(f"the shard {folder / shard.file} has not {shard.rows} rows")
        shards.append(tensors)
    words = None
    if index.words is not None:
        opened = container.open(folder / index.words)
        words = Vocabulary.from_tensors({name: opened.tensor(name) for name in opened.names})
        if len(words) != index.shape[0]:
            raise FormatError(
                f"{folder / index.words} has {len(words)} words, not {index.shape[0]}"
            )
    shared = {name: fit.tensors[name] for name in fit.shared}
    try:
        index.codec.check((index.shape[0], index.input_dim))
        table = ShardedEmbedding(index.codec, index.shape, shared, shards, words, index.info)
    except (FormatError, InputError) as error:
        raise FormatError(f"{folder}: {error}") from error
    table.origin = origin
    return table
