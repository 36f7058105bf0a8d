"""Where a table was opened from, so that other processes can open it, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emcomp.io.sources.files import StoredFile


@dataclass(frozen=True)
class Origin:
    """A file or folder, the file in it that changes with any part of it, and what opens it."""

    path: Path
    file: StoredFile
    open: Callable[[Path], Any]

    @classmethod
    def of(cls, path: Path, file: Path, opens: Callable[[Path], Any]) -> Origin:
        """The origin of a table that ``opens`` is opening from a path."""
        return cls(path.absolute(), StoredFile(file.absolute()), opens)

    def reopen(self) -> Any:
        """Open the table again, in this process or in another.

        Raises:
            InputError: if the file has changed since.
        """
        self.file.check_unchanged()
        return self.open(self.path)
