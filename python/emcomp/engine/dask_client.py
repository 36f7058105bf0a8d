"""Going over rows with the workers of a Dask cluster.

Only handles travel: where rows are and which of them. Statistics stay with the workers until one is
left, and are merged there by the same tree as in one process, so that the result is the same bits.
Tasks depend on nothing but their arguments: when a worker dies, the scheduler runs what is missing
again.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any
from weakref import WeakSet

import dask
from distributed import Client, Future, as_completed

from emcomp.engine.base import (
    Engine,
    MergeTree,
    Progress,
    Result,
    RowTask,
    StatisticT,
    parts,
    silent,
)
from emcomp.engine.executors import LARGEST_TASK, SentFunction, pack
from emcomp.errors import InputError

_AHEAD = 4  # tasks for each thread of the cluster that wait or run
_FEW = 16  # the same where there are few threads, or none yet
_RETRIES = 2  # of a task that fails, as reading over a network may


class DaskEngine(Engine):
    """Goes over rows with the workers of a Dask cluster.

    Args:
        client: a `distributed.Client` that is not asynchronous.
        threads: native threads of each task.
        progress: told of each phase, as tasks finish.

    Raises:
        InputError: if the client is asynchronous.
    """

    shares_memory = False

    def __init__(self, client: Client, threads: int, progress: Progress = silent) -> None:
        if client.asynchronous:
            raise InputError("an asynchronous Dask client cannot be waited for: use a plain Client")
        super().__init__(threads, progress)
        self._client = client

    def map(
        self, function: Callable[..., Result], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Results in order, while some calls ahead are computed."""
        with self._tasks(function) as tasks:
            waiting = iter(calls)
            running = deque(tasks.call(arguments) for arguments in islice(waiting, tasks.ahead))
            while running:
                result = running.popleft().result()
                running.extend(tasks.call(arguments) for arguments in islice(waiting, 1))
                yield result

    def fold(self, phase: str, shape: tuple[int, int], part: RowTask[StatisticT]) -> StatisticT:
        """The statistic of all rows of a table of this shape, merged by the workers."""
        rows, done = shape[0], 0
        self.progress(phase, 0, rows)
        with self._tasks(part) as tasks:
            tree: MergeTree[_Remote] = MergeTree()
            running = as_completed(loop=self._client.loop)
            sizes: dict[str, int] = {}
            waiting = parts(shape)
            while True:
                for first, count in islice(waiting, tasks.ahead - len(sizes)):
                    future = tasks.call((first, count, self.threads))
                    sizes[future.key] = count
                    running.add(future)
                    tree.add(_Remote(tasks, future))
                if not sizes:
                    break
                future = next(running)
                if future.status in ("error", "cancelled"):
                    future.result()
                done += sizes.pop(future.key)
                del future  # its result is forgotten as soon as it is merged
                self.progress(phase, done, rows)
            merged: StatisticT = tree.result().future.result()
        return merged

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The result of a function that also takes threads and progress, computed by one worker."""
        with self._tasks(partial(function, *arguments)) as tasks:
            result: Result = tasks.call((self.threads, silent)).result()
        return result

    @contextmanager
    def _tasks(self, function: Callable[..., Any]) -> Iterator[_Tasks]:
        tasks = _Tasks(self._client, pack(function, self.threads))
        try:
            yield tasks
        except BaseException:
            tasks.forget()
            raise


class _Tasks:
    """Calls of one function, and merges of what they return."""

    def __init__(self, client: Client, function: SentFunction) -> None:
        self._client = client
        self._alive: WeakSet[Future] = WeakSet()
        self.ahead = max(_AHEAD * sum(client.nthreads().values()), _FEW)
        # The function is itself the result of a task: each worker fetches it once, and it is
        # there again when the worker that had it is not.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": 2 * LARGEST_TASK}):
            self._function = self._submit(SentFunction, function.data, function.threads)

    def call(self, arguments: tuple[Any, ...]) -> Future:
        """Call the function."""
        return self._submit(_called, self._function, *arguments)

    def merge(self, before: Future, following: Future) -> Future:
        """Merge two statistics, before more rows are read."""
        merged = self._submit(_merged, before, following, priority=1)
        # A scheduler may hear that nobody holds them before it has taken in the merge.
        merged.add_done_callback(partial(_kept, before, following))
        return merged

    def _submit(self, function: Callable[..., Any], *arguments: Any, priority: int = 0) -> Future:
        future = self._client.submit(
            function, *arguments, pure=False, retries=_RETRIES, priority=priority
        )
        self._alive.add(future)
        return future

    def forget(self) -> None:
        """Let go of everything: what has not begun then never does."""
        for future in list(self._alive):
            future.release()


class _Remote:
    """A statistic that stays with the workers."""

    def __init__(self, tasks: _Tasks, future: Future) -> None:
        self._tasks = tasks
        self.future = future

    def merge(self, following: _Remote) -> None:
        """Have it merged with that of the rows that follow."""
        self.future = self._tasks.merge(self.future, following.future)


def _kept(*futures: Future) -> None:
    """What keeps futures until it is called."""


def _called(function: SentFunction, *arguments: Any) -> Any:
    return function(*arguments)


def _merged(before: Any, following: Any) -> Any:
    """Both statistics as a new one: what other tasks may need again is left as it is."""
    merged = copy.deepcopy(before)
    merged.merge(following)
    return merged
