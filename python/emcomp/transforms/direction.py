"""Projections that keep the directions of rows, and decoded rows of the original lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codec import Progress
from emcomp.errors import InputError
from emcomp.gram import Matrix, View, gram_matrix
from emcomp.grammar import register
from emcomp.sources import Source
from emcomp.transforms.axes import NAME, top_eigenvectors
from emcomp.transforms.factorization import InvertedProjection, ranks_to_try
from emcomp.transforms.linear import FittedTransform, map_of

_MOST_PASSES = 30
_LEAST_GAIN = 1e-6
"""Of the mean cosine, for which another pass is worth its time."""


class ReweightedRows:
    """A source's rows, weighted for the Gram matrix of the next projection."""

    def __init__(
        self,
        source: Source,
        projection: _core.LinearMap | None,
        weights: NDArray[np.float32] | None,
        threads: int,
    ) -> None:
        self._source = source
        self._projection = projection
        self._weights = weights
        self._threads = threads
        self.cosines = 0.0
        """Weighted sum of the cosines between the rows read so far and their projections."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension of the source."""
        return self._source.shape

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """Rows over the root of their length times that of their projection."""
        out = np.empty((count, self.shape[1]), np.float32)
        weights = None if self._weights is None else self._weights[first : first + count]
        rows = self._source.read(first, count)
        self.cosines += _core.reweight_rows(rows, self._projection, weights, out, self._threads)
        return out


def best_projection(
    source: Source,
    k: int,
    *,
    weights: NDArray[np.float32] | None = None,
    threads: int,
    progress: Progress,
) -> tuple[Matrix, float]:
    """Orthonormal columns whose span keeps the most mean cosine between rows and projections.

    The cosine of a unit row u with its projection Pu is |Pu|. Where the sum of |Pu| is stationary,
    the span is invariant under the sum of u u' / |Pu|: each pass takes the leading eigenvectors of
    that sum for the current projection, starting from the singular vectors of the unit rows, until
    the mean cosine stops growing. The best projection met is returned.

    Args:
        source: the table, finite.
        k: columns.
        weights: of the rows, float32 (rows,), such as word frequencies.
        threads: threads to use.
        progress: told of each pass.

    Returns:
        Array (dim, k), and the weighted mean cosine (rows of zeros count as 0).
    """
    rows = source.shape[0]
    total = rows if weights is None else float(weights.sum(dtype=np.float64)) or 1.0
    projection: Matrix | None = None
    best: tuple[Matrix, float] | None = None
    for attempt in range(_MOST_PASSES):
        progress("fit", rows * attempt // _MOST_PASSES, rows)
        native = None if projection is None else map_of(projection)
        reweighted = ReweightedRows(source, native, weights, threads)
        gram = gram_matrix(View(reweighted, NAME), threads)
        if projection is not None:
            cosine = reweighted.cosines / total
            gained = np.inf if best is None else cosine - best[1]
            if gained > 0:
                best = projection, cosine
            if gained < _LEAST_GAIN:
                break
        projection = top_eigenvectors(gram, k)
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
        """A quarter and half of the dimensions, in float16."""
        return [f"{cls.name}:{rank}+float:16" for rank in ranks_to_try(shape)]

    def fit(self, source: Source, threads: int, progress: Progress) -> FittedTransform:
        """Find the projection."""
        vectors, cosine = best_projection(
            source,
            self.k,
            weights=self.row_weights(source.shape[0]),
            threads=threads,
            progress=progress,
        )
        decoder = np.ascontiguousarray(vectors.T).astype(self.map_dtype)
        return FittedTransform(
            map_of(vectors),
            decoder=map_of(decoder),
            scaling="length",
            tensors={"map": decoder},
            info={"mean_cosine": cosine},
        )
