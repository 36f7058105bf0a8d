"""Principal axes of a table from its streamed Gram matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp.gram import Matrix, View, column_means, gram_matrix
from emcomp.measures.basis import left_singular_basis
from emcomp.sources import Source

NAME = "the table"


class Axes(NamedTuple):
    """Principal axes of a table's rows, the most important first."""

    values: Matrix
    """Mean squares of the rows along the axes, array (k,)."""
    vectors: Matrix
    """Orthonormal columns, array (dim, k)."""


def with_fixed_signs(vectors: Matrix) -> Matrix:
    """Columns of either sign, with the one that makes the largest entry positive."""
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
    return vectors * signs


def top_eigenvectors(gram: Matrix, k: int) -> Matrix:
    """The k eigenvectors of largest eigenvalue, array (dim, k)."""
    _, vectors = np.linalg.eigh(gram)
    return with_fixed_signs(vectors[:, ::-1][:, :k])


def centred_axes(source: Source, centre: Matrix | None, threads: int) -> Axes:
    """All axes of a source's rows less a centre, by eigenvectors of one Gram matrix."""
    gram = gram_matrix(View(source, NAME, centre), threads)
    values, vectors = np.linalg.eigh(gram)
    return Axes(np.maximum(values[::-1], 0.0) / source.shape[0], with_fixed_signs(vectors[:, ::-1]))


def singular_axes(source: Source, k: int, threads: int) -> Axes:
    """The k leading right singular vectors, exact however ill-conditioned the table.

    Where its rank is less than k, axes of the null space follow.
    """
    view = View(source, NAME)
    basis = left_singular_basis(view, gram_matrix(view, threads), threads)
    rank = min(basis.rank, k)
    values = np.zeros(k)
    values[:rank] = basis.singular_values[:rank] ** 2 / source.shape[0]
    vectors = np.linalg.qr(basis.right, mode="complete").Q
    vectors[:, : basis.rank] = basis.right
    return Axes(values, with_fixed_signs(vectors[:, :k]))


def mean_row(source: Source, threads: int) -> NDArray[np.float64]:
    """The mean of all rows, array (dim,)."""
    return column_means(View(source, NAME), threads)
