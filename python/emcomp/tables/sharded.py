"""Tables in shards: a folder of emcomp files, opened as one table.

`index.json` names the codec, the shape and the shards in the order of their rows; `fit.emcomp` has
what all rows share and what encoding more rows needs; a shard has what its own rows became; where
the table has words, a file has the vocabulary. docs/format.md specifies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import Codec, Info, LatentFactor, Tensors, join_rows
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.sources.memory_mapped import release
from emcomp.tables import container
from emcomp.tables.container import TensorStream
from emcomp.tables.origin import Origin
from emcomp.tables.shard_files import read_fit, read_shard, read_words
from emcomp.tables.shard_index import FIT, INDEX, Index, read_index
from emcomp.tables.table import CompressedEmbedding, release_rows
from emcomp.vocabulary.index import Vocabulary

_ATTEMPTS = 20
"""Times that opening looks at the index again when a writer replaces files meanwhile."""


class ShardedEmbedding(CompressedEmbedding):
    """A compressed table whose rows are in several files; it does all that a table does.

    ``save`` joins the shards into one file.
    """

    def __init__(
        self,
        codec: Codec,
        shape: tuple[int, int],
        shared: Tensors,
        shards: Sequence[tuple[int, Tensors]],
        words: Vocabulary | None,
        info: Info,
    ) -> None:
        self._parts = shards
        self._shards = [tensors for _, tensors in shards]
        readers = [
            codec.reader((rows, shape[1]), {**tensors, **shared}) for rows, tensors in shards
        ]
        reader = readers[0] if len(readers) == 1 else _core.concatenated_reader(readers)
        super().__init__(codec, shape, shared, words, info, reader)

    @cached_property
    def _joined(self) -> Tensors:
        return {**join_rows(self.codec, self._parts, self._tensors), **self._tensors}

    @property
    def tensors(self) -> Tensors:
        """All tensors; those of the rows are joined in memory when first asked for."""
        return self._joined

    def _latent_factor(self) -> LatentFactor | None:
        factors = []
        for rows, shard in self._parts:
            factor = self.codec.latent_factor((rows, self.dim), {**shard, **self._tensors})
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
        ragged = self.codec.join_ragged(self._parts, self._tensors)
        streams: dict[str, NDArray[Any] | TensorStream] = {
            name: ragged[name] if name in ragged else self._stream(name) for name in self._shards[0]
        }
        words = {} if self.words is None else self.words.tensors()
        container.write(path, {**streams, **self._tensors, **words}, self._description)

    def _stream(self, name: str) -> TensorStream:
        """A tensor of all shards, one after another."""
        tensor = self._shards[0][name]
        length = sum(len(shard[name]) for shard in self._shards)
        kind = container.type_name(tensor.dtype)
        return TensorStream(kind, (length, *tensor.shape[1:]), self._blocks(name))

    def _blocks(self, name: str) -> Iterator[NDArray[Any]]:
        for shard in self._shards:
            yield shard[name]
            release(shard[name])

    def _release(self, first: int, count: int) -> None:
        begin = 0
        for rows, shard in self._parts:
            low, high = max(first - begin, 0), min(first + count - begin, rows)
            if low < high:
                for tensor in shard.values():
                    release_rows(tensor, rows, low, high)
            begin += rows


def open_sharded(folder: Path, *, mapped: bool = True) -> ShardedEmbedding:
    """Open a table in shards, as it is at some moment while rows are added.

    Args:
        folder: the folder.
        mapped: False to read all files into memory.

    Raises:
        FormatError: if the index, the fit or a shard is missing or does not fit the others.
        CorruptFileError: if a file is damaged.
    """
    for _ in range(_ATTEMPTS):
        index = read_index(folder)
        try:
            return _open_shards(folder, index, mapped)
        except FormatError:
            if read_index(folder) == index:
                raise
    raise FormatError(f"{folder}: the index changes faster than its files can be opened")


def _open_shards(folder: Path, index: Index, mapped: bool) -> ShardedEmbedding:
    origin = Origin.of(folder, folder / INDEX, open_sharded)
    fit = read_fit(folder, mapped=mapped)
    if fit.checksum != index.fit:
        raise FormatError(f"{folder / FIT} is not the fit that the index names")
    shards: list[tuple[int, Tensors]] = []
    files = []
    for shard in index.shards:
        found, tensors, file = read_shard(
            folder / shard.file, index.fit, index.codec, mapped=mapped
        )
        if found != shard:
            raise CorruptFileError(
                f"{folder / shard.file} is not the shard of rows {shard.first} to "
                f"{shard.first + shard.rows} that the index names"
            )
        shards.append((shard.rows, tensors))
        files.append(file)
    words = (
        None
        if index.words is None
        else read_words(folder, index.words, index.shape[0], mapped=mapped)
    )
    shared = {name: fit.tensors[name] for name in fit.shared}
    try:
        index.codec.check((index.shape[0], index.input_dim))
        table = ShardedEmbedding(index.codec, index.shape, shared, shards, words, index.info)
    except (FormatError, InputError) as error:
        raise FormatError(f"{folder}: {error}") from error
    table.origin, table.files = origin, tuple(files)
    return table
