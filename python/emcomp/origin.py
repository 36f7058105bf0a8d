"""Where a table was opened from, as other processes may open it, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emcomp.sources.files import StoredFile


@dataclass(frozen=True)
class Origin:
    """A file or folder, and the file in it that changes with any part of it."""

    path: Path
    file: StoredFile

    @classmethod
    def of(cls, path: Path, file: Path) -> Origin:
        """That of a table which is being opened."""
        return cls(path.absolute(), StoredFile(file.absolute()))
