"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from emcomp.errors import InputError

TEMPORARY = ".emcomp-"
"""What the names of temporary files begin with."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write to a temporary file in the same folder; on success it takes the place of ``path``.

    The data is on the disk before the name changes. On any error, Ctrl-C and a full disk included,
    the temporary file is removed and the old file is untouched. A symbolic link stays a link and
    the file behind it is replaced; an existing file's permissions are kept.

    Raises:
        InputError: if ``path`` is there and not a regular file.
        OSError: as the system has it, such as for a read-only folder or a full disk.
    """
    target = Path(os.path.realpath(path))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    if mode is not None and not target.is_file():
        raise InputError(f"{path} is there and is not a regular file: choose another name")
    temporary = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            if mode is not None:
                temporary.chmod(mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Put the change of a name on the disk, where the system can sync a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
