"""What a codec is: a way to turn rows into codes and back, after transforms of the rows or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcomp import _core
from emcomp.codecs.grammar import Stage, parse_stages
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
TensorLayout: TypeAlias = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""Types and shapes of tensors by name."""
Info: TypeAlias = Mapping[str, Any]
"""What JSON has."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class RowTensor(NamedTuple):
    """A tensor with a fixed number of entries for each row, as an encoder fills it."""

    dtype: DTypeLike
    row_shape: tuple[int, ...]


class LatentFactor(NamedTuple):
    """The left factor Y of rows ``Y @ [map; offset]``: scaled latents, and ones for the offset."""

    width: int
    """Columns of Y."""
    latents: _core.Reader
    scales: NDArray[np.float16] | None
    """Of the rows, array (rows,)."""


class Narrowing(Protocol):
    """How to leave the last columns of a source out, and what that saves."""

    @property
    def column_bytes(self) -> int:
        """What a column adds to the size of a table, beside what its codec keeps of it."""
        ...

    def narrow(self, columns: int, threads: int, /) -> Source:
        """The rows with the first columns alone."""
        ...


class FittedCodec(ABC):
    """A codec that has seen its table: it encodes blocks of rows, in any order.

    All that it knows is in its tensors, so that it can be kept, sent and restored.
    """

    codec: Codec
    dim: int
    """Entries of a row."""
    row_tensors: Mapping[str, RowTensor]
    """What a row becomes; the packed codes are ``"codes"``. Ragged tensors are not among them."""
    shared_tensors: Tensors
    """What all rows share: levels, steps, codebooks, decoders."""
    encoder_tensors: Tensors = NOTHING
    """What encoding needs besides and decoding does not."""
    info: Info = NOTHING
    """How it was fitted, as kept in the file."""

    @abstractmethod
    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block into its rows of the row tensors, given as views; none may be ragged."""

    def encode_rows(self, block: Block, threads: int) -> dict[str, NDArray[Any]]:
        """Encode a block into new row tensors."""
        out = allocate(self.row_tensors, len(block.rows))
        self.encode(block, out, threads)
        return out

    def for_other_rows(self) -> FittedCodec:
        """The codec for rows of any table, where it remembers something of those it has seen."""
        return self

    def clipped(self, rows: NDArray[Any], threads: int) -> int:  # noqa: ARG002
        """Entries of some rows that lie beyond the codec's range; 0 where it has none."""
        return 0

    @property
    def tensors(self) -> Tensors:
        """All that `Codec.restore` needs."""
        return {**self.shared_tensors, **self.encoder_tensors}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.codec, self.dim, dict(self.tensors), dict(self.info))


def _restore(codec: Codec, dim: int, tensors: Tensors, info: Info) -> FittedCodec:
    return codec.restore(dim, tensors, info)


class Codec(Stage, ABC):
    """A way to compress a table: a frozen dataclass whose fields are its settings.

    It has a string, the same in Python, on the command line and in a file: see `emcomp.codecs.grammar`.
    """

    def table_dim(self, dim: int) -> int:
        """Entries of a row of the compressed table, for rows of ``dim`` entries."""
        return dim

    @abstractmethod
    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError if a table of this shape cannot be compressed so."""

    def resolved(self, shape: tuple[int, int]) -> Codec:  # noqa: ARG002
        """The codec with nothing left that depends on the number of rows."""
        return self

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """Passes over the rows that fitting takes, at least and at most."""
        return 1, 1

    def fit_bytes(self, shape: tuple[int, int]) -> int:  # noqa: ARG002
        """Bytes of memory that fitting takes, about, beside a block of rows."""
        return 0

    @abstractmethod
    def fit(self, source: Source, engine: Engine) -> FittedCodec:
        """Learn from all rows. Raises InputError for NaN and infinite entries."""

    def fit_narrowed(
        self,
        source: Source,
        engine: Engine,
        narrowing: Narrowing,  # noqa: ARG002
    ) -> FittedCodec:
        """Learn from the first columns of all rows, which get bits; here from all columns."""
        return self.fit(source, engine)

    @abstractmethod
    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedCodec:
        """The codec as it was fitted to rows of ``dim`` entries, from `FittedCodec.tensors`."""

    @abstractmethod
    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """What a compressed table of this shape consists of, codes first."""

    @abstractmethod
    def nbytes(self, shape: tuple[int, int]) -> int:
        """Bytes of all tensors that a table of this shape becomes, without compressing it."""

    @property
    def ragged_tensors(self) -> frozenset[str]:
        """Row tensors that have something of all rows together instead of entries for each row."""
        return frozenset()

    def join_ragged(
        self,
        parts: Sequence[tuple[int, Tensors]],  # noqa: ARG002
        shared: Tensors,  # noqa: ARG002
    ) -> dict[str, NDArray[Any]]:
        """Ragged tensors of consecutive rows, given those of parts and the numbers of their rows.

        Those that are simply all parts, one after another, are left out.
        """
        return {}

    def reader(self, shape: tuple[int, int], tensors: Tensors) -> _core.Reader:
        """A reader of the encoded rows. Raises FormatError if the tensors do not fit."""
        return _core.codec_reader(str(self), *shape, dict(tensors))

    def latent_factor(self, shape: tuple[int, int], tensors: Tensors) -> LatentFactor | None:  # noqa: ARG002
        """The left factor of the rows, where it is narrower than they are; None elsewhere."""
        return None


class Transform(Stage, ABC):
    """A stage that turns rows into latents, which another codec encodes, and latents into rows."""

    @abstractmethod
    def then(self, codec: str | Codec | None) -> Codec:
        """The codec that transforms rows and encodes the latents; None keeps them as they are."""


def parse_codec(codec: str | Codec) -> Codec:
    """The codec a string names; a codec object is returned as it is.

    Raises:
        InputError: if the string names no codec, with what was expected.
    """
    if isinstance(codec, Codec):
        return codec
    if not isinstance(codec, str):
        raise InputError(f"a codec is a string like 'uniform:4' or a codec object, not {codec!r}")
    *transforms, last = parse_stages(codec)
    found: Codec | None = None
    if isinstance(last, Codec):
        found = last
    else:
        transforms.append(last)
    for transform in reversed(transforms):
        if not isinstance(transform, Transform):
            raise InputError(
                f"codec {codec!r}: {transform} encodes rows and must come last, after transforms"
            )
        found = transform.then(found)
    assert found is not None
    return found


@dataclass(frozen=True)
class UnknownCodec(Codec):
    """A codec of a file that can be read and not fitted, as it has settings that are not known."""

    text: str
    problem: str

    def __str__(self) -> str:
        return self.text

    def check(self, shape: tuple[int, int]) -> None:  # noqa: ARG002
        """Raise InputError: no table can be compressed so."""
        raise self._refused()

    def fit(self, source: Source, engine: Engine) -> FittedCodec:  # noqa: ARG002
        """Raise InputError, as `check`."""
        raise self._refused()

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedCodec:  # noqa: ARG002
        """Raise InputError, as `check`."""
        raise self._refused()

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:  # noqa: ARG002
        """Raise InputError, as `check`."""
        raise self._refused()

    def nbytes(self, shape: tuple[int, int]) -> int:  # noqa: ARG002
        """Raise InputError, as `check`."""
        raise self._refused()

    def _refused(self) -> InputError:
        return InputError(f"{self.problem}. Tables of this codec can be read and not made")


def stored_codec(text: str) -> Codec:
    """The codec of a file that the core reads, whatever settings of fitting its string has."""
    try:
        return parse_codec(text)
    except InputError as error:
        return UnknownCodec(text, str(error))


def join_rows(
    codec: Codec, parts: Sequence[tuple[int, Tensors]], shared: Tensors
) -> dict[str, NDArray[Any]]:
    """Row tensors of consecutive rows, given those of parts and the numbers of their rows."""
    joined = codec.join_ragged(parts, shared)
    for name in parts[0][1]:
        if name not in joined:
            joined[name] = np.concatenate([tensors[name] for _, tensors in parts])
    return {name: joined[name] for name in parts[0][1]}


def allocate(tensors: Mapping[str, RowTensor], rows: int) -> dict[str, NDArray[Any]]:
    """Uninitialised row tensors for a number of rows."""
    return {name: np.empty((rows, *t.row_shape), t.dtype) for name, t in tensors.items()}
