"""Principal axes of a table from its streamed Gram matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp.engine.base import Engine
from emcomp.io.sources.base import Source
from emcomp.statistics.basis import SAFE_SQUARED_CONDITION, left_singular_basis
from emcomp.statistics.row_sums import Matrix, View, column_means, gram_matrix

NAME = "the table"


class Axes(NamedTuple):
    """The leading singular axes of a table."""

    vectors: Matrix
    """Orthonormal columns, the most important first, array (dim, k)."""
    error: float
    """Relative squared error of the rows' projection on the axes."""


def with_fixed_signs(vectors: Matrix) -> Matrix:
    """Columns of either sign, with the one that makes the largest entry positive."""
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
    return vectors * signs


def top_eigenvectors(gram: Matrix, k: int) -> Matrix:
    """The k eigenvectors of largest eigenvalue, array (dim, k)."""
    _, vectors = np.linalg.eigh(gram)
    return with_fixed_signs(vectors[:, ::-1][:, :k])


def centred_axes(source: Source, centre: Matrix | None, engine: Engine) -> tuple[Matrix, Matrix]:
    """Principal axes of a source's rows less a centre, by eigenvectors of one Gram matrix.

    Returns:
        Mean squares along the axes, array (dim,), largest first, and the axes as columns.
    """
    gram = gram_matrix(View(source, NAME, centre), engine)
    values, vectors = np.linalg.eigh(gram)
    return np.maximum(values[::-1], 0.0) / source.shape[0], with_fixed_signs(vectors[:, ::-1])


def singular_axes(source: Source, k: int, engine: Engine) -> Axes:
    """The k leading right singular vectors, exact however ill-conditioned the table.

    A Gram matrix squares the condition number: axes too weak for it take more passes. Where the
    table's rank is less than k, axes of the null space follow.
    """
    view = View(source, NAME)
    gram = gram_matrix(view, engine)
    squares, vectors = np.linalg.eigh(gram)
    squares, vectors = np.maximum(squares[::-1], 0.0), vectors[:, ::-1]
    if squares[k - 1] * SAFE_SQUARED_CONDITION < squares[0]:
        basis = left_singular_basis(view, gram, engine)
        squares = basis.all_singular_values**2
        vectors = np.linalg.qr(basis.right, mode="complete").Q
        vectors[:, : basis.rank] = basis.right
    return Axes(with_fixed_signs(vectors[:, :k]), float(squares[k:].sum() / (squares.sum() or 1.0)))


def mean_row(source: Source, engine: Engine) -> NDArray[np.float64]:
    """The mean of all rows, array (dim,)."""
    return column_means(View(source, NAME), engine)
