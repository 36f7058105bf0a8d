"""Compressed files, decompressed block by block and no further than is needed."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

from emcomp.errors import CorruptFileError, EmcompError, FormatError, InputError
from emcomp.io.formats.recognition import (
    HEAD_BYTES,
    SAMPLED_LINES,
    TEXT_FORMATS,
    ZIP_MAGIC,
    is_of_the_system,
    parse_header,
    recognise_text,
)
from emcomp.io.sources.files import StoredFile

Wrapping = Literal["gzip", "bzip2", "xz", "zstd", "zip", "tar"]

_STREAMS: tuple[tuple[bytes, Wrapping], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    *((b"BZh%d" % size + mark, "bzip2") for size in range(1, 10) for mark in (b"1AY&", b"\x17rE8")),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)

_READ_BYTES = 1 << 18
BLOCK_BYTES = 1 << 20
"""Decompressed together."""

_FREE_BYTES = 1 << 28
_LARGEST_RATIO = 100
"""No more than the first are written for a file that expands to more than the second of its size:
vectors hardly compress, and a small file could fill the disk."""

_LONGEST_NAMES = 100
"""Bytes of a word on average, when as much of a binary file is decompressed as a limit asks for."""


def wrapping_of(head: bytes) -> Wrapping | None:
    """What a file that begins with ``head`` is wrapped in; None where it is not."""
    if head.startswith(ZIP_MAGIC):
        return "zip"
    if head[257:262] == b"ustar" and b"\0" in head[:257]:
        return "tar"
    return next((wrapping for magic, wrapping in _STREAMS if head.startswith(magic)), None)


def decompress(file: StoredFile, wrapping: Wrapping, limit: int | None, out: BinaryIO) -> bool:
    """Write what a file expands to, or as much as a limit needs; whether it is all."""
    with naming_damage(wrapping), file.open() as opened:
        return copy_blocks(_blocks(opened, wrapping), out, file.size, limit)


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
    return iter(lambda: stream.read(BLOCK_BYTES), b"")


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """As the gzip module, faster: zlib checks the sums itself, and reads larger pieces."""
    decoder = zlib.decompressobj(31)
    is_begun = False
    while data := file.read(_READ_BYTES):
        while data:
            is_begun = True
            yield decoder.decompress(data, BLOCK_BYTES)
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
def naming_damage(wrapping: Wrapping) -> Iterator[None]:
    """Whatever an unpacking library raises of a file, as an error of ours."""
    try:
        yield
    except (EmcompError, MemoryError):
        raise
    except Exception as error:  # what unpacks does not say what it may raise
        if is_of_the_system(error):
            raise
        raise CorruptFileError(f"the {wrapping} file is damaged: {error}") from error


def copy_blocks(blocks: Iterator[bytes], out: BinaryIO, packed: int, limit: int | None) -> bool:
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
