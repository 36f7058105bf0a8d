"""Orthonormal bases of the column spans of tall tables, from Gram sums alone.

A Gram matrix squares the condition number. One pass is exact enough while that square stays below
1e6; beyond, the table is read again through the inverse factor found so far, whose image is far
better conditioned, until it is (shifted and repeated CholeskyQR: Fukaya et al. 2020, with
eigenvectors and column scaling in place of Cholesky factors).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emcomp.engine.base import Engine
from emcomp.statistics.row_sums import Matrix, View, gram_matrix

EPSILON = float(np.finfo(np.float64).eps)
SAFE_SQUARED_CONDITION = 1e6
"""Below this, a Gram matrix gives a basis to about 1e-10."""
MAX_PASSES = 6


@dataclass(frozen=True)
class Basis:
    """Thin singular value decomposition U S W' of a table of numerical rank r.

    The left vectors U (rows, r) are never formed: they are the view's rows times ``finish``.
    """

    view: View
    finish: Matrix
    """Array (width of the view, r)."""
    singular_values: Matrix
    """Array (r,), largest first."""
    all_singular_values: Matrix
    """Array (min(rows, dim),): those below the rank threshold too, which are mostly rounding."""
    right: Matrix
    """W, array (dim, r)."""

    @property
    def rank(self) -> int:
        """Singular values above ``s_max * max(rows, dim) * eps``."""
        return self.singular_values.size

    @property
    def left(self) -> View:
        """U as a view of the table."""
        own = self.view.map
        return self.view.projected(self.finish if own is None else own @ self.finish)


def left_singular_basis(view: View, gram: Matrix, engine: Engine) -> Basis:
    """The thin singular value decomposition of an unmapped view, given its Gram matrix."""
    values, vectors = np.linalg.eigh(gram)
    if values[0] * SAFE_SQUARED_CONDITION > values[-1]:
        roots, right = np.sqrt(values[::-1]), vectors[:, ::-1]
        return Basis(view, right / roots, roots, roots, right)
    return _repeated_basis(view, gram, engine)


def _repeated_basis(view: View, gram: Matrix, engine: Engine) -> Basis:
    """The same for a table whose Gram matrix may be too ill-conditioned to trust."""
    dim = view.width
    tolerance = max(view.rows, dim) * EPSILON
    factor = np.eye(dim)  # the table is (its image under the current map) @ factor
    for attempt in range(MAX_PASSES):
        if attempt > 0:
            gram = gram_matrix(view, engine)
        lengths = np.sqrt(gram.diagonal())
        live = lengths > 0
        lengths = lengths[live]
        scaled = gram[np.ix_(live, live)] / lengths / lengths[:, None]
        values, vectors = np.linalg.eigh(scaled) if lengths.size else (lengths, scaled)
        largest = values[-1] if values.size else 0.0
        settled = values.size == 0 or values[0] * SAFE_SQUARED_CONDITION > largest
        roots = np.sqrt(np.maximum(values, values.size * EPSILON * largest))
        inverse = np.zeros((live.size, values.size))
        inverse[live] = vectors / lengths[:, None] / roots
        factor = (vectors * lengths[:, None] * roots).T @ factor[live]
        left, singular_values, right = np.linalg.svd(factor, full_matrices=False)
        top = singular_values[0] if singular_values.size else 0.0
        rank = int(np.count_nonzero(singular_values > top * tolerance))
        if settled or attempt == MAX_PASSES - 1:
            break
        # After the first pass small values are mostly rounding; only later ones can be judged.
        kept = rank if attempt > 0 else singular_values.size
        step = inverse @ left[:, :kept]
        view = view.projected(step if view.map is None else view.map @ step)
        factor = singular_values[:kept, None] * right[:kept]
    every = np.zeros(min(view.rows, dim))
    every[: singular_values.size] = singular_values[: every.size]
    return Basis(view, inverse @ left[:, :rank], singular_values[:rank], every, right[:rank].T)
