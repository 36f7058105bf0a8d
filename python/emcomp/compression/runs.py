"""Runs that may be interrupted: what their folder says of them, and what it takes to resume one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from emcomp import _core
from emcomp._support.atomic_files import atomic_write, is_temporary, remove_leftovers
from emcomp._support.locks import LOCK
from emcomp.codecs.base import Codec
from emcomp.compression.encoding import ChecksumRows, bytes_of
from emcomp.compression.planning import CompressionPlan
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Source
from emcomp.tables.shard_index import INDEX, Shard, read_index
from emcomp.tables.sharded import open_sharded
from emcomp.vocabulary.index import Vocabulary

RUN_KEY = "run.json"
"""What a run makes, by which it is resumed; removed when the table in shards is finished."""
_FINGERPRINTED_ROWS = 64


def check_target(out: Path, in_shards: bool, resume: bool) -> Path:
    """The folder that shards are written to.

    Raises:
        InputError: if something is there that is not to be resumed.
    """
    if not in_shards and out.is_dir():
        raise InputError(f"{out} is a folder; name a file, or ask for shards with shard_rows=")
    folder = out if in_shards else out.with_name(out.name + ".partial")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is there and is not a folder: choose another name")
    if not resume and folder.exists() and has_results(folder):
        raise InputError(_is_there(folder))
    return folder


def _is_there(folder: Path) -> str:
    if is_finished(folder):
        return f"{folder} holds a table: remove it, or add rows to it with append (emcomp append)"
    return (
        f"{folder} is there: go on with what was interrupted by resume=True (--resume), or "
        "remove it"
    )


def has_results(folder: Path) -> bool:
    """Whether a folder has emcomp files: something of a run is finished."""
    return any(folder.glob("*.emcomp"))


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a table, and no run that is to be resumed."""
    return (folder / INDEX).exists() and not (folder / RUN_KEY).exists()


def key_of_run(
    source: Source, codec: Codec, vocabulary: Vocabulary | None, plan: CompressionPlan
) -> dict[str, Any]:
    """What the result depends on, as far as it can be told without reading everything."""
    rows, _ = source.shape
    some = _core.Checksum()
    for first in sorted({0, rows // 2, max(rows - _FINGERPRINTED_ROWS, 0)}):
        some.update(bytes_of(source.read(first, min(_FINGERPRINTED_ROWS, rows - first))))
    if vocabulary is not None:
        for tensor in vocabulary.tensors().values():
            some.update(bytes_of(tensor))
    return {
        "codec": str(codec),
        "shape": list(source.shape),
        "shard_rows": plan.shard_rows,
        "checksum of some rows and of the words": f"{some.digest():016x}",
    }


def begin(folder: Path, key: dict[str, Any], resume: bool) -> None:
    """Note what the run makes, or take up what is finished.

    Raises:
        InputError: if the folder has something else, or what is finished is not to be taken up.
    """
    others = [path.name for path in folder.iterdir() if not _is_ours(path.name)]
    if others:
        raise InputError(f"{folder} holds {min(others)}: name a folder that is new or empty")
    if not has_results(folder):
        with atomic_write(folder / RUN_KEY) as file:
            file.write(json.dumps(key, indent=1).encode())
        return
    if not resume:
        raise InputError(_is_there(folder))
    try:
        kept = json.loads((folder / RUN_KEY).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds nothing that can be resumed: {error}") from error
    differing = [name for name, value in key.items() if kept.get(name) != value]
    if differing:
        raise InputError(
            f"{folder} is of another run: "
            + "; ".join(f"{name} was {kept.get(name)}, is {key[name]}" for name in differing)
            + ". Resume with what it was begun with, or remove it"
        )
    remove_leftovers(folder)


def _is_ours(name: str) -> bool:
    known = name in (LOCK, RUN_KEY, INDEX) or name.endswith(".emcomp")
    return known or is_temporary(name)


def check_finished(
    folder: Path,
    source: Source,
    codec: Codec,
    vocabulary: Vocabulary | None,
    engine: Engine,
    resume: bool,
) -> None:
    """Raise InputError unless a finished table is the one that was asked for."""
    if not resume:
        raise InputError(_is_there(folder))
    finished = open_sharded(folder)
    same_words = _same_words(finished.words, vocabulary)
    if str(finished.codec) != str(codec) or len(finished) != source.shape[0] or not same_words:
        raise InputError(f"{folder} holds another table, {finished!r}")
    check_sources(folder, read_index(folder).shards, source, engine)


def _same_words(words: Vocabulary | None, others: Vocabulary | None) -> bool:
    if words is None or others is None:
        return words is others
    others_tensors = others.tensors()
    return all(np.array_equal(t, others_tensors[name]) for name, t in words.tensors().items())


def check_sources(folder: Path, shards: Iterable[Shard], source: Source, engine: Engine) -> None:
    """Raise InputError if rows have changed since they were encoded."""
    listed = list(shards)
    calls = [(shard.first, shard.rows) for shard in listed]
    for shard, found in zip(listed, engine.map(ChecksumRows(source), calls), strict=True):
        if found != shard.source:
            raise InputError(
                f"rows {shard.first} to {shard.first + shard.rows} are not those that "
                f"{folder / shard.file} was made from: the table has changed since. Remove "
                f"{folder} and compress it again"
            )
