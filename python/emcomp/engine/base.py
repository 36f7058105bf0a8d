"""Going over the rows of a table: statistics of parts of it, merged in the order of the rows.

Everything learned is such a fold. The parts depend only on the table's shape and are merged by a
tree that depends only on their number, so whoever computes them, and in whatever order, the result
is the same bits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.io.sources.base import Source, block_rows, blocks

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the phase ("fit", "encode"), the rows done and the rows in all."""

_LEAST_SUMS = 4  # runs of rows that are summed alone, in each part


def silent(phase: str, done: int, total: int) -> None:
    """Progress that nobody is told of."""


class Statistic(Protocol):
    """What is known about some consecutive rows."""

    def merge(self, following: Any, /) -> None:
        """Add what is known about the rows that follow."""
        ...


class UpdatableStatistic(Statistic, Protocol):
    """A statistic that takes rows block by block."""

    def update(self, rows: NDArray[Any], threads: int, /) -> None:
        """Add the rows that follow."""
        ...


StatisticT = TypeVar("StatisticT", bound=Statistic)
StatisticT_co = TypeVar("StatisticT_co", bound=Statistic, covariant=True)
UpdatableT = TypeVar("UpdatableT", bound=UpdatableStatistic)
Result = TypeVar("Result")


class RowTask(Protocol[StatisticT_co]):
    """What is computed from a part of the rows.

    It holds the sources that it reads and its settings, and can be pickled where they can.
    """

    def __call__(self, first: int, count: int, threads: int) -> StatisticT_co:
        """The statistic of rows [first, first + count)."""
        ...


@dataclass(frozen=True)
class FillStatistic(Generic[UpdatableT]):
    """The part of a source's rows that goes into a statistic as it is."""

    source: Source
    make: Callable[[], UpdatableT]
    """An empty statistic."""

    def __call__(self, first: int, count: int, threads: int) -> UpdatableT:
        """A statistic updated with rows [first, first + count)."""
        statistic = self.make()
        for block in blocks(self.source, first, count):
            statistic.update(block.rows, threads)
        return statistic


class RowCollector:
    """Rows picked out of a table, in order."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[Any]] = []

    def merge(self, following: RowCollector) -> None:
        """Add the rows that follow."""
        self.blocks += following.blocks

    def rows(self) -> NDArray[Any]:
        """All of them."""
        return np.concatenate(self.blocks)


def part_rows(dim: int) -> int:
    """Rows in a part of a table: a multiple of ``_core.SUM_ROWS``, several for any dimension."""
    return max(block_rows(dim) // _core.SUM_ROWS, _LEAST_SUMS) * int(_core.SUM_ROWS)


def parts(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each part of a table."""
    rows, dim = shape
    step = part_rows(dim)
    for first in range(0, rows, step):
        yield first, min(step, rows - first)


class MergeTree(Generic[StatisticT]):
    """Merges statistics that arrive in order, neighbours of equal size first."""

    def __init__(self) -> None:
        self._pending: list[tuple[int, StatisticT]] = []

    def add(self, statistic: StatisticT) -> None:
        """Take the statistic of the next part."""
        level = 0
        while self._pending and self._pending[-1][0] == level:
            _, before = self._pending.pop()
            before.merge(statistic)
            statistic = before
            level += 1
        self._pending.append((level, statistic))

    def result(self) -> StatisticT:
        """The statistic of all parts; there is at least one."""
        _, merged = self._pending.pop()
        while self._pending:
            _, before = self._pending.pop()
            before.merge(merged)
            merged = before
        return merged


class Engine:
    """Goes over rows in this process."""

    shares_memory = True
    """Whether calls can write to arrays that they are given."""

    def __init__(self, threads: int, progress: Progress = silent) -> None:
        self.threads = threads
        """Native threads of each call."""
        self.progress = progress

    def telling(self, progress: Progress) -> Engine:
        """The same, telling someone else of progress."""
        other = copy.copy(self)
        other.progress = progress
        return other

    def map(
        self, function: Callable[..., Result], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Results of calls with these arguments, in order."""
        return (function(*arguments) for arguments in calls)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The result of a function that also takes threads and progress: training on some rows."""
        return function(*arguments, self.threads, self.progress)

    def fold(self, phase: str, shape: tuple[int, int], part: RowTask[StatisticT]) -> StatisticT:
        """The statistic of all rows of a table of this shape."""
        tree: MergeTree[StatisticT] = MergeTree()
        cuts = list(parts(shape))
        self.progress(phase, 0, shape[0])
        calls = [(first, count, self.threads) for first, count in cuts]
        for (first, count), statistic in zip(cuts, self.map(part, calls), strict=True):
            tree.add(statistic)
            self.progress(phase, first + count, shape[0])
        return tree.result()

    def fill(self, phase: str, source: Source, make: Callable[[], UpdatableT]) -> UpdatableT:
        """A statistic updated with all rows of a source."""
        return self.fold(phase, source.shape, FillStatistic(source, make))
