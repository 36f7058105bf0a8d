"""Opening compressed tables, and telling what else a path may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from emcomp.codecs.base import stored_codec
from emcomp.io.reading import read_vectors
from emcomp.io.sources.base import Source, as_source
from emcomp.io.sources.opening import only_streams, open_source
from emcomp.tables import container
from emcomp.tables.origin import Origin
from emcomp.tables.shard_index import INDEX
from emcomp.tables.sharded import open_sharded
from emcomp.tables.table import CompressedEmbedding
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
    if place.is_dir() and os.fspath(path):
        return open_sharded(place)
    origin = Origin.of(place, place, open)
    with container.open(path) as opened:
        codec, shape, reader = opened.read_table()
        tensors = {name: opened.tensor(name) for name in opened.names}
        info = opened.table["info"]
    words = None
    if any(name.startswith("vocabulary.") for name in tensors):
        words = Vocabulary.from_tensors(tensors)
        tensors = {n: t for n, t in tensors.items() if not n.startswith("vocabulary.")}
    table = CompressedEmbedding(stored_codec(codec), shape, tensors, words, info, reader)
    table.origin = origin
    return table


def way_in(
    path: str | os.PathLike[str], *, streamed: bool = False
) -> Literal["table", "streamed", "vectors"]:
    """What opens a path: `open`, `open_source` or `read_vectors`.

    Args:
        path: file, folder, glob or URL.
        streamed: never read a file of vectors whole: less fast, in memory that does not depend on
            its size, and in any process.

    Raises:
        InputError: if it is a folder or glob without files, or a URL that cannot be opened.
        OSError: if it cannot be read.
    """
    if Path(path).exists() and recognises(Path(path)):
        return "table"
    return "streamed" if streamed or only_streams(path) else "vectors"


def open_table(
    X: Any, dtype: str | None = None, *, threads: int | None = None, streamed: bool = False
) -> Source:
    """A source over an array, a source itself, or a path of vectors or a compressed table.

    Files that hold an array as it is, and emcomp files, are mapped, not read; text is read.

    Args:
        X: array, source or path.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        threads: threads to parse text with.
        streamed: as for `way_in`.

    Raises:
        InputError: if X is none of these.
        FormatError: if the file cannot be read.
    """
    if not isinstance(X, (str, os.PathLike)):
        return as_source(X, dtype)
    way = way_in(X, streamed=streamed or dtype is not None)
    if way == "table":
        return open(X)
    return (
        open_source(X, dtype=dtype, threads=threads)
        if way == "streamed"
        else read_vectors(X, threads=threads)
    )
