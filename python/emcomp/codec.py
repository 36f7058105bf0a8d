"""What a codec is: a way to turn rows into codes and back, after transforms of the rows or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcomp.errors import InputError
from emcomp.grammar import Stage, parse_stages
from emcomp.sources import Block, Source

if TYPE_CHECKING:
    from emcomp import _core

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
TensorLayout: TypeAlias = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""Types and shapes of tensors by name."""
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the phase ("fit", "encode"), the rows done and the rows in all."""


class RowTensor(NamedTuple):
    """A tensor with a fixed number of entries for each row, as an encoder fills it."""

    dtype: DTypeLike
    row_shape: tuple[int, ...]


class FittedCodec(ABC):
    """A codec that has seen its table: it encodes blocks of rows, in any order."""

    row_tensors: Mapping[str, RowTensor]
    """What a row becomes; the packed codes are ``"codes"``."""
    shared_tensors: Tensors
    """What all rows share: levels, steps, codebooks, decoders."""
    info: Mapping[str, Any]
    """How it was fitted, as kept in the file."""

    @abstractmethod
    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block into its rows of the row tensors, given as views."""


class Codec(Stage, ABC):
    """A way to compress a table: a frozen dataclass whose fields are its settings.

    It has a string, the same in Python, on the command line and in a file: see `emcomp.grammar`.
    """

    def table_dim(self, dim: int) -> int:
        """Entries of a row of the compressed table, for rows of ``dim`` entries."""
        return dim

    @abstractmethod
    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError if a table of this shape cannot be compressed so."""

    @abstractmethod
    def fit(self, source: Source, threads: int, progress: Progress) -> FittedCodec:
        """Learn from all rows. Raises InputError for NaN and infinite entries."""

    @abstractmethod
    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """What a compressed table of this shape consists of, codes first."""

    @abstractmethod
    def nbytes(self, shape: tuple[int, int]) -> int:
        """Bytes of all tensors that a table of this shape becomes, without compressing it."""

    @abstractmethod
    def reader(self, shape: tuple[int, int], tensors: Tensors) -> _core.Reader:
        """A reader of the encoded rows. Raises FormatError if the tensors do not fit."""


class Transform(Stage, ABC):
    """A stage that turns rows into latents, which another codec encodes, and latents into rows."""

    @abstractmethod
    def then(self, codec: Codec | None) -> Codec:
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


def allocate(tensors: Mapping[str, RowTensor], rows: int) -> dict[str, NDArray[Any]]:
    """Uninitialised row tensors for a number of rows."""
    return {name: np.empty((rows, *t.row_shape), t.dtype) for name, t in tensors.items()}
