"""Opening compressed tables, and telling what else a path may be."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emcomp.codecs.base import parse_codec
from emcomp.errors import FormatError, InputError
from emcomp.io.inputs import Options, recognised
from emcomp.io.reading import Duplicates, WordVectors, read_recognised
from emcomp.io.sources.base import Source, as_source
from emcomp.io.sources.opened import OpenedSource
from emcomp.io.sources.opening import open_files, open_recognised
from emcomp.io.sources.paths import located
from emcomp.tables import container
from emcomp.tables.origin import Origin
from emcomp.tables.sharded import INDEX, open_sharded
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.given_words import GivenWords
from emcomp.vocabulary.index import Vocabulary


def recognises(path: str | Path) -> bool:
    """Whether a file or folder is a compressed table; ``open`` says whether it is a good one.

    Raises:
        OSError: if it cannot be read.
    """
    place = Path(path)
    return (place / INDEX).is_file() if place.is_dir() else container.recognises(place)


def open(path: str | os.PathLike[str]) -> CompressedEmbedding:  # noqa: A001
    """Open a saved table: milliseconds for any size, pages shared between processes.

    The file is mapped, not read. Its header and small tensors are checked against their checksums;
    `verify` checks everything.

    Raises:
        FormatError: if the file is not an emcomp file, or of a newer format.
        CorruptFileError: if it is damaged or cut short.
        OSError: if it cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        return open_sharded(place)
    origin = Origin.of(place, place, open)
    opened = container.open(place)
    tensors = {name: opened.tensor(name) for name in opened.names}
    description: Mapping[str, Any] = opened.table
    words = None
    if any(name.startswith("vocabulary.") for name in tensors):
        words = Vocabulary.from_tensors(tensors)
        tensors = {n: t for n, t in tensors.items() if not n.startswith("vocabulary.")}
    try:
        codec = parse_codec(description["codec"])
        rows, dim = (operator.index(size) for size in description["shape"])
        info = dict(description["info"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: the description of the table is not valid: {error}") from error
    if rows < 1 or dim < 1 or (words is not None and len(words) != rows):
        raise FormatError(f"{path}: a table of {rows} x {dim} with {len(words or ())} words")
    try:
        codec.check((rows, dim))
        table = CompressedEmbedding(codec, (rows, dim), tensors, words, info)
    except (FormatError, InputError) as error:
        raise FormatError(f"{path}: {error}") from error
    table.origin = origin
    return table


def open_input(
    path: str | os.PathLike[str],
    options: Options,
    *,
    limit: int | None = None,
    duplicates: Duplicates = "error",
    words: GivenWords | None = None,
    streamed: bool = False,
) -> CompressedEmbedding | WordVectors | OpenedSource:
    """What is at a path: a compressed table; or vectors, read whole or, as a source, in blocks.

    A file on this machine is read whole, or mapped. Folders, patterns, URLs and files of columns are
    opened as sources, for which limit, duplicates and words are left to the caller.

    Args:
        path: file, folder, glob or URL.
        options: how to read vectors.
        limit: vectors to read, of a file that is read whole.
        duplicates: what to do with words that are there twice, of a file that is read whole.
        words: the words of a file that is read whole.
        streamed: never read a file of vectors whole: less fast, in memory that does not depend on
            its size, and in any process.

    Raises:
        InputError: if it is a folder or glob without files, or a URL that cannot be opened.
        FormatError: if it is none that can be read.
        OSError: if it cannot be read.
    """
    place = Path(path)
    if (place.is_dir() or place.is_file()) and recognises(place):
        return open(path)
    options.check()
    found = located(path)
    if isinstance(found, list):
        return open_files(os.fspath(path), found, options)
    options, words = options.with_rows(words)
    file = recognised(found, options, None if streamed else limit)
    if streamed or file.file.is_remote or file.kind in _COLUMNS:
        return open_recognised(file, options)
    return read_recognised(file, options, words=words, limit=limit, duplicates=duplicates)


_COLUMNS = ("parquet", "arrow", "hdf5", "index", "raw", "glove-binary")
"""Formats that are read in blocks, which is as fast."""


def open_table(
    X: Any, dtype: str | None = None, *, threads: int | None = None, streamed: bool = False
) -> Source:
    """A source over an array, a source itself, or a path of vectors or a compressed table.

    Files that hold an array as it is, and emcomp files, are mapped, not read; text is read.

    Args:
        X: array, source or path.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        threads: threads to parse text with.
        streamed: as for `open_input`.

    Raises:
        InputError: if X is none of these.
        FormatError: if the file cannot be read.
    """
    if not isinstance(X, (str, os.PathLike)):
        return as_source(X, dtype)
    options = Options(dtype=dtype, threads=threads)
    return open_input(X, options, streamed=streamed or dtype is not None)
