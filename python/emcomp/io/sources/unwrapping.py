"""Files in archives and compressed files, copied to temporary files from which they are read.

Compressed text is not parsed as it is decompressed: a pass would then decompress it again, and rows
could only be read in order.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

from emcomp._support.sizes import format_bytes
from emcomp.errors import CorruptFileError, EmcompError, FormatError, InputError
from emcomp.io.formats.recognition import (
    HEAD_BYTES,
    SAMPLED_LINES,
    TEXT_FORMATS,
    ZIP_MAGIC,
    Beginning,
    has_words_and_numbers,
    is_of_the_system,
    kind_of_zip,
    parse_header,
    recognise,
    recognise_text,
    zip_names,
)
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.temporary import TemporaryFile

Wrapping = Literal["gzip", "bzip2", "xz", "zstd", "zip", "tar"]

_STREAMS: tuple[tuple[bytes, Wrapping], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)

_MOST_LAYERS = 3
"""Such as a file in a tar in a gzip."""

_MOST_MEMBERS = 10_000
_LISTED = 20
_TRIED = 100
"""Members of an archive whose beginnings are looked at."""

_READ_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 20

_FREE_BYTES = 1 << 28
_LARGEST_RATIO = 100
"""No more than the first are written for a file that expands to more than the second of its size:
vectors hardly compress, and a small file could fill the disk."""

_LONGEST_NAMES = 100
"""Bytes of a word on average, when as much of a binary file is decompressed as a limit asks for."""

T = TypeVar("T")


class _Member(NamedTuple):
    name: str
    size: int


def wrapping_of(head: bytes) -> Wrapping | None:
    """What a file that begins with ``head`` is wrapped in; None where it is not."""
    # What is in these may be text; of what is compressed, lines of numbers are not left.
    if head.startswith(ZIP_MAGIC):
        return "zip"
    if head[257:262] == b"ustar" and b"\0" in head[:257]:
        return "tar"
    if has_words_and_numbers(head):
        return None
    return next((wrapping for magic, wrapping in _STREAMS if head.startswith(magic)), None)


def unwrapped(file: StoredFile, member: str | None, limit: int | None = None) -> StoredFile:
    """The file itself, or what it is wrapped in taken off, layer by layer.

    Args:
        file: the file.
        member: which file of an archive to take, where several may be meant.
        limit: vectors that are wanted: no more than these need is decompressed.

    Raises:
        InputError: if there is no such member, ``member`` is given for what is no archive, or a
            library that the compression needs is missing.
        FormatError: if an archive has no file of vectors, or several.
        CorruptFileError: if the file is damaged.
    """
    origin = file
    for _ in range(_MOST_LAYERS):
        wrapping = wrapping_of(file.head())
        if wrapping == "zip" and kind_of_zip(zip_names(file)) != "archive":
            wrapping = None
        if wrapping is None:
            if member is not None:
                raise InputError(
                    f"member {member!r} is asked for, and this is no zip or tar archive"
                )
            if file is not origin:
                file.origin = origin
            return file
        if wrapping in ("zip", "tar"):
            taken = _chosen(file, wrapping, member)
            member = None
            file = TemporaryFile(
                f"{file.name}: {taken}", partial(_extract, file, wrapping, taken, limit)
            )
        else:
            file = TemporaryFile(file.name, partial(_decompress, file, wrapping, limit))
        if file.size == 0:
            raise FormatError(f"{file.name}: the file is empty")
    raise FormatError(f"{file.name}: wrapped more than {_MOST_LAYERS} times; unpack it first")


# ---- compressed files


def _decompress(file: StoredFile, wrapping: Wrapping, limit: int | None, out: BinaryIO) -> bool:
    with _damage(wrapping), file.open() as opened:
        return _copy(_blocks(opened, wrapping), out, file.size, limit)


def _blocks(file: BinaryIO, wrapping: Wrapping) -> Iterator[bytes]:
    if wrapping == "gzip":
        return _gunzip(file)
    stream: Any
    if wrapping == "bzip2":
        stream = bz2.BZ2File(file)
    elif wrapping == "xz":
        stream = lzma.LZMAFile(file)  # noqa: SIM115
    else:
        stream = _zstd_reader(file)
    return iter(lambda: stream.read(_BLOCK_BYTES), b"")


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """As the gzip module, faster: zlib checks the sums itself, and reads larger pieces."""
    decoder = zlib.decompressobj(31)
    is_begun = False
    while data := file.read(_READ_BYTES):
        while data:
            is_begun = True
            yield decoder.decompress(data, _BLOCK_BYTES)
            data = decoder.unconsumed_tail
            if decoder.eof:  # another part may follow, or zeros that fill a block up
                data = decoder.unused_data.lstrip(b"\0")
                decoder = zlib.decompressobj(31)
                is_begun = False
    if is_begun:
        raise EOFError("it ends before its end is marked")


def _zstd_reader(file: BinaryIO) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]

        return zstd.ZstdFile(file)
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError as error:
        raise InputError(
            "compressed with zstd, which needs Python 3.14 or the package zstandard (pip install "
            "zstandard); or decompress it with 'zstd -d'"
        ) from error
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


@contextmanager
def _damage(wrapping: Wrapping) -> Iterator[None]:
    try:
        yield
    except (EmcompError, MemoryError):
        raise
    except Exception as error:  # what unpacks does not say what it may raise
        if is_of_the_system(error):
            raise
        raise CorruptFileError(f"the {wrapping} file is damaged: {error}") from error


def _copy(blocks: Iterator[bytes], out: BinaryIO, packed: int, limit: int | None) -> bool:
    """Write blocks until all, or what a limit needs, is there; whether it is all.

    Raises:
        FormatError: if they are far more than ``packed`` bytes should give.
    """
    written = 0
    head = b""
    needed: _Needed | None = None
    for block in blocks:
        if limit is not None and len(head) < HEAD_BYTES:
            head += block
            if len(head) >= HEAD_BYTES:
                needed = _needed(head, limit)
        out.write(block)
        written += len(block)
        if written > max(_FREE_BYTES, _LARGEST_RATIO * packed):
            raise FormatError(
                f"it expands to more than {_LARGEST_RATIO} times its size: unpack it yourself if "
                "that is right"
            )
        if needed is not None and needed.is_there(written, head, block):
            return False
    return True


class _Needed:
    """How much of a file holds some vectors: lines, or bytes."""

    def __init__(self, lines: int | None, size: int | None) -> None:
        self._lines = lines
        self._size = size
        self._found: int | None = None

    def is_there(self, written: int, head: bytes, block: bytes) -> bool:
        if self._lines is None:
            return self._size is not None and written >= self._size
        self._found = head.count(b"\n") if self._found is None else self._found + block.count(b"\n")
        return self._found > self._lines


def _needed(head: bytes, limit: int) -> _Needed | None:
    try:
        kind = recognise_text(head) if wrapping_of(head) is None else None
    except (FormatError, InputError):
        return None
    if kind in TEXT_FORMATS:
        return _Needed(limit + SAMPLED_LINES + 2, None)
    header = parse_header(head)
    if kind == "word2vec-binary" and header is not None:
        return _Needed(None, header.length + limit * (4 * header.dim + _LONGEST_NAMES))
    return None


# ---- archives


def _chosen(file: StoredFile, wrapping: Wrapping, wanted: str | None) -> str:
    """The name of the member to take: the one wanted, or the only one that may hold vectors."""
    with _damage(wrapping):
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


def _extract(
    file: StoredFile, wrapping: Wrapping, member: str, limit: int | None, out: BinaryIO
) -> bool:
    def extract(members: list[_Member], open_member: Callable[[str], BinaryIO]) -> bool:
        packed = file.size if wrapping == "zip" else dict(members)[member]
        with open_member(member) as opened:
            blocks = iter(lambda: opened.read(_BLOCK_BYTES), b"")
            return _copy(blocks, out, packed, limit)

    with _damage(wrapping):
        return _in_archive(file, wrapping, extract)


def copy_member(file: StoredFile, member: str, out: BinaryIO) -> bool:
    """Write a member of a zip file, decompressed."""
    return _extract(file, "zip", member, None, out)


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
