"""The index of a table in shards: `index.json`, which is written last and names all other files.

docs/format.md specifies it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from emcomp._support.atomic_files import atomic_write
from emcomp._support.documents import (
    check_fields,
    is_count,
    is_digest,
    is_file_name,
    is_list_of,
    is_null_or,
    is_number,
    is_object,
    is_size,
    is_text,
)
from emcomp.codecs.base import Codec, Info, parse_codec
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.safetensors import parse_object
from emcomp.tables.container_header import checksum

INDEX = "index.json"
FIT = "fit.emcomp"
_FORMAT = "emcomp table in shards"
_VERSION = 1
_LARGEST = 1 << 28
"""Bytes of an index: a million shards take less."""

_BEGIN = re.compile(rb'\{\n "checksum": "([0-9a-f]{16})"')
SHARD_FIELDS = {
    "first": is_count,
    "rows": is_size,
    "source": is_digest,
    "squared_error": is_null_or(is_number),
    "squared_total": is_number,
    "clipped": is_number,
}
"""What the file of a shard says of it, too."""
_FIELDS = {
    "checksum": is_digest,
    "format": is_text,
    "version": is_count,
    "codec": is_text,
    "shape": is_list_of(is_size, 2),
    "input_dim": is_size,
    "fit": is_digest,
    "words": is_null_or(is_object),
    "info": is_object,
    "shards": is_list_of(is_object),
}
_WORDS_FIELDS = {"file": is_file_name, "checksum": is_digest}
_ENTRY_FIELDS = {"file": is_file_name, "checksum": is_digest, **SHARD_FIELDS}


class Shard(NamedTuple):
    """One file of a table in shards."""

    file: str
    checksum: str
    """Of the file's header, and so of all that the file has."""
    first: int
    """Row of the table that its first row is."""
    rows: int
    source: str
    """Checksum of the rows that were encoded, as they came."""
    squared_error: float | None
    """Of its rows as decoded; None where those are shorter than the original ones."""
    squared_total: float
    clipped: float
    """Share of the entries of some of its rows that lie beyond the codec's range."""

    def described(self) -> dict[str, Any]:
        """What the file of the shard says of it."""
        return {name: getattr(self, name) for name in SHARD_FIELDS}


class WordsFile(NamedTuple):
    """The file of a vocabulary."""

    file: str
    checksum: str
    """Of the file's header, and so of all that the file has."""


class Index(NamedTuple):
    """What `index.json` says."""

    codec: Codec
    shape: tuple[int, int]
    """Rows and entries of a row as they are decoded."""
    input_dim: int
    """Entries of a row before compression."""
    fit: str
    """Checksum of the fit that all shards were encoded with."""
    shards: tuple[Shard, ...]
    words: WordsFile | None
    info: Info

    @property
    def files(self) -> list[str]:
        """The emcomp files of the table."""
        words = [] if self.words is None else [self.words.file]
        return [FIT, *(shard.file for shard in self.shards), *words]


def write_index(folder: Path, index: Index) -> None:
    """Write the index, after everything that it names."""
    document = {
        "checksum": "0" * 16,
        "format": _FORMAT,
        "version": _VERSION,
        "codec": str(index.codec),
        "shape": list(index.shape),
        "input_dim": index.input_dim,
        "fit": index.fit,
        "words": None if index.words is None else index.words._asdict(),
        "info": dict(index.info),
        "shards": [shard._asdict() for shard in index.shards],
    }
    text = json.dumps(document, indent=1, allow_nan=False).encode()
    with atomic_write(folder / INDEX) as file:
        file.write(_sealed(text))


def _sealed(text: bytes) -> bytes:
    """The text of an index with its own checksum put in, whatever stood there before."""
    match = _BEGIN.match(text)
    if match is None:
        raise FormatError("it does not begin with its checksum")
    begin, end = match.span(1)
    digits = checksum(text[:begin] + b"0" * 16 + text[end:])
    return b"%b%016x%b" % (text[:begin], digits, text[end:])


def read_index(folder: Path) -> Index:
    """Read the index of a table in shards.

    Raises:
        FormatError: if the folder has none, or one of another format or version.
        CorruptFileError: if it is damaged.
    """
    path = folder / INDEX
    if not path.is_file():
        raise FormatError(
            f"{folder} is no table in shards: it has no {INDEX}. If it is being written or was "
            "interrupted, finish that with resume=True"
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise FormatError(f"it has more than {_LARGEST:,} bytes")
        text = path.read_bytes()
        if _sealed(text) != text:
            raise FormatError("its checksum does not fit its bytes")
        document = parse_object(text, "it")
    except FormatError as error:
        raise _damaged(path, error) from error
    if (document.get("format"), document.get("version")) != (_FORMAT, _VERSION):
        known = f"{document.get('format')!r:.60}, version {document.get('version')!r:.20}"
        raise FormatError(f"{path}: {known}, is unknown; upgrade emcomp")
    try:
        return _index_of(document)
    except (FormatError, InputError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CorruptFileError:
    return CorruptFileError(f"{path}: the index is damaged: {error}")


def _index_of(document: dict[str, Any]) -> Index:
    fields = check_fields(document, _FIELDS)
    shards = tuple(Shard(**check_fields(entry, _ENTRY_FIELDS)) for entry in fields["shards"])
    rows, dim = fields["shape"]
    at = 0
    for shard in shards:
        if shard.first != at:
            raise FormatError(f"{shard.file} begins at row {shard.first}, expected {at}")
        at += shard.rows
    if at != rows:
        raise FormatError(f"the shards have {at} rows, and the table {rows}")
    if len({shard.file for shard in shards}) < len(shards):
        raise FormatError("a shard is named twice")
    words = fields["words"]
    if words is not None:
        words = WordsFile(**check_fields(words, _WORDS_FIELDS))
    return Index(
        parse_codec(fields["codec"]),
        (rows, dim),
        fields["input_dim"],
        fields["fit"],
        shards,
        words,
        fields["info"],
    )
