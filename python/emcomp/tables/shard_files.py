"""The emcomp files of a table in shards: the fit, the shards and the vocabulary.

Each is written whole or not at all. Shards and vocabularies have their checksum in their name, so
that two writers never mean different files by one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.atomic_files import temporary_name
from emcomp._support.documents import (
    check_fields,
    is_digest,
    is_list_of,
    is_object,
    is_size,
    is_text,
)
from emcomp.codecs.base import Codec, FittedCodec, Info, Tensors
from emcomp.errors import CorruptFileError, FormatError
from emcomp.tables import container
from emcomp.tables.shard_index import FIT, SHARD_FIELDS, Shard, WordsFile
from emcomp.vocabulary.index import Vocabulary

_NAME = re.compile(r"(shard-\d{6,}|words)-[0-9a-f]{16}\.emcomp")
_FIT_FIELDS = {"codec": is_text, "dim": is_size, "shared": is_list_of(is_text), "info": is_object}
_SHARD_FIELDS = {"codec": is_text, "fit": is_digest, **SHARD_FIELDS}


class Fit(NamedTuple):
    """A fit as it is kept."""

    tensors: dict[str, NDArray[Any]]
    shared: tuple[str, ...]
    """Names of those that decoding needs."""
    info: Info
    checksum: str


def write_fit(folder: Path, fitted: FittedCodec) -> None:
    """Keep what was learned."""
    description: dict[str, Any] = {
        "codec": str(fitted.codec),
        "dim": fitted.dim,
        "shared": list(fitted.shared_tensors),
        "info": dict(fitted.info),
    }
    container.write(folder / FIT, fitted.tensors, {"fit": description})


def read_fit(folder: Path, *, mapped: bool = True) -> Fit:
    """What was learned, checked byte by byte.

    Raises:
        FormatError: if it is not there or not a fit.
        CorruptFileError: if it is damaged.
    """
    path = folder / FIT
    opened = _open(path, "the fit", mapped)
    opened.verify()
    fields = _described(opened, "fit", _FIT_FIELDS, path)
    tensors = {name: opened.tensor(name) for name in opened.names}
    missing = [name for name in fields["shared"] if name not in tensors]
    if missing:
        raise CorruptFileError(f"{path}: the tensor {missing[0][:40]!r} is missing")
    return Fit(tensors, tuple(fields["shared"]), fields["info"], opened.checksum)


def is_file_of_table(name: str) -> bool:
    """Whether a file has the name of a shard or of words; any other is somebody else's."""
    return _NAME.fullmatch(name) is not None


def shard_pattern(number: int) -> str:
    """The pattern of the names that the file of a shard may have."""
    return f"shard-{number:06d}-*.emcomp"


def write_shard(
    folder: Path, number: int, codec: Codec, fit: str, shard: Shard, tensors: Tensors
) -> Shard:
    """Write what the rows of a shard became.

    Returns:
        The shard with the name and the checksum of its file.
    """
    description: dict[str, Any] = {"codec": str(codec), "fit": fit, **shard.described()}
    path, digest = _write_named(folder, f"shard-{number:06d}", tensors, {"shard": description})
    return shard._replace(file=path.name, checksum=digest)


def read_shard(
    path: Path, fit: str, codec: Codec, *, mapped: bool = True
) -> tuple[Shard, dict[str, NDArray[Any]], _core.MappedFile]:
    """A shard of a table of this codec, its tensors, and the file that they are views of.

    Raises:
        FormatError: naming the shard, if it is missing, or of another fit.
        CorruptFileError: if it is damaged.
    """
    opened = _open(path, "the shard", mapped)
    fields = _described(opened, "shard", _SHARD_FIELDS, path)
    if fields["fit"] != fit:
        raise FormatError(f"the shard {path} was encoded with another fit than the rest")
    tensors = {name: opened.tensor(name) for name in opened.names}
    for name, tensor in tensors.items():
        of_rows = name not in codec.ragged_tensors
        if tensor.ndim == 0 or (of_rows and len(tensor) != fields["rows"]):
            raise CorruptFileError(f"{path}: tensor {name!r} has not {fields['rows']} rows")
    if not tensors:
        raise CorruptFileError(f"{path}: the shard has no tensors")
    about = {name: fields[name] for name in SHARD_FIELDS}
    return Shard(file=path.name, checksum=opened.checksum, **about), tensors, opened.file


def write_words(folder: Path, vocabulary: Vocabulary) -> WordsFile:
    """Write the vocabulary of a table."""
    path, digest = _write_named(folder, "words", vocabulary.tensors(), {})
    return WordsFile(path.name, digest)


def read_words(folder: Path, words: WordsFile, rows: int, *, mapped: bool = True) -> Vocabulary:
    """The vocabulary of a table of so many rows.

    Raises:
        FormatError: if it is missing or has another number of words.
        CorruptFileError: if it is damaged.
    """
    path = folder / words.file
    opened = _open(path, "the words", mapped)
    if opened.checksum != words.checksum:
        raise CorruptFileError(f"{path} is not the file of words that the index names")
    vocabulary = Vocabulary.from_tensors({name: opened.tensor(name) for name in opened.names})
    if len(vocabulary) != rows:
        raise FormatError(f"{path} has {len(vocabulary)} words, not {rows}")
    return vocabulary


def _write_named(
    folder: Path, name: str, tensors: Tensors, description: Mapping[str, Any]
) -> tuple[Path, str]:
    """Write a file under a name that ends in its checksum."""
    temporary = folder / temporary_name()
    container.write(temporary, tensors, description)
    with container.open(temporary) as opened:
        digest = opened.checksum
    path = folder / f"{name}-{digest}.emcomp"
    temporary.replace(path)
    return path, digest


def _open(path: Path, what: str, mapped: bool) -> _core.Container:
    try:
        return container.open(path, mapped=mapped)
    except OSError as error:
        raise FormatError(
            f"{what} {path} is missing or cannot be read: {error.strerror}"
        ) from error


def _described(
    opened: _core.Container, kind: str, rules: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """What a file says of itself, under the one key that its kind has."""
    try:
        about = check_fields(opened.table, {kind: is_object})
        return check_fields(about[kind], rules)
    except FormatError as error:
        raise CorruptFileError(f"{path} is not the file of a {kind}: {error}") from error
