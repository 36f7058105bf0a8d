"""Adding rows to a table in shards, by the codec as it was fitted, and how well that still fits."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emcomp._support.locks import only_writer
from emcomp.compression.encoding import EncodeShard, shard_bounds
from emcomp.compression.planning import make_plan
from emcomp.compression.runs import RUN_KEY
from emcomp.engine.base import Engine
from emcomp.engine.executors import make_engine
from emcomp.errors import InputError
from emcomp.io.reading import words_of
from emcomp.io.sources.base import Source
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.tables.opening import open_table
from emcomp.tables.shard_files import is_file_of_table, read_fit, write_words
from emcomp.tables.shard_index import Index, Shard, read_index, write_index
from emcomp.tables.sharded import open_sharded
from emcomp.vocabulary.given_words import GivenWords, check_number_of_words, given_words
from emcomp.vocabulary.index import Vocabulary
from emcomp.vocabulary.word_list import WordList


@dataclass(frozen=True)
class Drift:
    """How rows that were added differ from those that the codec was fitted to."""

    rows: int
    """Rows added."""
    relative_error: float | None
    """Squared error of the added rows over their squares; None for codecs that shorten rows."""
    relative_error_at_fit: float | None
    """The same of the rows that were there."""
    clipped: float
    """Share of entries beyond the codec's range, estimated from some of the added rows. 0 for
    codecs that have no range, such as those with codewords or a step for each row."""
    clipped_at_fit: float
    """The same of the rows that were there."""

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows added", f"{'':24}{'added':>12}{'before':>12}"]
        if self.relative_error is not None and self.relative_error_at_fit is not None:
            errors = f"{self.relative_error:>12.4g}{self.relative_error_at_fit:>12.4g}"
            lines.append(f"{'relative squared error':24}{errors}")
        shares = f"{self.clipped:>12.3%}{self.clipped_at_fit:>12.3%}"
        lines.append(f"{'clipped entries':24}{shares}")
        return "\n".join(lines)


def append(
    path: str | Path,
    X: Any,
    *,
    words: GivenWords | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    executor: Any = None,
) -> Drift:
    """Add rows to a table in shards, as new shards, with the codec as it was fitted.

    Readers that have the table open keep what they have; the index is replaced last. A second call
    at the same time waits for the first.

    Args:
        path: folder that `emcomp.compress` wrote with ``shard_rows``.
        X: rows, shape (count, dim), as for `emcomp.compress`.
        words: their words, for a table with words, if X does not bring its own; as for
            `emcomp.compress`.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        threads: threads to use.
        executor: as for `emcomp.compress`.

    Returns:
        How the rows differ from those that the codec was fitted to.

    Raises:
        InputError: for rows of another dimension, entries that are not finite, or words where the
            table has none, none where it has, or one that is there already.
        FormatError: if there is no such table.
    """
    folder = Path(path)
    read_index(folder)  # refuses what is no table, before a lock is put there
    engine = make_engine(executor, threads)
    source = open_table(X, dtype, threads=threads, streamed=True)
    given = words_of(X, source) if words is None else words
    own = None if given is None else given_words(given, source.shape[0])
    if own is not None:
        check_number_of_words(own, source.shape[0], given)
    refuse_nonfinite(source, engine)
    with only_writer(folder, wait=True):
        return _append(folder, source, own, engine)


def _append(folder: Path, source: Source, own: WordList | None, engine: Engine) -> Drift:
    """Add rows to a table that nobody else changes meanwhile."""
    if (folder / RUN_KEY).exists():
        raise InputError(f"{folder} is not finished: resume what was interrupted before appending")
    index = read_index(folder)
    before = open_sharded(folder)
    rows, dim = source.shape
    if dim != index.input_dim:
        raise InputError(f"rows of {dim} entries cannot join a table of rows of {index.input_dim}")
    if (own is None) != (before.words is None):
        raise InputError(
            f"the table has {'no words' if before.words is None else 'words'} and the rows have "
            f"{'none' if own is None else 'some'}"
        )
    vocabulary = None
    if before.words is not None and own is not None:
        vocabulary = Vocabulary.from_words([*before.words, *own])
    kept = read_fit(folder)
    fitted = index.codec.restore(dim, kept.tensors, kept.info).for_other_rows()
    task = EncodeShard(source, fitted, kept.checksum, str(folder.absolute()), index.shape[0])
    shard_rows = make_plan(index.codec, (rows, dim)).shard_rows
    calls = [
        (len(index.shards) + number, first, count, engine.threads)
        for number, first, count in shard_bounds(rows, shard_rows)
    ]
    added = tuple(engine.map(task, calls))
    words = None if vocabulary is None else write_words(folder, vocabulary)
    shape = index.shape[0] + rows, index.shape[1]
    longer = index._replace(shape=shape, shards=(*index.shards, *added), words=words)
    drift = Drift(
        rows,
        _relative_error(added),
        _relative_error(index.shards),
        _clipped_share(added),
        _clipped_share(index.shards),
    )
    write_index(folder, longer)
    _remove_unnamed(folder, longer)
    return drift


def _remove_unnamed(folder: Path, index: Index) -> None:
    """Remove the words of the shorter table, and what an interrupted call has left.

    A reader that was about to open them looks at the index again.
    """
    named = set(index.files)
    with suppress(OSError):
        for path in folder.iterdir():
            if is_file_of_table(path.name) and path.name not in named:
                path.unlink(missing_ok=True)


def _relative_error(shards: tuple[Shard, ...]) -> float | None:
    """Relative squared error over some shards; None where rows are shorter than they were."""
    errors = [shard.squared_error for shard in shards]
    total = sum(shard.squared_total for shard in shards)
    found = [error for error in errors if error is not None]
    if len(found) < len(errors):
        return None
    error = sum(found)
    if total == 0:
        return 0.0 if error == 0 else math.inf
    return error / total


def _clipped_share(shards: tuple[Shard, ...]) -> float:
    """Share of clipped entries over some shards, by their rows."""
    return sum(shard.clipped * shard.rows for shard in shards) / sum(s.rows for s in shards)
