"""Linear transforms, and the codec that one of them and the codec of its latents make together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import (
    Codec,
    FittedCodec,
    Info,
    LatentFactor,
    RowTensor,
    TensorLayout,
    Tensors,
    Transform,
    allocate,
    parse_codec,
)
from emcomp.codecs.floats import Float
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source, block_rows
from emcomp.statistics.extremes import refuse_nonfinite, refuse_outside
from emcomp.transforms.maps import float_map

_LEAST_CONDITION = 1e-6
"""Of a decoder, for its latents to span what the rows span."""
Tensor = TypeVar("Tensor")
PREFIX = "transform."
"""Tensors of a transform have it before their names, and once more for each transform before."""
ENCODER = "encoder"
"""The tensor that maps rows to latents, float32 (dim, latents), where no seed gives it."""
_GRAMS = 12  # for the threads, the tree of a thousand parts, and eigenvectors
NO_TENSORS: Mapping[str, RowTensor] = {}


@dataclass(frozen=True)
class FittedTransform:
    """A transform that has seen its table: ``latents = (row - centre) @ encoder``, then scaled."""

    stage: LinearTransform
    encoder: _core.LinearMap
    decoder: _core.LinearMap | None = None
    """Needed for ``scaling="length"``."""
    centre: NDArray[np.float32] | None = None
    scaling: str = "none"
    """``"row"``: latents over their root mean square, stored; ``"length"``: latents such that the
    decoded row has the original's length."""
    gain: float = 1.0
    """What a row scale of 1 stands for."""
    importance: NDArray[np.float32] | None = None
    """What the square of each latent counts in the root mean square; None for all alike."""
    tensors: Tensors = field(default_factory=dict)
    """What all rows share."""
    encoder_tensors: Tensors = field(default_factory=dict)
    """What encoding needs besides."""
    info: Info = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        dim = self.encoder.inputs
        tensors = {**self.tensors, **self.encoder_tensors}
        return _restore, (self.stage, dim, tensors, dict(self.info))

    def latents(
        self, rows: NDArray[Any], threads: int, scales: NDArray[np.float16] | None = None
    ) -> NDArray[np.float32]:
        """Latents (count, latents) of a block of rows, and their scales (count,) if wanted."""
        if self.scaling == "row" and scales is None:
            scales = np.empty(len(rows), np.float16)
        latents = np.empty((len(rows), self.encoder.outputs), np.float32)
        _core.encode_latents(
            rows,
            self.encoder,
            self.decoder,
            self.centre,
            self.scaling,
            self.gain,
            self.importance,
            latents,
            scales,
            threads,
        )
        return latents


def _restore(stage: LinearTransform, dim: int, tensors: Tensors, info: Info) -> FittedTransform:
    return stage.restore(dim, tensors, info)


class LatentSource:
    """The latents of a source's rows, computed as they are read."""

    def __init__(self, source: Source, transform: FittedTransform, threads: int) -> None:
        self._source = source
        self._transform = transform
        self._threads = threads

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and latents."""
        return self._source.shape[0], self._transform.encoder.outputs

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """Latents of rows [first, first + count); rows are read no more than a block at a time."""
        out = np.empty((count, self.shape[1]), np.float32)
        step = block_rows(self._source.shape[1])
        for begin in range(0, count, step):
            rows = self._source.read(first + begin, min(step, count - begin))
            out[begin : begin + step] = self._transform.latents(rows, self._threads)
        return out


class LatentNarrowing:
    """Leaving the last latents out: how, and what is left when that is done."""

    def __init__(
        self,
        source: Source,
        transform: FittedTransform,
        column_bytes: int,
        first: Callable[[int], FittedTransform],
    ) -> None:
        self._source = source
        self._first = first
        self.transform = transform
        """As it is now."""
        self.column_bytes = column_bytes
        """What a latent adds to the size of the transform."""

    def narrow(self, latents: int, threads: int) -> LatentSource:
        """The first latents alone, fitted to the rows again."""
        self.transform = self._first(latents)
        return LatentSource(self._source, self.transform, threads)


class LinearTransform(Transform):
    """A transform that is a linear map, an offset and a scale for each row, the latter optional."""

    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError if rows of a table of this shape cannot be transformed so."""
        size = self.latent_dim(shape[1])
        if not 1 <= size <= shape[1]:
            raise InputError(
                f"{self}: {size} latents of rows with {shape[1]} entries; "
                f"it must be from 1 to {shape[1]}"
            )

    @property
    def elu(self) -> bool:
        """Whether ELU is taken of the entries of decoded rows."""
        return False

    @property
    def entries(self) -> tuple[float, float]:
        """Range in which the largest entry of a table must lie: latents are sums of entries."""
        return 0.0, 1e36

    def latent_dim(self, dim: int) -> int:
        """Latents of a row of ``dim`` entries."""
        return dim

    def table_dim(self, dim: int) -> int:
        """Entries of the row that latents become again."""
        return dim

    def narrowing(self, source: Source, fitted: FittedTransform) -> LatentNarrowing | None:  # noqa: ARG002
        """How to leave the last latents out, where that can be done; None elsewhere."""
        return None

    def shared_tensors(self, dim: int) -> Mapping[str, RowTensor]:  # noqa: ARG002
        """Tensors that all rows share, their types and shapes."""
        return NO_TENSORS

    def row_tensors(self) -> Mapping[str, RowTensor]:
        """Tensors with something for each row."""
        return NO_TENSORS

    @abstractmethod
    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Learn from all rows, which are finite."""

    @abstractmethod
    def fit_passes(self) -> tuple[int, int]:
        """Passes over the rows that fitting takes, at least and at most."""

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """Bytes of memory that fitting takes: sums of d x d entries, pending in a tree."""
        return _GRAMS * 8 * shape[1] ** 2

    @abstractmethod
    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:
        """The transform as it was fitted, from what all rows share and what encoding needs."""

    def drawn_decoder(self, dim: int) -> _core.LinearMap | None:  # noqa: ARG002
        """The map from latents to rows, where a seed draws it and nothing of it is stored."""
        return None

    def then(self, codec: str | Codec | None) -> Codec:
        """The codec that transforms rows and encodes the latents; None keeps them as float32."""
        return Transformed(self, Float() if codec is None else parse_codec(codec))


@dataclass(frozen=True)
class Transformed(Codec):
    """A transform, then a codec for the latents.

    Its string joins the two with ``+``; latents are float32 where it names no codec for them.
    """

    transform: LinearTransform
    latents: Codec

    def __str__(self) -> str:
        return str(self.transform) + ("" if self.latents == Float() else f"+{self.latents}")

    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError if either part refuses the table."""
        self.transform.check(shape)
        rows, dim = shape
        size = self.transform.latent_dim(dim)
        self.latents.check((rows, size))
        if self.latents.table_dim(size) != size:
            raise InputError(
                f"codec {self}: {self.transform} cannot follow what {self.latents} leaves out; "
                "put that first"
            )

    def table_dim(self, dim: int) -> int:
        """Entries of a row of the compressed table."""
        return self.transform.table_dim(dim)

    def nbytes(self, shape: tuple[int, int]) -> int:
        """The latents' codes, the decoder and the rows' scales."""
        rows, dim = shape
        shared = self.transform.shared_tensors(dim).values()
        return (
            self.latents.nbytes((rows, self.transform.latent_dim(dim)))
            + sum(tensor_bytes(tensor) for tensor in shared)
            + rows * sum(tensor_bytes(tensor) for tensor in self.transform.row_tensors().values())
        )

    @property
    def ragged_tensors(self) -> frozenset[str]:
        """Those of the latents' codec."""
        return frozenset(map(_outer, self.latents.ragged_tensors))

    def join_ragged(
        self, parts: Sequence[tuple[int, Tensors]], shared: Tensors
    ) -> dict[str, NDArray[Any]]:
        """Those of the latents' codec."""
        inner = [(rows, split_tensors(tensors)[1]) for rows, tensors in parts]
        joined = self.latents.join_ragged(inner, split_tensors(shared)[1])
        return {_outer(name): tensor for name, tensor in joined.items()}

    def resolved(self, shape: tuple[int, int]) -> Transformed:
        """With the latents' codec resolved."""
        size = self.transform.latent_dim(shape[1])
        return replace(self, latents=self.latents.resolved((shape[0], size)))

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:
        """One to check the rows, then those of both parts."""
        size = self.transform.latent_dim(shape[1])
        own, latents = self.transform.fit_passes(), self.latents.fit_passes((shape[0], size))
        return 1 + own[0] + latents[0], 1 + own[1] + latents[1]

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """What either part takes, one after the other."""
        rows, dim = shape
        latents = self.latents.fit_bytes((rows, self.transform.latent_dim(dim)))
        return max(self.transform.fit_bytes(shape), latents)

    def fit(self, source: Source, engine: Engine) -> FittedTransformed:
        """Fit the transform to the rows, then the other codec to their latents.

        Raises:
            InputError: for NaN and infinite entries.
        """
        refuse_outside(f"codec {self}", refuse_nonfinite(source, engine), *self.transform.entries)
        transform = self.transform.fit(source, engine)
        latent_source = LatentSource(source, transform, engine.threads)
        narrowing = self.transform.narrowing(source, transform)
        if narrowing is None:
            latents = self.latents.fit(latent_source, engine)
        else:
            latents = self.latents.fit_narrowed(latent_source, engine, narrowing)
            transform = narrowing.transform
        return FittedTransformed(self, transform, latents)

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransformed:
        """The codec from the tensors of both parts."""
        own, inner = split_tensors(tensors)
        transform = self.transform.restore(dim, own, info)
        latents = self.latents.restore(transform.encoder.outputs, inner, info)
        return FittedTransformed(self, transform, latents)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """The tensors of the latents' codec, then those of the transform."""
        rows, dim = shape
        latents = self.latents.tensor_layout((rows, self.transform.latent_dim(dim)))
        return {
            **{_outer(name): tensor for name, tensor in latents.items()},
            **{PREFIX + name: tensor for name, tensor in self._own_layout(shape).items()},
        }

    def _own_layout(self, shape: tuple[int, int]) -> TensorLayout:
        rows, dim = shape
        return {
            **self.transform.shared_tensors(dim),
            **{
                name: RowTensor(tensor.dtype, (rows, *tensor.row_shape))
                for name, tensor in self.transform.row_tensors().items()
            },
        }

    def latent_factor(self, shape: tuple[int, int], tensors: Tensors) -> LatentFactor | None:
        """The latents, where there are fewer of them than entries of a row and none is lost."""
        rows, dim = shape
        own, inner = split_tensors(tensors)
        if "map" not in own or self.transform.elu:
            return None
        if "steps" in own:
            own["map"] = float_map(own["map"], own["steps"])
        decoder = np.vstack([own[name] for name in ("map", "offset") if name in own])
        width = len(decoder)
        if width >= dim:
            return None
        strengths = np.linalg.svd(decoder.astype(np.float64), compute_uv=False)
        if not strengths[-1] > _LEAST_CONDITION * strengths[0]:
            return None
        latents = self.latents.reader((rows, len(own["map"])), inner)
        return LatentFactor(width, latents, own.get("scales"))


class FittedTransformed(FittedCodec):
    """A fitted transform and the codec fitted to its latents."""

    def __init__(
        self, codec: Transformed, transform: FittedTransform, latents: FittedCodec
    ) -> None:
        self.codec = codec
        self.dim = transform.encoder.inputs
        self.transform = transform
        self.latents = latents
        self.row_tensors: Mapping[str, RowTensor] = {
            **{PREFIX + name: tensor for name, tensor in codec.transform.row_tensors().items()},
            **{_outer(name): tensor for name, tensor in latents.row_tensors.items()},
        }
        self.shared_tensors: Tensors = {
            **{PREFIX + name: tensor for name, tensor in transform.tensors.items()},
            **{_outer(name): tensor for name, tensor in latents.shared_tensors.items()},
        }
        self.encoder_tensors: Tensors = {
            **{PREFIX + name: tensor for name, tensor in transform.encoder_tensors.items()},
            **{_outer(name): tensor for name, tensor in latents.encoder_tensors.items()},
        }
        self.info: Info = {**latents.info, **transform.info}

    def clipped(self, rows: NDArray[Any], threads: int) -> int:
        """Latents beyond the range of their codec."""
        return self.latents.clipped(self.transform.latents(rows, threads), threads)

    def encode_rows(self, block: Block, threads: int) -> dict[str, NDArray[Any]]:
        """Encode the latents of a block."""
        own = allocate(self.transform.stage.row_tensors(), len(block.rows))
        latents = self.transform.latents(block.rows, threads, own.get("scales"))
        inner = self.latents.encode_rows(Block(block.first, latents), threads)
        return {
            **{PREFIX + name: tensor for name, tensor in own.items()},
            **{_outer(name): tensor for name, tensor in inner.items()},
        }

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode the latents of a block."""
        latents = self.transform.latents(block.rows, threads, out.get(PREFIX + "scales"))
        inner = {name: out[_outer(name)] for name in self.latents.row_tensors}
        self.latents.encode(Block(block.first, latents), inner, threads)


def split_tensors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of the first transform, and those of the codec after it, by the names they give."""
    own: dict[str, Tensor] = {}
    inner: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        is_own = name.startswith(PREFIX) and not name.startswith(2 * PREFIX)
        (own if is_own else inner)[name.removeprefix(PREFIX)] = tensor
    return own, inner


def _outer(name: str) -> str:
    """The name, one transform further out, of a tensor of the latents' codec."""
    return PREFIX + name if name.startswith(PREFIX) else name


def tensor_bytes(tensor: RowTensor) -> int:
    """Bytes of a tensor, or of a row of it."""
    return int(np.prod(tensor.row_shape, dtype=np.int64)) * np.dtype(tensor.dtype).itemsize
