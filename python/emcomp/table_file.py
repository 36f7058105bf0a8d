"""Opening compressed tables: a file, or a folder of shards."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emcomp import container
from emcomp.codec import parse_codec
from emcomp.errors import FormatError, InputError
from emcomp.origin import Origin
from emcomp.sharded import INDEX, open_sharded
from emcomp.table import CompressedEmbedding
from emcomp.vocabulary import Vocabulary


def recognises(path: str | Path) -> bool:
    """Whether a file or folder is a compressed table; ``open`` says whether it is a good one.

    Raises:
        OSError: if it cannot be read.
    """
    place = Path(path)
    return (place / INDEX).is_file() if place.is_dir() else container.recognises(place)


def open(path: str | Path) -> CompressedEmbedding:  # noqa: A001
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
    origin = Origin.of(place, place)
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


def reopen(origin: Origin) -> CompressedEmbedding:
    """Open a table again, in this process or in another.

    Raises:
        InputError: if it is not the one that was opened first.
    """
    origin.file.check_unchanged()
    return open(origin.path)
