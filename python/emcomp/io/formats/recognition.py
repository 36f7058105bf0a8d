"""Which kind of vector file this is, told from its first bytes."""

from __future__ import annotations

import gzip
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError, InputError

VectorFormat = Literal[
    "glove", "word2vec", "word2vec-binary", "fasttext", "npy", "npz", "safetensors"
]

HEAD_BYTES = 1 << 20
"""How much of a file is looked at; longer than any line of text ought to be."""

_SPACES = b" \t\r"

TABLE_BEGIN = rb'{"__metadata__":{"emcomp":"{\"format\":'
"""What follows the header's length in every emcomp file: its JSON is written with sorted keys, and
tensor names begin with a small letter."""
TABLE_HEAD_BYTES = 8 + len(TABLE_BEGIN)
"""Bytes that tell whether a file is an emcomp file."""


class Header(NamedTuple):
    """The first line of word2vec's formats."""

    rows: int
    dim: int
    length: int
    """Bytes of the line with its newline."""


class HeadedFile(Protocol):
    """What is needed of a file to tell what it is."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def head(self) -> bytes:
        """The first bytes, ``HEAD_BYTES`` at most."""
        ...

    def open(self) -> BinaryIO:
        """The file from its first byte on."""
        ...


class MappedFile:
    """A file in memory as the system pages it in, read-only."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            if self.size == 0:
                raise FormatError("the file is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)

    def last_newline(self, begin: int, end: int) -> int:
        """Position of the last newline in [begin, end), or -1."""
        return self._map.rfind(b"\n", begin, end)

    def head(self) -> bytes:
        """The first bytes."""
        return self._map[:HEAD_BYTES]

    def open(self) -> BinaryIO:
        """The file from its first byte on."""
        return self.path.open("rb")

    def forget(self, begin: int, end: int) -> None:
        """Let the system take back the memory of pages in [begin, end) that were read."""
        if hasattr(mmap, "MADV_DONTNEED"):
            begin = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
            end = end // mmap.PAGESIZE * mmap.PAGESIZE
            if begin < end:
                self._map.madvise(mmap.MADV_DONTNEED, begin, end - begin)


def is_table(head: bytes) -> bool:
    """Whether a file that begins with ``head``, of ``TABLE_HEAD_BYTES``, is an emcomp file."""
    return head[8:TABLE_HEAD_BYTES] == TABLE_BEGIN


def is_gzip(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is compressed."""
    return head[:2] == b"\x1f\x8b"


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before the message of an error about its content, if it is not there."""
    try:
        yield
    except (CorruptFileError, FormatError, InputError) as error:
        if str(error).startswith(f"{os.fspath(path)}: "):
            raise
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def text_head(file: HeadedFile) -> bytes:
    """The first bytes of the text itself, which may be compressed.

    Raises:
        CorruptFileError: if it is compressed and damaged.
    """
    head = file.head()
    if not is_gzip(head):
        return head
    try:
        with file.open() as compressed, gzip.open(compressed) as text:
            return text.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptFileError(f"the compressed text is damaged: {error}") from error


def parse_header(head: bytes) -> Header | None:
    """The header line that ``head`` begins with, or None where it begins with something else."""
    line, newline, _ = head.partition(b"\n")
    fields = line.split()
    # No table has more than 2^62 rows or columns; longer digits are not counts.
    if not newline or len(fields) != 2 or any(not f.isdigit() or len(f) > 18 for f in fields):
        return None
    return Header(int(fields[0]), int(fields[1]), len(line) + 1)


def recognise(file: HeadedFile) -> VectorFormat:
    """The format of a file.

    Raises:
        FormatError: if it is none that can be read.
    """
    head = file.head()
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "npz"
    if head.startswith((793712314).to_bytes(4, "little")):
        return "fasttext"
    if 2 <= int.from_bytes(head[:8], "little") <= file.size - 8 and head[8:9] == b"{":
        return "safetensors"
    head = text_head(file)
    header = parse_header(head)
    if header is None:
        if _numbers_at_end(_first_line(head)) > 0:
            return "glove"
    else:
        line = _first_line(head[header.length :])
        found = _numbers_at_end(line)
        if len(line.split()) == 2 and found == 1 and header.dim != 1:
            return "glove"  # one whole number to a word: the first line is a word like the others
        if found > 0 or not line:
            return "word2vec"
        return "word2vec-binary"
    raise FormatError(
        "not a vector file: neither text with a word and numbers on each line, nor word2vec binary, "
        "fastText, npy, npz or safetensors"
    )


def check_format(name: str) -> VectorFormat:
    """``name`` where it is the name of a format.

    Raises:
        InputError: if it is not.
    """
    for known in get_args(VectorFormat):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"unknown format {name!r}: one of {', '.join(get_args(VectorFormat))}")


def _first_line(head: bytes) -> bytes:
    return head.partition(b"\n")[0].rstrip(_SPACES)


def numbers_in(line: bytes) -> int:
    """Fields of a line, separated by spaces and tabs, after its first one."""
    return sum(map(bool, line.rstrip(_SPACES).replace(b"\t", b" ").split(b" "))) - 1


def _numbers_at_end(line: bytes) -> int:
    """Numbers that a line of text ends with, its first field aside; 0 if it is not text."""
    if any(byte < 32 and byte not in b"\t\r" for byte in line):
        return 0
    count = 0
    for field in reversed(line.split()[1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count
