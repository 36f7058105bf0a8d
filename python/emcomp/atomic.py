"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from emcomp.errors import InputError


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file that takes the place of ``path`` when the block ends without an error.

    The bytes go to a temporary file in the same folder, which is synced to disk and renamed. On any
    error, also an interrupt or a full disk, it is removed and what was at ``path`` stays as it was.
    A link is followed, and a replaced file's permissions are kept.

    Yields:
        The temporary file, open for writing.

    Raises:
        InputError: if ``path`` is there and is not a file.
        OSError: as the file system has it.
    """
    target = Path(path).resolve()
    mode = 0o666
    with suppress(FileNotFoundError):
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is not a file and cannot be replaced by one")
        mode = stat.S_IMODE(status.st_mode)
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(temporary, flags, mode), "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last; where folders cannot be synced, that is the system's affair."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
