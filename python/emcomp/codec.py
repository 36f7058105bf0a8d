"""What a codec is, and the short strings that name one.

A codec turns rows into codes and back. Every codec has a string, the same in Python, on the command
line and in a file: stages joined by ``+``, each ``name:size(option=value,...)``, where options at
their defaults are left out: ``uniform:4``, ``uniform:2(granularity=row,step_dtype=float16)``.
"""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcomp.errors import InputError
from emcomp.sources import Block, Source

if TYPE_CHECKING:
    from emcomp import _core

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
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


class Codec(ABC):
    """A way to compress a table: a frozen dataclass whose fields are its settings."""

    name: ClassVar[str]
    size_fields: ClassVar[tuple[str, ...]]
    """Fields written after the colon, joined by ``x``; the others are options."""

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[Codec]:  # noqa: ARG003
        """The settings worth trying on a table of this shape where nobody has named any."""
        return []

    @abstractmethod
    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError if a table of this shape cannot be compressed so."""

    @abstractmethod
    def fit(self, source: Source, threads: int, progress: Progress) -> FittedCodec:
        """Learn from all rows. Raises InputError for NaN and infinite entries."""

    @abstractmethod
    def nbytes(self, shape: tuple[int, int]) -> int:
        """Bytes of all tensors that a table of this shape becomes, without compressing it."""

    @abstractmethod
    def reader(self, shape: tuple[int, int], tensors: Tensors) -> _core.Reader:
        """A reader of the encoded rows. Raises FormatError if the tensors do not fit."""

    def __str__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        size = "x".join(str(getattr(self, name)) for name in self.size_fields)
        options = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields
            if field.name not in self.size_fields and getattr(self, field.name) != field.default
        ]
        return (
            self.name + (f":{size}" if size else "") + (f"({','.join(options)})" if options else "")
        )


CodecClass = TypeVar("CodecClass", bound=type[Codec])
_codecs: dict[str, type[Codec]] = {}


def register(codec: CodecClass) -> CodecClass:
    """Class decorator: make a codec known by its name."""
    _codecs[codec.name] = codec
    return codec


def default_candidates(shape: tuple[int, int]) -> list[Codec]:
    """What every codec there is offers for a table of this shape."""
    return [candidate for kind in _codecs.values() for candidate in kind.candidates(shape)]


def _number_or_text(text: str) -> int | float | str:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


_STAGE = re.compile(
    r"(?P<name>[a-z_]+)(:(?P<size>[^()]*))?(\((?P<options>[^()]*)\))?", re.ASCII | re.DOTALL
)


def _parse_stage(text: str) -> Codec:
    match = _STAGE.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is not a codec; write it like 'uniform:4'")
    kind = _codecs.get(match["name"])
    if kind is None:
        raise InputError(f"unknown codec {match['name']!r}; known: {', '.join(sorted(_codecs))}")
    settings: dict[str, Any] = {}
    sizes = match["size"].split("x") if match["size"] else []
    if len(sizes) != len(kind.size_fields) or not all(s.isdecimal() for s in sizes):
        wanted = "x".join(kind.size_fields)
        raise InputError(f"codec {text!r}: expected {kind.name}:{wanted} with whole numbers")
    settings.update(zip(kind.size_fields, map(int, sizes), strict=True))
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for option in filter(None, (match["options"] or "").split(",")):
        key, equals, value = option.partition("=")
        if not equals or key not in known or key in settings:
            choices = ", ".join(sorted(known - set(kind.size_fields)))
            raise InputError(f"codec {text!r}: bad option {option!r}; options are: {choices}")
        settings[key] = _number_or_text(value)
    return kind(**settings)


def parse_codec(codec: str | Codec) -> Codec:
    """The codec a string names; a codec object is returned as it is.

    Raises:
        InputError: if the string names no codec, with what was expected.
    """
    if isinstance(codec, Codec):
        return codec
    if not isinstance(codec, str):
        raise InputError(f"a codec is a string like 'uniform:4' or a codec object, not {codec!r}")
    return _parse_stage(codec.strip())


def allocate(tensors: Mapping[str, RowTensor], rows: int) -> dict[str, NDArray[Any]]:
    """Uninitialised row tensors for a number of rows."""
    return {name: np.empty((rows, *t.row_shape), t.dtype) for name, t in tensors.items()}
