"""Opening what a command reads, and checking what it is going to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emcomp.errors import InputError
from emcomp.io.inputs import Options
from emcomp.io.reading import Duplicates, WordVectors, kept_rows
from emcomp.io.sources.base import FirstRows, KeptRows, Source
from emcomp.tables.opening import open_input
from emcomp.tables.table import CompressedEmbedding
from emcomp.tables.verification import table_files
from emcomp.vocabulary.given_words import check_number_of_words, given_words
from emcomp.vocabulary.word_list import WordList

if TYPE_CHECKING:
    from emcomp.io.sources.opened import OpenedSource


def read_input(
    path: Path | str,
    *,
    input_format: str | None = None,
    words: Path | None = None,
    member: str | None = None,
    tensor: str | None = None,
    column: str | None = None,
    words_column: str | None = None,
    dtype: str | None = None,
    shape: tuple[int | None, int] | None = None,
    limit: int | None = None,
    duplicates: Duplicates = "error",
    threads: int | None = None,
    streamed: bool = False,
) -> tuple[Source, WordList | None]:
    """The rows and the words of what a command takes: vectors, or a compressed table.

    Raises:
        InputError: if the options do not fit the file.
    """
    options = Options(input_format, member, tensor, column, words_column, dtype, shape, threads)
    opened = open_input(
        path, options, limit=limit, duplicates=duplicates, words=words, streamed=streamed
    )
    if isinstance(opened, WordVectors):
        return opened, opened.words
    if isinstance(opened, CompressedEmbedding):
        if options != Options(threads=threads):
            raise InputError(f"{path}: an emcomp file needs none of the options of other formats")
        own = table_words(opened, words)
        if limit is None or limit >= len(opened):
            return opened, own
        part = WordVectors(opened.decode(0, limit), own and own[:limit])
        return part, part.words
    return _first_of_each(opened, words, limit, duplicates)


def _first_of_each(
    source: OpenedSource, given: Path | None, limit: int | None, duplicates: Duplicates
) -> tuple[Source, WordList | None]:
    """Rows and words of a source as a command asks for them."""
    rows = source.shape[0] if limit is None else min(limit, source.shape[0])
    if given is None:
        words = source.words(0, rows)
    elif source.has_words and not source.words_guessed:
        raise InputError(f"{source.name}: has words of its own; --words is for files without")
    else:
        words = given_words(given, source.shape[0])
        words = words[:rows] if len(words) == source.shape[0] else words
        check_number_of_words(words, rows, given)
    taken: Source = source if rows == source.shape[0] else FirstRows(source, rows)
    if words is None or duplicates == "error":
        return taken, words  # who needs distinct words says which are not
    kept = kept_rows(words, duplicates)
    return (taken, words) if kept is None else (KeptRows(taken, kept), words.take(kept))


def table_words(table: CompressedEmbedding, words: Path | None = None) -> WordList | None:
    """The words of a compressed table: its own, or those of a file for one that has none.

    Raises:
        InputError: if there are both, or the file has another number of words.
    """
    if table.words is None:
        if words is None:
            return None
        given = given_words(words, len(table))
        check_number_of_words(given, len(table), words)
        return given
    if words is not None:
        raise InputError("the table has words of its own; --words is for tables without")
    packed = table.words.tensors()
    return WordList(packed["vocabulary.bytes"], packed["vocabulary.offsets"])


def check_output(path: Path, *inputs: Path | str | None, folder: bool = False) -> None:
    """Find out before long work that a file could not be written.

    Raises:
        InputError: if it is one of the inputs.
        OSError: if it is a folder where a file is wanted, or its folder is not there or cannot be written to.
    """
    for read in inputs:
        is_there = isinstance(read, Path) and path.exists() and read.exists()
        if is_there and path.samefile(str(read)):
            raise InputError(f"{path} is an input too: choose another name for the output")
    if path.is_dir() and not folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    parent = path.resolve().parent
    if not parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "cannot create files here", str(parent))


def stored_bytes(path: Path) -> int:
    """Bytes of a table's files."""
    return sum(file.stat().st_size for file in table_files(path))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let errors of the system name the output, not the temporary file beside it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
