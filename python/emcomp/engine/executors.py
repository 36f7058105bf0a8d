"""Going over rows with the workers of an executor."""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from emcomp._support.sizes import format_bytes
from emcomp._support.threads import default_threads, resolve_threads
from emcomp.engine.base import Engine, Progress, Result, silent
from emcomp.errors import InputError

LARGEST_TASK = 160 << 20
"""Bytes of a task beyond which it carries rows, not a handle to them."""
_IN_FLIGHT = 64  # calls that wait or run at a time
_BYTES_IN_FLIGHT = 512 << 20


def make_engine(
    executor: Any, threads: int | None = None, progress: Progress | None = None
) -> Engine:
    """What goes over rows: this process, or the workers of an executor or a Dask client.

    Args:
        executor: None, a `concurrent.futures.Executor` or a `distributed.Client`.
        threads: native threads of each call; None for the default here, and for 1 on workers.
        progress: told of each phase.

    Raises:
        InputError: if the executor is none.
    """
    report = progress or silent
    if executor is None:
        return Engine(resolve_threads(threads), report)
    native = resolve_threads(1 if threads is None else threads)
    if isinstance(executor, Executor):
        return ExecutorEngine(executor, native, report)
    if _is_dask_client(executor):
        from emcomp.engine.dask_client import DaskEngine

        return DaskEngine(executor, native, report)
    raise InputError(
        f"executor must be a concurrent.futures.Executor or a Dask client, not {executor!r}"
    )


def _is_dask_client(executor: Any) -> bool:
    """Whether this is a Dask client, without importing what may not be installed."""
    return any(
        cls.__name__ == "Client" and cls.__module__.startswith("distributed.")
        for cls in type(executor).__mro__
    )


@dataclass(frozen=True)
class SentFunction:
    """A function that travels with its sources and settings, and is unpacked once a worker."""

    data: bytes
    threads: int
    """Native threads of whatever it calls, unless that is told otherwise."""

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        with default_threads(self.threads):
            return _unpacked(self.data)(*arguments)


class _Pickler(pickle.Pickler):
    """Pickles for workers, who can open the files that this process has opened.

    A class that knows a shorter way to its values than their contents has a method
    ``reduce_for_workers``, which returns what ``__reduce__`` does, or None for the ordinary way.
    """

    def reducer_override(self, value: Any) -> Any:
        """How to pickle a value; the ordinary way where its class knows no other."""
        reduce = getattr(type(value), "reduce_for_workers", None)
        reduced = None if reduce is None else reduce(value)
        return NotImplemented if reduced is None else reduced


@lru_cache(maxsize=8)
def _unpacked(data: bytes) -> Callable[..., Any]:
    function: Callable[..., Any] = pickle.loads(data)
    return function


def pack(function: Callable[..., Any], threads: int) -> SentFunction:
    """A function to be sent to other processes, and the native threads that it may use there.

    Raises:
        InputError: if it would carry a table along.
    """
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(function)
    data = buffer.getvalue()
    if len(data) > LARGEST_TASK:
        raise InputError(
            f"each task would carry {format_bytes(len(data))}: give the table as the path of a file "
            "that all workers can read, or as a Dask array, not as an array in memory"
        )
    return SentFunction(data, threads)


class ExecutorEngine(Engine):
    """Goes over rows with the workers of a `concurrent.futures.Executor`."""

    def __init__(self, executor: Executor, threads: int, progress: Progress = silent) -> None:
        super().__init__(threads, progress)
        self._executor = executor
        self.shares_memory = isinstance(executor, ThreadPoolExecutor)

    def map(
        self, function: Callable[..., Result], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Results in order, while some calls ahead are computed."""
        sent: Callable[..., Result] = function
        ahead = _IN_FLIGHT
        if not self.shares_memory:
            sent = packed = pack(function, self.threads)
            ahead = max(min(ahead, _BYTES_IN_FLIGHT // len(packed.data)), 1)
        waiting = iter(calls)
        running: deque[Future[Result]] = deque()
        try:
            for arguments in islice(waiting, ahead):
                running.append(self._executor.submit(sent, *arguments))
            while running:
                result = running.popleft().result()
                for arguments in islice(waiting, 1):
                    running.append(self._executor.submit(sent, *arguments))
                yield result
        finally:
            for future in running:
                future.cancel()
