"""Bytes that come once, or out of an archive, in a temporary file that goes with its object."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from emcomp.io.sources.files import StoredFile, is_remote

_COPIED = 1 << 20


class TemporaryFile(StoredFile):
    """A file that is written when it is made and removed when nothing refers to it.

    Pickled, it is the file's name and how to make it: a process that does not find it makes its own.

    Args:
        name: what messages call it.
        make: writes its bytes; whether these are all there are. It must pickle.
        again: whether ``make`` can be called again.
    """

    def __init__(self, name: str, make: Callable[[BinaryIO], bool], *, again: bool = True) -> None:
        place = self._made(make)
        self._make = make if again else None
        super().__init__(name, place)

    def _made(self, make: Callable[[BinaryIO], bool]) -> str:
        descriptor, place = tempfile.mkstemp(prefix="emcomp-", dir=_folder())
        remove = weakref.finalize(self, _remove, place, os.getpid())
        try:
            with os.fdopen(descriptor, "wb") as file:
                self.is_whole = make(file)
        except BaseException:
            remove()
            raise
        return place

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._make is not None and not Path(self.place).exists():
            self.place = self._made(self._make)
            self.size, self._stamp = self._look()


def stored(path: str | os.PathLike[str]) -> StoredFile:
    """The file of a path. What can be read only once is copied to a temporary file.

    Args:
        path: a path or URL; ``-`` is standard input.

    Raises:
        OSError: if it is not there or cannot be read.
    """
    name = os.fspath(path)
    if name == "-":
        return TemporaryFile(name, _copy_standard_input, again=False)
    if not is_remote(name) and _is_stream(name):
        return TemporaryFile(name, lambda file: _copy(Path(name).open("rb"), file), again=False)
    return StoredFile(name)


def _is_stream(name: str) -> bool:
    mode = os.stat(name).st_mode  # noqa: PTH116
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _copy_standard_input(file: BinaryIO) -> bool:
    while data := sys.stdin.buffer.read(_COPIED):
        file.write(data)
    return True


def _copy(stream: BinaryIO, file: BinaryIO) -> bool:
    with stream:
        while data := stream.read(_COPIED):
            file.write(data)
    return True


def _folder() -> str | None:
    """A folder for large files: /tmp may be in memory."""
    named = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    large = "/var/tmp"
    return large if not named and os.access(large, os.W_OK | os.X_OK) else None


def _remove(place: str, process: int) -> None:
    if os.getpid() == process:  # not in a fork, whose parent still reads it
        Path(place).unlink(missing_ok=True)
