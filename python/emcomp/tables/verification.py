"""Checking every byte of a compressed table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from emcomp.tables import container
from emcomp.tables.opening import open as open_table
from emcomp.tables.shard_index import read_index


def table_files(path: str | os.PathLike[str]) -> list[Path]:
    """The emcomp files of a table: itself, or those that the index of a folder of shards names.

    Raises:
        FormatError: if a folder has no index, or one that is newer.
        CorruptFileError: if the index is damaged.
    """
    place = Path(path)
    return [place / name for name in read_index(place).files] if place.is_dir() else [place]


def verify(
    path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> None:
    """Check every byte of a compressed table; `emcomp.open` alone reads little.

    Args:
        path: a file, or a folder of shards.
        progress: called with bytes checked and bytes in all, again and again.

    Raises:
        FormatError: if this is no compressed table, or one of another format version.
        CorruptFileError: if a bit of it has changed, it is cut short, or shards are not where the
            index says.
        OSError: if it cannot be read.

    Example:
        >>> emcomp.verify("glove.emcomp")
    """
    files = table_files(path)
    total = sum(file.stat().st_size for file in files if file.exists())
    before = 0
    for file in files:

        def tell(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        container.verify(file, tell)
        before += file.stat().st_size
    open_table(path)
