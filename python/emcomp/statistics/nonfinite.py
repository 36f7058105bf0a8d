"""NaN and infinite entries of a table, counted before anything is learned from it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from emcomp import _core
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.io.sources.opened import OpenedSource


class Nonfinite:
    """NaN and infinite entries found so far."""

    def __init__(self) -> None:
        self.entries = 0
        self.count = 0
        self.first = -1
        """Index of the first of them among the entries seen, -1 for none."""

    def update(self, rows: NDArray[Any], threads: int) -> None:
        """Look through the rows that follow."""
        found, number = _core.find_nonfinite(rows, threads)
        self._add(rows.size, number, found)

    def merge(self, following: Nonfinite) -> None:
        """Add what was found in the rows that follow."""
        self._add(following.entries, following.count, following.first)

    def _add(self, entries: int, count: int, first: int) -> None:
        if count and not self.count:
            self.first = self.entries + first
        self.entries += entries
        self.count += count


def refuse_nonfinite(source: Source, engine: Engine) -> None:
    """Raise InputError with the first position and the count of NaN and infinite entries."""
    found = engine.fill("check", source, Nonfinite)
    if found.count:
        row, column = divmod(found.first, source.shape[1])
        place = source.place(row) if isinstance(source, OpenedSource) else ""
        raise InputError(
            f"{found.count} of the table's entries are NaN, infinite or beyond float32, the first "
            f"at row {row}, column {column}{place and f' ({place})'}; replace them before compressing"
        )
