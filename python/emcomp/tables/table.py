"""The compressed table: rows, bags, words and neighbours straight from the packed bits."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from emcomp import _core
from emcomp._support.arrays import as_ids, core_view, output_array
from emcomp._support.sizes import format_bytes
from emcomp._support.threads import resolve_threads
from emcomp.codecs.base import Codec, LatentFactor, Tensors, stored_codec
from emcomp.errors import InputError
from emcomp.io.reading import WordVectors
from emcomp.io.sources.base import Block, blocks
from emcomp.io.sources.memory_mapped import release
from emcomp.tables import container
from emcomp.tables.latents import LatentRows
from emcomp.tables.origin import Origin
from emcomp.vocabulary.index import Vocabulary
from emcomp.vocabulary.word_list import WordList

Default = TypeVar("Default")
Query = str | int | NDArray[Any]
_ROWS_FOR_A_CHECK = 64
"""Rows of a call, for each file, from which it is worth a microsecond to see if a file was changed."""


class CompressedEmbedding:
    """An embedding table kept as packed codes.

    Rows are decoded as they are asked for; nothing else is. All reading calls release the GIL and
    may run from any number of threads and in forked children at once.

    Made by `emcomp.compress` and `emcomp.open`.
    """

    def __init__(
        self,
        codec: Codec,
        shape: tuple[int, int],
        tensors: Tensors,
        words: Vocabulary | None = None,
        info: Mapping[str, Any] | None = None,
        reader: _core.Reader | None = None,
    ) -> None:
        self.codec = codec
        self.shape = shape
        self._tensors = tensors
        self.words = words
        self.info: Mapping[str, Any] = info or {}
        self.origin: Origin | None = None
        """What it was opened from."""
        self.files: tuple[_core.MappedFile, ...] = ()
        """The files that its tensors are views of."""
        self._reader = codec.reader(shape, tensors) if reader is None else reader
        self._row = self._reader.row

    # What it is

    @property
    def tensors(self) -> Tensors:
        """Codes, and all that they are decoded with, by name."""
        return self._tensors

    @property
    def dim(self) -> int:
        """Entries of a row."""
        return self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of everything that rows are made from; the vocabulary is not part of it."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def bits_per_entry(self) -> float:
        """``8 * nbytes`` over the number of entries: scales, levels and padding are counted."""
        return 8 * self.nbytes / (self.shape[0] * self.shape[1])

    @property
    def ratio(self) -> float:
        """How many times smaller than float32."""
        return 32 / self.bits_per_entry

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        rows, dim = self.shape
        words = f", {len(self.words):,} words" if self.words is not None else ""
        return (
            f"CompressedEmbedding({rows:,} x {dim}, {self.codec}, {format_bytes(self.nbytes)}, "
            f"{self.bits_per_entry:.3g} bits per entry, {self.ratio:.3g}x smaller than float32"
            f"{words})"
        )

    # Rows

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """``table[i]``, ``table[ids]``, ``table[a:b]``, ``table["cat"]``, ``table[["cat", "dog"]]``.

        Raises:
            IndexError: for an id out of range, naming it.
            UnknownWordError: (a KeyError) for a word that is not in the vocabulary.
        """
        if type(key) is int:
            return self._row(key)
        if isinstance(key, (str, bytes)):
            return self._row(self._find(key))
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self.decode(start, max(stop - start, 0))
            return self.lookup(np.arange(start, stop, step))
        if isinstance(key, Sequence) and key and all(isinstance(k, (str, bytes)) for k in key):
            return self.lookup(self._find_all(key))
        try:
            return self._row(operator.index(key))
        except TypeError:
            return self.lookup(key)

    def lookup(
        self,
        ids: ArrayLike,
        *,
        out: NDArray[Any] | None = None,
        dtype: DTypeLike | None = None,
        threads: int | None = None,
    ) -> NDArray[Any]:
        """Rows of many ids.

        Args:
            ids: integers of any type and shape, in [-rows, rows); negative ones count from the
                end.
            out: C-contiguous array of shape (*ids.shape, dim) to write to.
            dtype: float16, float32 (the default), float64, or bfloat16 from ml_dtypes.
            threads: threads to use; None for the default.

        Returns:
            Array of shape (*ids.shape, dim), ``out`` where given.

        Raises:
            IndexError: for an id out of range, naming it.
            InputError: for ids that are not integers, or an ``out`` that does not fit.
        """
        wanted = as_ids(ids)
        result = output_array(out, (*wanted.shape, self.dim), dtype)
        self._check_files(wanted.size)
        self._reader.gather(wanted, core_view(result), resolve_threads(threads))
        return result

    def decode(
        self,
        first: int = 0,
        count: int | None = None,
        *,
        out: NDArray[Any] | None = None,
        dtype: DTypeLike | None = None,
        threads: int | None = None,
    ) -> NDArray[Any]:
        """Rows [first, first + count) (all of them by default) as an array (count, dim).

        ``out``, ``dtype`` and ``threads`` are as for `lookup`. For a table larger than memory use
        `blocks`.

        Raises:
            IndexError: if the table has no such rows.
            InputError: for an ``out`` that does not fit.
        """
        number = len(self) - first if count is None else count
        if first < 0 or number < 0 or first + number > len(self):
            raise IndexError(
                f"rows {first} to {first + number} are out of range for a table of {len(self)} rows"
            )
        result = output_array(out, (number, self.dim), dtype)
        self._check_files(number)
        self._reader.read(first, core_view(result), resolve_threads(threads))
        return result

    def _check_files(self, rows: int) -> None:
        """Raise CorruptFileError if a file was changed, before a call that reads many rows of it."""
        if rows >= _ROWS_FOR_A_CHECK * len(self.files):
            for file in self.files:
                file.check_unchanged()

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count) decoded: a compressed table is a source of rows.

        Unlike `decode` it lets go of the pages of a mapped file, which may be larger than memory.
        """
        rows = self.decode(first, count)
        self._release(first, count)
        return rows

    def _release(self, first: int, count: int) -> None:
        ragged = self.codec.ragged_tensors
        for name, tensor in self._tensors.items():
            if name in ragged or (len(tensor.shape) and len(tensor) == len(self)):
                release_rows(tensor, len(self), first, first + count)

    def latents(self) -> LatentRows | None:
        """The latents, where they are fewer than the entries of a row: they span the same columns."""
        factor = self._latent_factor()
        return None if factor is None else LatentRows(self, factor)

    def _latent_factor(self) -> LatentFactor | None:
        return self.codec.latent_factor(self.shape, self._tensors)

    def blocks(self) -> Iterator[Block]:
        """All rows, decoded block by block."""
        return blocks(self)

    def bag(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        *,
        mode: Literal["sum", "mean", "max"] = "sum",
        weights: ArrayLike | None = None,
        out: NDArray[np.float32] | None = None,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Sum, mean or maximum of bags of rows, without unpacking the table.

        The semantics are those of ``torch.nn.EmbeddingBag``: an empty bag is a row of zeros.
        Within a bag rows are added in order, in float32.

        Args:
            ids: integers, one-dimensional with ``offsets``, or (bags, ids per bag) without.
            offsets: for each bag, where it starts in ``ids``; ascending, the first one 0.
            mode: what to make of a bag's rows.
            weights: one for each id, for ``mode="sum"`` only; same shape as ``ids``.
            out: float32 array of shape (bags, dim) to write to.
            threads: threads to use; None for the default.

        Raises:
            IndexError: for an id out of range, naming it, and for offsets that do not ascend.
            InputError: for arguments that do not fit together.
        """
        wanted = as_ids(ids)
        if offsets is None:
            if wanted.ndim != 2:
                raise InputError(f"ids without offsets must have 2 dimensions, not {wanted.ndim}")
            starts = np.arange(wanted.shape[0], dtype=np.int64) * wanted.shape[1]
        else:
            starts = as_ids(offsets)
            if wanted.ndim != 1 or starts.ndim != 1:
                raise InputError("ids and offsets must have one dimension")
            if starts.size and starts[0] != 0:
                raise InputError(f"the first offset must be 0, not {starts[0]}")
            if not starts.size and wanted.size:
                raise InputError("there are ids but no offsets")
        if mode not in ("sum", "mean", "max"):
            raise InputError(f"mode must be 'sum', 'mean' or 'max', not {mode!r}")
        scale = None
        if weights is not None:
            if mode != "sum":
                raise InputError(f"weights need mode='sum', not {mode!r}")
            scale = np.ascontiguousarray(weights, np.float32)
            if scale.shape != wanted.shape:
                raise InputError(
                    f"weights of shape {scale.shape} do not fit ids of shape {wanted.shape}"
                )
        result = output_array(out, (starts.size, self.dim), np.float32)
        self._check_files(wanted.size)
        self._reader.bag(wanted, starts, scale, mode, result, resolve_threads(threads))
        return result

    # Words

    def __contains__(self, word: object) -> bool:
        return (
            self.words is not None
            and isinstance(word, (str, bytes))
            and self.words.find(word) is not None
        )

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self._row(i) for i in range(len(self)))

    @overload
    def get(self, word: str | bytes) -> NDArray[np.float32] | None: ...
    @overload
    def get(self, word: str | bytes, default: Default) -> NDArray[np.float32] | Default: ...
    def get(self, word: str | bytes, default: Any = None) -> Any:
        """The row of a word, or ``default``."""
        row = None if self.words is None else self.words.find(word)
        return default if row is None else self._row(row)

    def similar(
        self, query: Query, k: int = 10, *, threads: int | None = None
    ) -> list[tuple[str | int, float]]:
        """The k rows of largest cosine with a word, a row or a vector, best first.

        Cosines are computed from the packed rows; no float copy of the table is made. A word or
        row asked for is left out of its own neighbours; ties go to the smaller row.

        Returns:
            Pairs of word (row number where the table has no words) and cosine.

        Raises:
            UnknownWordError: (a KeyError) for a word that is not in the vocabulary.
            InputError: for a vector that is not finite or of another dimension, or k < 1.
        """
        if k < 1:
            raise InputError(f"k must be at least 1, not {k}")
        own = None
        if isinstance(query, (str, bytes)):
            own = self._find(query)
        elif not isinstance(query, np.ndarray) or query.ndim == 0:
            own = operator.index(query)
            own += len(self) if own < 0 else 0
        vector = np.ascontiguousarray(query if own is None else self._row(own), np.float32)
        if vector.shape != (self.dim,) or not np.isfinite(vector).all():
            raise InputError(
                f"a query vector must be {self.dim} finite numbers, not shape {vector.shape}"
            )
        wanted = min(k + (own is not None), len(self))
        self._check_files(len(self))
        rows, cosines = self._reader.similar(vector[None, :], wanted, resolve_threads(threads))
        pairs = zip(rows[0].tolist(), cosines[0].tolist(), strict=True)
        found = [(row, cosine) for row, cosine in pairs if row != own][:k]
        words = self.words
        return found if words is None else [(words.word(row), cosine) for row, cosine in found]

    def to_vectors(self) -> WordVectors:
        """Words and decoded rows, as `emcomp.write_vectors` takes them."""
        if self.words is None:
            return WordVectors(self.decode())
        packed = self.words.tensors()
        words = WordList(packed["vocabulary.bytes"], packed["vocabulary.offsets"])
        return WordVectors(self.decode(), words)

    def _vocabulary(self, asked: str | bytes) -> Vocabulary:
        if self.words is None:
            raise InputError(
                f"the table has no words to find {asked!r} in; compress it with words=..."
            )
        return self.words

    def _find(self, word: str | bytes) -> int:
        return self._vocabulary(word).row(word)

    def _find_all(self, words: Sequence[str | bytes]) -> NDArray[np.int64]:
        vocabulary = self._vocabulary(words[0])
        rows = vocabulary.find_many(words)
        missing = np.flatnonzero(rows < 0)
        if missing.size:
            vocabulary.row(words[int(missing[0])])  # raises, naming the closest words
        return rows

    # Files

    def save(self, path: str | Path) -> None:
        """Write the table to a file, whole or not at all.

        The same table gives the same bytes. An existing file is replaced in one step.

        Raises:
            OSError: if the file cannot be written; whatever was there before is still there.
        """
        words = {} if self.words is None else self.words.tensors()
        container.write(path, {**self.tensors, **words}, self._description)

    @property
    def _description(self) -> dict[str, Any]:
        """What a file says of its table."""
        return {"codec": str(self.codec), "shape": list(self.shape), "info": dict(self.info)}

    def reduce_for_workers(self) -> tuple[Any, ...] | None:
        """How to send the table to another process: as the place of its file, where it has one."""
        return None if self.origin is None else (self.origin.reopen, ())

    def __reduce__(self) -> tuple[Any, ...]:
        tensors = {name: np.array(tensor) for name, tensor in self.tensors.items()}
        words = None if self.words is None else self.words.tensors()
        return _unpickle, (str(self.codec), self.shape, tensors, words, dict(self.info))


def release_rows(tensor: NDArray[Any], rows: int, first: int, last: int) -> None:
    """Let go of what a tensor has of some rows, or about that where rows differ in length."""
    release(tensor[len(tensor) * first // rows : len(tensor) * last // rows])


def _unpickle(
    codec: str,
    shape: tuple[int, int],
    tensors: Tensors,
    words: Tensors | None,
    info: Mapping[str, Any],
) -> CompressedEmbedding:
    vocabulary = None if words is None else Vocabulary.from_tensors(words)
    return CompressedEmbedding(stored_codec(codec), shape, tensors, vocabulary, info)
