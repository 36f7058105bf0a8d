"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from emcomp._support.locks import is_locked, lock
from emcomp.errors import InputError

_NAME = re.compile(r"\.emcomp-[0-9a-f]{16}\.tmp")

_LEAST_AGE = 60.0
"""Seconds before a temporary file that nobody has locked counts as left behind: its writer has long
locked it by then."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write to a temporary file in the same folder; on success it takes the place of ``path``.

    The data is on the disk before the name changes. On any error, Ctrl-C and a full disk included,
    the temporary file is removed and the old file is untouched. A symbolic link stays a link and
    the file behind it is replaced; an existing file's permissions are kept, and nobody who may not
    read it may read the temporary one. What a writer that was killed has left in the folder is
    removed.

    Raises:
        InputError: if ``path`` is there and not a regular file.
        OSError: as the system has it, such as for a read-only folder or a full disk.
    """
    target = Path(os.path.realpath(path))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    if mode is not None and not target.is_file():
        raise InputError(f"{path} is there and is not a regular file: choose another name")
    remove_leftovers(target.parent)
    temporary = target.parent / temporary_name()
    try:
        with _create(temporary, mode) as file:
            _claim(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder, which is removed at the end with what is in it.

    Raises:
        OSError: if it cannot be made.
    """
    folder = parent / temporary_name()
    folder.mkdir(mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _claim(descriptor)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def temporary_name() -> str:
    """A name that no other file of a folder has."""
    return f".emcomp-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file or folder has such a name."""
    return _NAME.fullmatch(name) is not None


def _claim(descriptor: int) -> None:
    """Lock a temporary file, so that nobody takes it for one that was left behind.

    Where files cannot be locked, none is ever taken for that.
    """
    with suppress(OSError):
        lock(descriptor)


def _create(path: Path, mode: int | None) -> BinaryIO:
    """A new file, which from the start has at most the permissions that it will have."""
    created = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    file = os.fdopen(created, "wb")
    if mode is not None:  # what the process's mask has taken away
        path.chmod(mode)
    return file


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of a folder whose writers are dead."""
    with suppress(OSError):
        for leftover in filter(lambda path: is_temporary(path.name), folder.iterdir()):
            with suppress(OSError):
                if time.time() - leftover.stat().st_mtime < _LEAST_AGE or is_locked(leftover):
                    continue
                if leftover.is_dir():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink()


def sync_folder(folder: Path) -> None:
    """Put the change of a name on the disk, where the system can sync a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
