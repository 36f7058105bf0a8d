"""The singular values of a table."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emcomp._support.threads import resolve_threads
from emcomp.engine.base import Engine
from emcomp.errors import RankWarning
from emcomp.measures.pairs import TableSums

if TYPE_CHECKING:
    from emcomp.statistics.row_sums import Matrix


@dataclass(frozen=True)
class Spectrum:
    """Singular values of a table, with what follows from them."""

    singular_values: Matrix
    """Array (min(rows, dim),), largest first; those after the first ``rank`` are mostly rounding."""
    rank: int
    """Singular values above ``s_max * max(rows, dim) * eps`` (eps of float64)."""
    rows: int
    dim: int

    @property
    def condition(self) -> float:
        """Largest singular value over smallest; infinite where the rank is not full."""
        if self.rank < self.singular_values.size:
            return float("inf")
        return float(self.singular_values[0] / self.singular_values[-1])


def spectrum(X: Any, *, centred: bool = False, threads: int | None = None) -> Spectrum:
    """Singular values, condition number and numerical rank of a table, from d x d sums.

    Invariant to rotations of the table and to permutations of its rows.

    Args:
        X: table (n, d): array, path, or source.
        centred: subtract the mean row first.
        threads: threads to use.

    Raises:
        InputError: if an entry is not finite.
    """
    table = TableSums(X, centred=centred, engine=Engine(resolve_threads(threads)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)  # the rank is part of the answer
        basis = table.basis
    return Spectrum(basis.all_singular_values, basis.rank, table.rows, table.dim)
