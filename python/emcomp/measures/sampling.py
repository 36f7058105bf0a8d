"""Estimating measures from a sample of the rows, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.measures.neighbours import random_rows
from emcomp.statistics.row_sums import Matrix, gather_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emcomp.io.sources.base import Source

GROUPS = 10
"""Groups of sampled rows that the jackknife leaves out one at a time."""
STUDENT_95 = 2.262157
"""97.5 % point of Student's t distribution with GROUPS - 1 degrees of freedom."""


class SomeRows:
    """Chosen rows of an array in memory, as a source."""

    def __init__(self, array: Matrix, index: NDArray[np.int64]) -> None:
        self._array = array
        self._index = index

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self._index.size, self._array.shape[1]

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count) of the chosen ones."""
        return self._array[self._index[first : first + count]]


def sample_size(sample: float, rows: int) -> int:
    """Rows in a sample given as a number of rows or a fraction of them.

    Raises:
        InputError: if it is neither, or leaves fewer rows than the jackknife has groups.
    """
    if (
        isinstance(sample, bool)
        or not sample > 0
        or (sample >= 1 and not float(sample).is_integer())
    ):
        raise InputError(f"sample must be a number of rows or a fraction below 1, not {sample!r}")
    size = int(sample) if sample >= 1 else round(sample * rows)
    if size < 2 * GROUPS:
        raise InputError(f"a sample of {size} rows is too small: take at least {2 * GROUPS}")
    return min(size, rows)


def sample_rows(rows: int, size: int, seed: int) -> NDArray[np.int64]:
    """Row indices of a sample, ascending."""
    return random_rows(rows, size, seed)


def jackknife_sources(
    source: Source, index: NDArray[np.int64], name: str, engine: Engine
) -> list[Source]:
    """The sampled rows of a source, then the same without each group of them in turn."""
    array = gather_rows(source, index, name, engine)
    places = np.arange(index.size)
    without: list[Source] = [SomeRows(array, places[places % GROUPS != g]) for g in range(GROUPS)]
    return [SomeRows(array, places), *without]


def jackknife(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Estimate and 95 % interval from the value of a sample and those without each group.

    The estimate is the jackknife's, free of bias of the order of one over the sample size (as EOS
    has: random directions overlap the more, the fewer the rows). The interval is Student's, from
    the spread of the values without a group (Efron and Tibshirani 1993, chapter 11).
    """
    whole, without = values[0], np.asarray(values[1:])
    estimate = GROUPS * whole - (GROUPS - 1) * float(without.mean())
    spread = np.sqrt((GROUPS - 1) / GROUPS * np.square(without - without.mean()).sum())
    half = STUDENT_95 * float(spread)
    return estimate, (estimate - half, estimate + half)
