"""Locks between processes, which the system releases when their holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emcomp.errors import InputError

LOCK = ".emcomp.lock"
"""The file of a folder that its one writer has locked."""

_POLL = 0.05


def lock(descriptor: int) -> bool:
    """Lock an open file for this process alone; False where somebody else has.

    Raises:
        OSError: if files cannot be locked there, as on some network file systems.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody has locked a file.

    Raises:
        OSError: if it cannot be opened or locked.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_writer(folder: Path, *, wait: bool) -> Iterator[None]:
    """Be the only one who changes a folder.

    Args:
        folder: the folder, which must be there.
        wait: wait until another writer has finished, rather than raise.

    Raises:
        InputError: if somebody else is writing and ``wait`` is False.
        OSError: if the folder is gone, or cannot be written to or locked.
    """
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if lock(descriptor):
                if _is_file(path, descriptor):
                    yield
                    return
            elif not wait:
                raise InputError(
                    f"{folder} is being written by another process; try again when that has ended"
                )
        finally:
            os.close(descriptor)
        time.sleep(_POLL)


def _is_file(path: Path, descriptor: int) -> bool:
    """Whether a path still is the open file: the writer before may have removed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
