"""What the measures know about one table and about two, each computed once when first needed."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from emcomp._support.threads import resolve_threads
from emcomp.engine.base import Engine
from emcomp.errors import InputError, RankWarning, UndefinedError
from emcomp.io.sources.base import FirstRows
from emcomp.statistics.basis import Basis, left_singular_basis
from emcomp.statistics.row_sums import (
    Matrix,
    PairSums,
    View,
    column_means,
    gram_matrix,
    pair_sums,
)
from emcomp.tables.opening import open_table
from emcomp.tables.table import CompressedEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")
SMALL_SINE_SQUARED = 1e-8
"""Below this, a squared sine from one minus a squared cosine has lost half of its digits."""


class Cache:
    """Results kept under a key, for whatever is asked for more than once."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """What compute returns, computed the first time that ``key`` is asked for."""
        if key not in self._kept:
            self._kept[key] = compute()
        kept: Value = self._kept[key]
        return kept


class TableSums(Cache):
    """One table and its own sums."""

    def __init__(
        self,
        X: Any,
        name: str = "X",
        *,
        centred: bool = False,
        rows: int | None = None,
        engine: Engine,
    ) -> None:
        super().__init__()
        self.engine = engine
        source = open_table(X)
        self._whole = source
        self._first_rows = rows
        if rows is not None:
            if rows < 1:
                raise InputError(f"rows must be at least 1 or None for all, not {rows}")
            source = FirstRows(source, rows)
        self.source = source
        self.name = name
        self.rows, self.dim = source.shape
        self._centred = centred

    @cached_property
    def view(self) -> View:
        """The rows, less their mean where the measures are to be centred."""
        view = View(self.source, self.name)
        if not self._centred:
            return view
        return View(self.source, self.name, column_means(view, self.engine))

    @cached_property
    def latents(self) -> TableSums:
        """The narrowest table at hand whose columns span what this one's do: itself, or latents."""
        if not isinstance(self._whole, CompressedEmbedding):
            return self
        latents = self._whole.latents()
        if latents is None:
            return self
        return TableSums(
            latents,
            self.name,
            centred=self._centred,
            rows=self._first_rows,
            engine=self.engine,
        )

    @cached_property
    def gram(self) -> Matrix:
        """X'X, array (dim, dim)."""
        return gram_matrix(self.view, self.engine)

    @cached_property
    def basis(self) -> Basis:
        """Thin singular value decomposition; warns where the rank is not full."""
        basis = left_singular_basis(self.view, self.gram, self.engine)
        if basis.rank < self.dim:
            warnings.warn(
                f"{self.name} has numerical rank {basis.rank}, below its dimension {self.dim}: "
                f"measures see only directions with a singular value above "
                f"s_max * max(rows, dim) * eps",
                RankWarning,
                stacklevel=3,
            )
        return basis


class TablePair(Cache):
    """A table and a compressed one of as many rows."""

    def __init__(self, x: TableSums, q: TableSums) -> None:
        super().__init__()
        if x.rows != q.rows:
            raise InputError(
                f"{x.name} has {x.rows} rows and {q.name} has {q.rows}: row i of both must be the "
                f"same word"
            )
        self.x = x
        self.q = q
        self.engine = q.engine

    @property
    def same_dim(self) -> bool:
        """Whether rows of the two tables can be subtracted."""
        return self.x.dim == self.q.dim

    @cached_property
    def sums(self) -> PairSums:
        """Xq'Xq, X'Xq and the distances, from one pass over both tables."""
        sums = pair_sums(self.x.view, self.q.view, self.engine, distances=self.same_dim)
        self.q.gram = sums.gram
        return sums

    @cached_property
    def distances(self) -> Matrix:
        """Sums of squared error, Euclidean distance and cosine distance over the rows.

        Raises:
            UndefinedError: if the dimensions differ.
        """
        if self.sums.distances is None:
            raise UndefinedError(
                f"this measure compares rows entry by entry: {self.x.name} has dimension "
                f"{self.x.dim} and {self.q.name} has {self.q.dim}"
            )
        return self.sums.distances

    @cached_property
    def overlap(self) -> Matrix:
        """U'Uq, array (rank of X, rank of Xq): its singular values are the cosines of the angles."""
        cross = self.sums.cross
        x, q = self.x.basis, self.q.basis
        if x.view.map is not None or q.view.map is not None:
            cross = pair_sums(x.view, q.view, self.engine).cross
        return x.finish.T @ cross @ q.finish

    @cached_property
    def latents(self) -> TablePair:
        """The narrowest tables at hand of the same column spans: these themselves, or latents."""
        x, q = self.x.latents, self.q.latents
        return self if x is self.x and q is self.q else TablePair(x, q)

    @cached_property
    def joint(self) -> tuple[Matrix, Matrix]:
        """Uq in an orthonormal basis [U, N] of both spans: U'Uq and a square root of the rest.

        The second is an array (r, rank of Xq), r the directions of Xq that X does not have. Where
        some angles are small the rest is summed in a pass of its own, not as I - (U'Uq)'(U'Uq).
        """
        inside = self.overlap
        squared_sines, vectors = np.linalg.eigh(np.eye(inside.shape[1]) - inside.T @ inside)
        if squared_sines.size == 0 or squared_sines[0] >= SMALL_SINE_SQUARED:
            return inside, np.sqrt(np.minimum(squared_sines, 1.0))[:, None] * vectors.T
        # Along the principal directions, so that small residuals have columns of their own.
        x, q = self.x.basis.left, self.q.basis.left
        assert q.map is not None
        along = inside @ vectors
        rest = pair_sums(x, q.projected(q.map @ vectors), self.engine, projection=along)
        lengths = np.sqrt(rest.gram.diagonal())
        scale = np.where(lengths > 0, lengths, 1.0)
        values, directions = np.linalg.eigh(rest.gram / scale / scale[:, None])
        outside = np.sqrt(np.maximum(values, 0.0))[:, None] * directions.T * lengths
        return (along + rest.cross) @ vectors.T, outside @ vectors.T


def make_pair(
    X: Any,
    Xq: Any,
    *,
    centred: bool = False,
    rows: int | None = None,
    threads: int | None = None,
) -> TablePair:
    """The pair of two tables as a caller of a measure has them."""
    engine = Engine(resolve_threads(threads))
    return TablePair(
        TableSums(X, "X", centred=centred, rows=rows, engine=engine),
        TableSums(Xq, "Xq", centred=centred, rows=rows, engine=engine),
    )
