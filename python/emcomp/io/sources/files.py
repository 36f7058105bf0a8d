"""Files that sources read by ranges, on this machine or behind fsspec, never left open.

A file is known by its name, size and time of change. Every access checks that it still is the file
that was opened first: a table that changes between two passes would give a result of neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, InputError
from emcomp.io.formats.recognition import HEAD_BYTES


def is_remote(path: str) -> bool:
    """Whether a path is a URL, which fsspec opens."""
    return "://" in path


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path within it.

    Raises:
        InputError: if fsspec, or what it needs for this kind of URL, is not installed.
    """
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{url}: a path with :// needs fsspec and the package for its protocol "
            f"(pip install 'emcomp[remote]'): {error}"
        ) from error
    return system, path


class StoredFile:
    """A file that is read by ranges; it pickles as its name, size and time of change.

    Args:
        name: a path, or a URL that fsspec knows; what messages call the file.
        place: the path where its bytes are, if that is another one.

    Raises:
        InputError: if it is a URL and fsspec or the package for its protocol is missing.
        OSError: if the file is not there.
    """

    origin: StoredFile | None = None
    """What this was taken out of, where it was compressed or in an archive."""

    is_whole = True
    """Whether these are all bytes of what the name means; else the first ones, as many as needed."""

    def __init__(self, name: str | os.PathLike[str], place: str | None = None) -> None:
        self.name = os.fspath(name)
        self.place = self.name if place is None else place
        self.is_remote = is_remote(self.place)
        self.size, self._stamp = self._look()

    def _look(self) -> tuple[int, str]:
        """Size, and what changes when the content does."""
        if not self.is_remote:
            return _size_and_stamp(os.stat(self.place))  # noqa: PTH116
        system, path = self._remote
        system.invalidate_cache(path)
        return int(system.info(path)["size"]), str(system.ukey(path))

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        return file_system(self.place)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_remote"}

    def check_unchanged(self) -> None:
        """Raise InputError if the file is not the one that was opened first."""
        self._compare(self._look())

    def _compare(self, found: tuple[int, str]) -> None:
        if self.origin is not None:
            self.origin.check_unchanged()
        if found != (self.size, self._stamp):
            size = f": it had {self.size} bytes and has {found[0]}" if found[0] != self.size else ""
            raise InputError(
                f"{self.name}: the file has changed since it was opened{size}; open it again, and "
                "let nothing write to it while it is read"
            )

    @contextmanager
    def _local(self) -> Iterator[BinaryIO]:
        with Path(self.place).open("rb") as file:
            self._compare(_size_and_stamp(os.fstat(file.fileno())))
            yield file
            self._compare(_size_and_stamp(os.fstat(file.fileno())))

    def read(self, begin: int, end: int) -> bytes:
        """Bytes [begin, end).

        Raises:
            InputError: if the file has changed since it was opened.
            CorruptFileError: if it ends before.
        """
        if self.is_remote:
            self.check_unchanged()
            system, path = self._remote
            data = (
                cast("bytes", system.cat_file(path, start=begin, end=end)) if end > begin else b""
            )
        else:
            with self._local() as file:
                file.seek(begin)
                data = file.read(end - begin)
        if len(data) != end - begin:
            raise self._cut_short(begin, end)
        return data

    def read_into(self, begin: int, out: NDArray[Any]) -> None:
        """Fill a contiguous array with the bytes from ``begin`` on, as they are in the file.

        Raises:
            InputError: if the file has changed since it was opened.
            CorruptFileError: if it ends before.
        """
        target = out.reshape(-1).view(np.uint8)
        if self.is_remote:
            target[:] = np.frombuffer(self.read(begin, begin + target.size), np.uint8)
            return
        with self._local() as file:
            file.seek(begin)
            filled = 0
            while filled < target.size:
                count = file.readinto(target[filled:].data)  # type: ignore[attr-defined]
                if not count:
                    raise self._cut_short(begin, begin + target.size)
                filled += count

    def _cut_short(self, begin: int, end: int) -> CorruptFileError:
        return CorruptFileError(f"{self.name}: bytes {begin} to {end} cannot be read to the end")

    def head(self, length: int = HEAD_BYTES) -> bytes:
        """The first bytes, at most so many."""
        return self.read(0, min(self.size, length))

    def open(self) -> BinaryIO:
        """The file from its first byte on, for those who read it in order and close it.

        Raises:
            InputError: if the file has changed since it was opened first.
        """
        self.check_unchanged()
        if self.is_remote:
            system, path = self._remote
            return cast("BinaryIO", system.open(path, "rb"))
        return Path(self.place).open("rb")


def _size_and_stamp(status: os.stat_result) -> tuple[int, str]:
    return status.st_size, str(status.st_mtime_ns)
