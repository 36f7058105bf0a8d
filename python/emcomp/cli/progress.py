"""Progress on standard error, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emcomp._support.sizes import format_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.progress import Task, TaskID
    from rich.text import Text

    from emcomp.engine.base import Progress
    from emcomp.io.sources.base import Source


def _silent(_phase: str, _done: int, _total: int) -> None:
    pass


def _rows_per_second(speed: float) -> str:
    return f"{speed:,.0f} rows/s"


def _bytes_per_second(speed: float) -> str:
    return f"{format_bytes(speed)}/s"


@contextmanager
def progress_bar(unit: str = "rows") -> Iterator[Progress]:
    """A function to call with a phase, the amount done and the amount in all (0 if not known).

    On a terminal the present phase is a bar with its rate and the time left; elsewhere nothing is
    shown.

    Args:
        unit: what is counted, ``"rows"`` or ``"bytes"``.
    """
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text as RichText

    rate: Callable[[float], str] = _rows_per_second if unit == "rows" else _bytes_per_second

    class RateColumn(ProgressColumn):
        """Share done, rate since the phase began, and the time left at that rate."""

        def render(self, task: Task) -> Text:
            if not task.elapsed or not task.completed or not task.total:
                return RichText("")
            speed = task.completed / task.elapsed
            left = (task.total - task.completed) / speed
            return RichText(f"{task.percentage:3.0f} %, {rate(speed)}, {left:.0f} s left")

    tasks: dict[str, TaskID] = {}
    columns = TextColumn("{task.description:<8}"), BarColumn(), RateColumn()
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                for earlier in tasks.values():
                    bars.remove_task(earlier)
                tasks.clear()
                tasks[phase] = bars.add_task(phase, total=total or None)
            bars.update(tasks[phase], completed=done)

        yield report


class WatchedSource:
    """A source that reports how far it has been read."""

    def __init__(self, source: Source, phase: str, report: Progress) -> None:
        self._source = source
        self._phase = phase
        self._report = report

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self._source.shape

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count)."""
        self._report(self._phase, first, self.shape[0])
        return self._source.read(first, count)
