"""Which kind of vector file this is, told from its first bytes and never from its name."""

from __future__ import annotations

import errno
import mmap
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.columns_of_text import is_csv
from emcomp.io.formats.signatures import (
    READ,
    REFUSED,
    TABLE_BEGIN,
    TABLE_HEAD_BYTES,
    TABLE_SENTENCE,
    is_table,
)
from emcomp.vocabulary.word_files import UTF8_MARK

__all__ = ["TABLE_BEGIN", "TABLE_HEAD_BYTES", "is_table"]

VectorFormat = Literal[
    "glove", "word2vec", "word2vec-binary", "glove-binary", "fasttext", "csv", "numbers",
    "npy", "npz", "safetensors", "torch", "gguf", "hdf5", "parquet", "arrow", "gensim",
]  # fmt: skip

ZIP_MAGIC = (b"PK\3\4", b"PK\5\6")

TEXT_FORMATS = ("glove", "word2vec", "csv", "numbers")

HEAD_BYTES = 1 << 20
"""How much of a file is looked at; of text, more where a line is longer."""

LINE_BYTES = 16 << 20
"""The longest line of text that is read."""

SAMPLED_LINES = 100
"""Lines that tell how text is laid out."""

_BLANKS = b" \t\r"


class Header(NamedTuple):
    """The first line of word2vec's formats."""

    rows: int
    dim: int
    length: int
    """Bytes of the line with its newline, and of a mark before it."""


class HeadedFile(Protocol):
    """What is needed of a file to tell how its text is laid out."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def head(self, length: int = HEAD_BYTES) -> bytes:
        """The first bytes, at most so many."""
        ...


class OpenableFile(HeadedFile, Protocol):
    """What is needed of a file to tell what it is."""

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

    def head(self, length: int = HEAD_BYTES) -> bytes:
        """The first bytes."""
        return self._map[:length]

    def forget(self, begin: int, end: int) -> None:
        """Let the system take back the memory of pages in [begin, end) that were read."""
        if hasattr(mmap, "MADV_DONTNEED"):
            begin = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
            end = end // mmap.PAGESIZE * mmap.PAGESIZE
            if begin < end:
                self._map.madvise(mmap.MADV_DONTNEED, begin, end - begin)


class Beginning:
    """What is known of a file of which only the first bytes are there."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self.size = size

    def head(self, length: int = HEAD_BYTES) -> bytes:
        """The first bytes."""
        return self._head[:length]

    def open(self) -> BinaryIO:
        """No file: what must be looked at as a whole is none of a known format."""
        raise FormatError("a zip file of which only the beginning is there")


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before the message of an error about its content, if it is not there."""
    try:
        yield
    except (CorruptFileError, FormatError, InputError) as error:
        if str(error).startswith(f"{os.fspath(path)}: "):
            raise
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def is_of_the_system(error: BaseException) -> bool:
    """Whether an error is one of reading the file, and not of a place in it that cannot be."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def check_format(name: str) -> VectorFormat:
    """``name`` where it is the name of a format.

    Raises:
        InputError: if it is not.
    """
    for known in get_args(VectorFormat):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"unknown format {name!r}: one of {', '.join(get_args(VectorFormat))}")


def recognise(file: OpenableFile) -> VectorFormat:
    """The format of a file that is not wrapped in an archive or compressed.

    Raises:
        FormatError: if it is none that can be read, saying what it is or how it begins.
    """
    head = file.head()
    if head.startswith(ZIP_MAGIC):
        return _recognise_zip(file)
    if has_words_and_numbers(head):
        return recognise_text(text_head(file))
    if is_table(head):
        raise FormatError(TABLE_SENTENCE)
    if 2 <= int.from_bytes(head[:8], "little") <= file.size - 8 and head[8:9] == b"{":
        return "safetensors"
    for kind, matches in READ:
        if matches(head):
            return kind  # type: ignore[return-value]
    for refused in REFUSED:
        if refused.matches(head):
            raise FormatError(refused.sentence)
    if is_old_fasttext(head):
        return "fasttext"
    return recognise_text(text_head(file))


def has_words_and_numbers(head: bytes) -> bool:
    """Whether most lines end with as many numbers, so that a first word may be whatever it likes."""
    counts = Counter(_core.count_fields(line)[1] for line in whole_lines(head, 0))
    numbers, lines = counts.most_common(1)[0]
    return numbers > 0 and 2 * lines > counts.total()


def zip_names(file: OpenableFile) -> list[str]:
    """The names in a zip file.

    Raises:
        CorruptFileError: if it is damaged.
    """
    try:
        with file.open() as opened, zipfile.ZipFile(opened) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise CorruptFileError(
            f"it begins as a zip file (an archive, npz, or torch checkpoint) and is damaged: {error}"
        ) from error


def kind_of_zip(names: list[str]) -> Literal["npz", "torch", "archive"]:
    """What the names in a zip file tell of it."""
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return "torch"
    return "npz" if all(name.endswith(".npy") for name in names) else "archive"


def _recognise_zip(file: OpenableFile) -> VectorFormat:
    kind = kind_of_zip(zip_names(file))
    if kind == "archive":
        raise FormatError("an archive within an archive: unpack it first")
    return kind


def is_old_fasttext(head: bytes) -> bool:
    """Whether these are the arguments of a fastText model of before the format had a number."""
    if len(head) < 64:
        return False
    values = [int.from_bytes(head[i : i + 4], "little", signed=True) for i in range(0, 44, 4)]
    dim, window, epochs, least, negatives, grams, loss, kind, buckets, shortest, longest = values
    small = all(1 <= value <= 10_000 for value in (dim, window, epochs, grams))
    kinds = 1 <= loss <= 4 and 1 <= kind <= 3
    rest = 0 <= least < 1 << 20 and 0 <= negatives < 1 << 10 and buckets >= 0
    return small and kinds and rest and 0 <= shortest <= longest <= 100


# ---- text


def text_head(file: HeadedFile) -> bytes:
    """The first bytes of a text: with its first two lines, unless these are longer than any is."""
    head = file.head()
    if file.size > len(head) and head.count(b"\n") < 2 and b"\0" not in head[:1000]:
        head = file.head(LINE_BYTES)
    return head


def parse_header(head: bytes) -> Header | None:
    """The header line that ``head`` begins with, or None where it begins with something else."""
    mark = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    line, newline, _ = head[mark:].partition(b"\n")
    fields = line.split()
    # No table has more than 2^62 rows or columns; longer digits are not counts.
    if not newline or len(fields) != 2 or any(not f.isdigit() or len(f) > 18 for f in fields):
        return None
    return Header(int(fields[0]), int(fields[1]), mark + len(line) + 1)


def whole_lines(head: bytes, begin: int) -> list[bytes]:
    """Lines from ``begin`` on that tell how text is laid out, the last one left out if it is cut."""
    lines = head[begin:].split(b"\n", SAMPLED_LINES)
    return lines[:-1] or lines


def recognise_text(head: bytes) -> VectorFormat:
    """The format of a text, or of word2vec's binary format, which begins as one.

    Raises:
        FormatError: if it is none of these, showing the first line.
    """
    header = parse_header(head)
    if header is None:
        return _without_header(head)
    line = head[header.length :].partition(b"\n")[0].rstrip(_BLANKS)
    fields, numbers = _core.count_fields(line)
    is_readable = _is_readable(head[header.length : header.length + 4000])
    if is_readable and fields == 2 and numbers >= 1 and header.dim != 1:
        return _without_header(head)  # one number to a word: the first line is one like the others
    if numbers >= max(header.dim, 1) or (is_readable and (numbers > 0 or not line)):
        return "word2vec"
    if is_readable:
        raise FormatError(_quoted(head, "no numbers follow"))
    return "word2vec-binary"


def _without_header(head: bytes) -> VectorFormat:
    begin = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    lines = [line for line in whole_lines(head, begin) if line.strip(_BLANKS)]
    counts = [_core.count_fields(line) for line in lines]
    with_numbers = sum(numbers > 0 for _, numbers in counts)
    if is_csv(lines):
        return "csv"
    if 2 * with_numbers <= len(lines):
        raise FormatError(_quoted(head[begin:], "a line of text would have a word and numbers"))
    if any(numbers < fields for fields, numbers in counts):
        return "glove"
    return _only_numbers(lines)


def _only_numbers(lines: list[bytes]) -> VectorFormat:
    """Numbers alone, or numbers after words that are whole numbers."""
    fields = [line.split() for line in lines]
    if not all(line[0].isdigit() for line in fields):
        return "numbers"
    if all(field.lstrip(b"+-").isdigit() for line in fields for field in line[1:]):
        raise FormatError(
            "every field is a whole number, so that it cannot be told whether lines begin with "
            "words: format='glove' says so, format='numbers' says that they do not"
        )
    if len({line[0] for line in fields}) < len(fields):
        return "numbers"
    return "glove"


def _is_readable(text: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\r\n" for byte in text)


def _quoted(head: bytes, wanted: str) -> str:
    line = head.partition(b"\n")[0].rstrip(b"\r")
    shown = line[:60].decode("utf-8", "replace")
    return (
        f"not a vector file of a known format: {wanted}, and its first line is {shown!r}"
        f"{'...' if len(line) > 60 else ''}"
    )
