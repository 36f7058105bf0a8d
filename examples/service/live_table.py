"""A table that follows its file: another file renamed into its place is opened and takes over."""

from __future__ import annotations

import os
from pathlib import Path

import emcomp

Identity = tuple[int, int, int, int]


class LiveTable:
    """The table of a file, and of the files that take its place.

    Take ``table`` once for each request: a request keeps the table that it began with, and the map
    of a replaced file is given back when the last request that uses it has ended.

    Args:
        path: the file.
        shared: map the file, so that processes share its memory. Nobody may then write to the file;
            without, whatever happens to it does not touch the table.
    """

    def __init__(self, path: str | os.PathLike[str], *, shared: bool = False) -> None:
        self.path = Path(path)
        self._shared = shared
        self._seen = self._identity()
        self.table = emcomp.open(self.path, mapped=shared)

    def refresh(self) -> bool:
        """Open the file if it is another one than before; returns whether it was.

        A file is read and checked whole before it takes over. One that is missing, damaged or not a
        table raises and is not tried again; the table stays what it was.
        """
        identity = self._identity()
        if identity == self._seen:
            return False
        self._seen = identity
        emcomp.verify(self.path)
        self.table = emcomp.open(self.path, mapped=self._shared)
        return True

    def _identity(self) -> Identity:
        about = self.path.stat()
        return about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size
