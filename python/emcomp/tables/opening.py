"""Opening compressed tables, and telling what else a path may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from emcomp.codecs.base import stored_codec
from emcomp.io.inputs import Options, recognised
from emcomp.io.reading import Duplicates, WordVectors, read_recognised
from emcomp.io.sources.base import Source, as_source
from emcomp.io.sources.opened import OpenedSource
from emcomp.io.sources.opening import open_files, open_recognised
from emcomp.io.sources.paths import located
from emcomp.tables import container
from emcomp.tables.origin import Origin
from emcomp.tables.shard_index import INDEX
from emcomp.tables.sharded import open_sharded
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


def open(  # noqa: A001
    path: str | os.PathLike[str], *, mapped: bool = True
) -> CompressedEmbedding:
    """Open a saved table: milliseconds for any size, pages shared between processes.

    The file is mapped, not read. Its header and small tensors are checked against their checksums;
    `verify` checks everything. A mapped file may be replaced by renaming another one into its place,
    and must not be written to: a large lookup, decode, bag or search that begins afterwards raises
    CorruptFileError.

    Args:
        path: a file, or a folder of shards.
        mapped: False to read all of it into memory and check every byte, where others may write to
            the file.

    Example:
        >>> emcomp.open("glove.emcomp")["cat"].shape
        (300,)

    Raises:
        FormatError: if the file is not an emcomp file, or of a newer format.
        CorruptFileError: if it is damaged or cut short.
        OSError: if it cannot be read.
    """
    place = Path(path)
    if place.is_dir() and os.fspath(path):
        return open_sharded(place, mapped=mapped)
    origin = Origin.of(place, place, open)
    with container.open(path, mapped=mapped) as opened:
        files = (opened.file,)
        codec, shape, reader = opened.read_table()
        tensors = {name: opened.tensor(name) for name in opened.names}
        info = opened.table["info"]
    words = None
    if any(name.startswith("vocabulary.") for name in tensors):
        words = Vocabulary.from_tensors(tensors)
        tensors = {n: t for n, t in tensors.items() if not n.startswith("vocabulary.")}
    table = CompressedEmbedding(stored_codec(codec), shape, tensors, words, info, reader)
    table.origin, table.files = origin, files
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
