"""How much of a table its approximation loses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source, as_source, block_rows

_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class ErrorSums:
    """Squares of a table and of its differences from an approximation."""

    table: Source
    approximation: Source

    def __call__(self, first: int, count: int, threads: int) -> _core.SquaredError:
        """Over rows [first, first + count)."""
        sums = _core.SquaredError()
        step = block_rows(self.table.shape[1], _BLOCK_BYTES)
        for begin in range(first, first + count, step):
            number = min(step, first + count - begin)
            rows = self.table.read(begin, number)
            sums.update(rows, self.approximation.read(begin, number), threads)
        return sums


def relative_squared_error(X: Any, approximation: Any, *, threads: int | None = None) -> float:
    """The squared error of an approximation of a table over the table's own square.

    That is ``||X - X̂||² / ||X||²`` in Frobenius norms: 0 is exact, 1 is as bad as all zeros. Both
    are read block by block; the sums are float64 and do not depend on the number of threads.

    Args:
        X: the table, shape (rows, dim): an array, word vectors or a compressed table.
        approximation: the same rows approximated, such as a compressed table.
        threads: threads to use; None for the default.

    Returns:
        The relative error; 0 for a table of zeros that is met exactly, infinity where it is not.

    Raises:
        InputError: if the two have different shapes.
    """
    source, other = as_source(X), as_source(approximation)
    if source.shape != other.shape:
        raise InputError(f"tables of shapes {source.shape} and {other.shape} cannot be compared")
    engine = Engine(resolve_threads(threads))
    sums = engine.fold("error", source.shape, ErrorSums(source, other))
    if sums.total == 0:
        return 0.0 if sums.error == 0 else math.inf
    return sums.error / sums.total
