"""Opening what a command reads, and checking what it is going to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import emcomp
from emcomp.errors import InputError
from emcomp.io.sources.base import FirstRows
from emcomp.tables.opening import way_in
from emcomp.tables.verification import table_files
from emcomp.vocabulary.word_list import WordList

if TYPE_CHECKING:
    from emcomp.io.reading import Duplicates
    from emcomp.io.sources.base import Source
    from emcomp.io.sources.opened import OpenedSource
    from emcomp.tables.table import CompressedEmbedding


def read_input(
    path: Path | str,
    *,
    input_format: str | None,
    words: Path | None,
    tensor: str | None,
    column: str | None,
    words_column: str | None,
    limit: int | None,
    duplicates: Duplicates,
    threads: int | None,
    streamed: bool = False,
) -> tuple[Source, WordList | None]:
    """The rows and the words of what a command takes: vectors, or a compressed table.

    Raises:
        InputError: if the options do not fit the file.
    """
    way = way_in(path, streamed=streamed)
    if way == "streamed":
        if duplicates != "error":
            raise InputError(
                f"{path}: is not read whole, so that duplicate words must stay an error"
            )
        source = emcomp.open_source(
            path,
            format=input_format,
            tensor=tensor,
            column=column,
            words_column=words_column,
            threads=threads,
        )
        if limit is None or limit >= source.shape[0]:
            return source, _words_of_source(source, words, source.shape[0])
        return FirstRows(source, limit), _words_of_source(source, words, limit)
    if column is not None or words_column is not None:
        raise InputError(f"{path}: columns are for Parquet and Arrow files")
    if way == "vectors":
        vectors = emcomp.read_vectors(
            path,
            format=input_format,
            words=words,
            tensor=tensor,
            limit=limit,
            duplicates=duplicates,
            threads=threads,
        )
        return vectors, vectors.words
    if input_format is not None or tensor is not None:
        raise InputError(f"{path}: an emcomp file needs no format and no tensor's name")
    table = emcomp.open(path)
    own = table_words(table, words)
    if limit is None or limit >= len(table):
        return table, own
    part = emcomp.WordVectors(table.decode(0, limit), own and own[:limit])
    return part, part.words


def _words_of_source(source: OpenedSource, given: Path | None, rows: int) -> WordList | None:
    if given is None:
        return source.words(0, rows)
    if source.has_words:
        raise InputError(f"{source.name}: has words of its own; --words is for files without")
    words = WordList.from_lines(given.read_bytes())[:rows]
    if len(words) != rows:
        raise InputError(f"{given}: {len(words)} words for {rows} rows")
    return words


def table_words(table: CompressedEmbedding, words: Path | None = None) -> WordList | None:
    """The words of a compressed table: its own, or those of a file for one that has none.

    Raises:
        InputError: if there are both, or the file has another number of words.
    """
    if table.words is None:
        given = None if words is None else WordList.from_lines(words.read_bytes())
        if given is not None and len(given) != len(table):
            raise InputError(f"{words}: {len(given)} words for {len(table)} rows")
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
        if isinstance(read, Path) and path.exists() and read.exists() and path.samefile(read):
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
