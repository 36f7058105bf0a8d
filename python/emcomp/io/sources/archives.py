"""Zip and tar archives: which of their files holds the vectors."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, NamedTuple, TypeVar

from emcomp._support.sizes import format_bytes
from emcomp.errors import FormatError, InputError
from emcomp.io.formats.recognition import HEAD_BYTES, Beginning, recognise
from emcomp.io.sources.decompression import (
    BLOCK_BYTES,
    Wrapping,
    copy_blocks,
    naming_damage,
    wrapping_of,
)
from emcomp.io.sources.files import StoredFile

_MOST_MEMBERS = 10_000
_LISTED = 20
_TRIED = 100
"""Members of an archive whose beginnings are looked at."""

T = TypeVar("T")


class _Member(NamedTuple):
    name: str
    size: int


def chosen_member(file: StoredFile, wrapping: Wrapping, wanted: str | None) -> str:
    """The name of the member to take: the one wanted, or the only one that may hold vectors."""
    with naming_damage(wrapping):
        return _in_archive(file, wrapping, partial(_choose, wanted=wanted))


def _choose(
    members: list[_Member], open_member: Callable[[str], BinaryIO], *, wanted: str | None
) -> str:
    if wanted is not None:
        same = [m.name for m in members if m.name == wanted] or [
            m.name for m in members if m.name.rpartition("/")[2] == wanted
        ]
        if len(same) != 1:
            raise InputError(f"no member {wanted!r} in the archive; it has {_listed(members)}")
        return same[0]
    if len(members) == 1:
        return members[0].name
    found = []
    for member in members[:_TRIED]:
        with open_member(member.name) as opened:
            if _may_be_vectors(opened.read(HEAD_BYTES), member.size):
                found.append(member)
    if not found:
        raise FormatError(f"no file of the archive is one of vectors; it has {_listed(members)}")
    if len(found) > 1:
        raise FormatError(
            "several files of the archive may be meant; name one with member=, on the command line "
            f"--member: {_listed(found)}"
        )
    return found[0].name


def _may_be_vectors(head: bytes, size: int) -> bool:
    if wrapping_of(head) is not None:
        return True
    try:
        recognise(Beginning(head, size))
    except (FormatError, InputError):
        return False
    return True


def extract(
    file: StoredFile, wrapping: Wrapping, member: str, limit: int | None, out: BinaryIO
) -> bool:
    """Write a member of an archive, or as much of it as a limit needs; whether it is all."""

    def write(members: list[_Member], open_member: Callable[[str], BinaryIO]) -> bool:
        packed = file.size if wrapping == "zip" else dict(members)[member]
        with open_member(member) as opened:
            blocks = iter(lambda: opened.read(BLOCK_BYTES), b"")
            return copy_blocks(blocks, out, packed, limit)

    with naming_damage(wrapping):
        return _in_archive(file, wrapping, write)


def copy_member(file: StoredFile, member: str, out: BinaryIO) -> bool:
    """Write a member of a zip file, decompressed."""
    return extract(file, "zip", member, None, out)


def _in_archive(
    file: StoredFile,
    wrapping: Wrapping,
    use: Callable[[list[_Member], Callable[[str], BinaryIO]], T],
) -> T:
    """Call ``use`` with the files of an archive, and what opens one by its name."""
    with file.open() as opened:
        if wrapping == "zip":
            with zipfile.ZipFile(opened) as archive:
                infos = archive.infolist()[:_MOST_MEMBERS]
                held = [
                    _Member(i.filename, i.file_size)
                    for i in infos
                    if i.filename and not i.filename.endswith("/")
                ]
                return use(_plain(held), lambda name: archive.open(name))  # type: ignore[arg-type, return-value]
        with tarfile.open(fileobj=opened, mode="r:") as tar:
            entries: dict[str, tarfile.TarInfo] = {}
            while len(entries) < _MOST_MEMBERS and (entry := tar.next()) is not None:
                if entry.isreg():
                    entries[entry.name] = entry
            held = [_Member(name, entry.size) for name, entry in entries.items()]
            return use(_plain(held), lambda name: tar.extractfile(entries[name]))  # type: ignore[arg-type, return-value]


def _plain(members: list[_Member]) -> list[_Member]:
    """The files that people put into an archive, without what systems add."""
    return [
        member
        for member in members
        if not member.name.startswith("__MACOSX/")
        and not member.name.rpartition("/")[2].startswith((".", "_"))
    ]


def _listed(members: list[_Member]) -> str:
    shown = [f"{m.name!r} ({format_bytes(m.size)})" for m in members[:_LISTED]]
    more = len(members) - len(shown)
    return (", ".join(shown) or "no files") + (f" and {more} more" if more > 0 else "")
