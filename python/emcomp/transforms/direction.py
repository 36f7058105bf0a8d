"""Projections that keep the directions of rows, and decoded rows of the original lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import Info, Tensors
from emcomp.codecs.grammar import register
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.statistics.row_sums import Matrix, block_bounds, checked_gram
from emcomp.transforms.axes import NAME, top_eigenvectors
from emcomp.transforms.factorization import InvertedProjection, most_latents
from emcomp.transforms.linear import ENCODER, FittedTransform
from emcomp.transforms.maps import map_of

_MOST_PASSES = 30
_LEAST_GAIN = 1e-6
"""Of the mean cosine, for which another pass is worth its time."""


@dataclass
class Reweighted:
    """Sums over rows, each weighed by one over the length of its projection."""

    gram: Matrix
    """Array (dim, dim), the upper triangle."""
    cosines: float
    """Weighted sum of the cosines between rows and their projections."""

    def merge(self, following: Reweighted) -> None:
        """Add the sums over the rows that follow."""
        self.gram += following.gram
        self.cosines += following.cosines


@dataclass(frozen=True)
class ReweightedSums:
    """Sums over a source's rows for the next projection."""

    source: Source
    projection: Matrix | None
    """The present one, orthonormal columns (dim, k); None for all of the space."""
    weights: NDArray[np.float32] | None
    """Of the rows, array (rows,)."""

    def __call__(self, first: int, count: int, threads: int) -> Reweighted:
        """Over rows [first, first + count)."""
        dim = self.source.shape[1]
        sums = Reweighted(np.zeros((dim, dim)), 0.0)
        native = None if self.projection is None else map_of(self.projection)
        for begin, number in block_bounds(dim, first, count, threads):
            rows = self.source.read(begin, number)
            weights = None if self.weights is None else self.weights[begin : begin + number]
            scaled = np.empty((number, dim), np.float32)
            sums.cosines += _core.reweight_rows(rows, native, weights, scaled, threads)
            _core.add_gram(scaled, None, None, NAME, begin, threads, sums.gram)
        return sums


def best_projection(
    source: Source,
    k: int,
    engine: Engine,
    *,
    weights: NDArray[np.float32] | None = None,
) -> tuple[Matrix, float]:
    """Orthonormal columns whose span keeps the most mean cosine between rows and projections.

    The cosine of a unit row u with its projection Pu is |Pu|. Where the sum of |Pu| is stationary,
    the span is invariant under the sum of u u' / |Pu|: each pass takes the leading eigenvectors of
    that sum for the current projection, starting from the singular vectors of the unit rows, until
    the mean cosine stops growing. The best projection met is returned.

    Args:
        source: the table, finite.
        k: columns.
        engine: what goes over the rows.
        weights: of the rows, float32 (rows,), such as word frequencies.

    Returns:
        Array (dim, k), and the weighted mean cosine (rows of zeros count as 0).
    """
    rows = source.shape[0]
    total = rows if weights is None else float(weights.sum(dtype=np.float64)) or 1.0
    projection: Matrix | None = None
    best: tuple[Matrix, float] | None = None
    for _ in range(_MOST_PASSES):
        sums = engine.fold("fit", source.shape, ReweightedSums(source, projection, weights))
        if projection is not None:
            cosine = sums.cosines / total
            gained = np.inf if best is None else cosine - best[1]
            if gained > 0:
                best = projection, cosine
            if gained < _LEAST_GAIN:
                break
        projection = top_eigenvectors(checked_gram(sums.gram, NAME), k)
    assert best is not None
    return best


def checked_weights(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Weights over the largest of them. Raises InputError for any that is no weight."""
    found = np.asarray(weights, np.float64)
    if found.ndim != 1 or found.size == 0 or not np.isfinite(found).all() or found.min() < 0:
        raise InputError("weights must be a list of finite numbers, none of them negative")
    if found.max() == 0:
        raise InputError("weights must not all be zero")
    return np.asarray(found / found.max(), np.float32)


@register
@dataclass(frozen=True)
class Direction(InvertedProjection):
    """The projection to k dimensions that keeps the directions of rows best, and their lengths.

    What the direction-aware autoencoder of Bałazy et al. 2021 is trained for, by re-weighted
    eigendecompositions (see `best_projection`). Each row's latents are rescaled so that the decoded
    row is as long as the original, which costs no memory. Only a row at right angles to the whole
    projection loses its length: it comes back as zeros.

    Attributes:
        k: latents of a row.
        map_dtype: ``"float32"`` or ``"float16"``, how the decoder is stored.
        weights: how much each row's direction counts: ``"none"`` for all alike, ``"zipf"`` for
            1/1, 1/2, 1/3, ... of words in the order of falling frequency, or an array (rows,) such
            as word counts. Of an array the codec's string, and so the file, says ``"given"`` and no
            more, as only fitting needs it.
    """

    name: ClassVar[str] = "direction"

    weights: Literal["none", "zipf", "given"] | NDArray[Any] = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.weights, str):
            object.__setattr__(self, "_given", checked_weights(self.weights))
            object.__setattr__(self, "weights", "given")
        elif self.weights not in ("none", "zipf", "given"):
            raise InputError(f"weights must be 'none', 'zipf' or an array, not {self.weights!r}")

    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError if there are too many latents, or not as many weights as rows."""
        super().check(shape)
        given = self.given_weights
        if given is not None and given.shape != (shape[0],):
            raise InputError(f"{given.size} weights for a table of {shape[0]} rows")

    @property
    def given_weights(self) -> NDArray[np.float32] | None:
        """The array of weights, if there was one; a codec read from a file has none."""
        return getattr(self, "_given", None)

    def row_weights(self, rows: int) -> NDArray[np.float32] | None:
        """Weights of a table's rows, array (rows,), the largest 1; None where all are alike.

        Raises:
            InputError: if the array of weights is not there.
        """
        if self.weights == "none":
            return None
        if self.weights == "zipf":
            return np.asarray(1.0 / np.arange(1.0, rows + 1.0), np.float32)
        if self.given_weights is None:
            raise InputError(
                f"{self}: pass the rows' weights as an array, Direction({self.k}, weights=...)"
            )
        return self.given_weights

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """Latents of 4 bits, at one and two bits per entry."""
        template = f"{cls.name}:{{}}+rotate(scales=row)+uniform:4"
        return [codec for bits in (1, 2) for codec in most_latents(template, shape, bits)]

    def fit(self, source: Source, engine: Engine) -> FittedTransform:
        """Find the projection."""
        vectors, cosine = best_projection(
            source, self.k, engine, weights=self.row_weights(source.shape[0])
        )
        tensors = {
            "map": np.ascontiguousarray(vectors.T).astype(self.map_dtype),
            ENCODER: vectors.astype(np.float32),
        }
        return self.restore(source.shape[1], tensors, {"mean_cosine": cosine})

    def fit_passes(self) -> tuple[int, int]:
        """One for the start, and one for each improvement."""
        return 2, _MOST_PASSES

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedTransform:  # noqa: ARG002
        """The projection, and the decoder that lengths are measured with."""
        return FittedTransform(
            self,
            map_of(tensors[ENCODER]),
            decoder=map_of(tensors["map"]),
            scaling="length",
            tensors={"map": tensors["map"]},
            encoder_tensors={ENCODER: tensors[ENCODER]},
            info=info,
        )
