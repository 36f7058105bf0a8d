"""Adding rows to a table in shards, by the codec as it was fitted, and how well that still fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emcomp.compression.planning import make_plan
from emcomp.compression.streaming import EncodeShard, clipped_share, relative_error, shard_bounds
from emcomp.engine.executors import make_engine
from emcomp.errors import InputError
from emcomp.io.reading import words_of
from emcomp.statistics.nonfinite import refuse_nonfinite
from emcomp.tables.opening import open_table
from emcomp.tables.sharded import open_sharded, read_fit, read_index, write_index, write_words
from emcomp.vocabulary.given_words import GivenWords, check_number_of_words, given_words
from emcomp.vocabulary.index import Vocabulary


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

    Readers that have the table open keep what they have; the index is replaced last.

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
    index = read_index(folder)
    before = open_sharded(folder)
    source = open_table(X, dtype, threads=threads, streamed=True)
    given = words_of(X, source) if words is None else words
    rows, dim = source.shape
    if dim != index.input_dim:
        raise InputError(f"rows of {dim} entries cannot join a table of rows of {index.input_dim}")
    if (given is None) != (before.words is None):
        raise InputError(
            f"the table has {'no words' if before.words is None else 'words'} and the rows have "
            f"{'none' if given is None else 'some'}"
        )
    vocabulary = None
    if before.words is not None and given is not None:
        own = given_words(given, rows)
        check_number_of_words(own, rows, given)
        vocabulary = Vocabulary.from_words([*before.words, *own])
    kept = read_fit(folder)
    fitted = index.codec.restore(dim, kept.tensors, kept.info).for_other_rows()
    engine = make_engine(executor, threads)
    refuse_nonfinite(source, engine)
    task = EncodeShard(source, fitted, kept.checksum, str(folder.absolute()), index.shape[0])
    shard_rows = make_plan(index.codec, (rows, dim)).shard_rows
    calls = [
        (len(index.shards) + number, first, count, engine.threads)
        for number, first, count in shard_bounds(rows, shard_rows)
    ]
    added = tuple(engine.map(task, calls))
    name = None if vocabulary is None else write_words(folder, vocabulary)
    shape = index.shape[0] + rows, index.shape[1]
    shards = (*index.shards, *added)
    write_index(folder, index._replace(shape=shape, shards=shards, words=name))
    if index.words is not None:
        (folder / index.words).unlink()
    return Drift(
        rows,
        relative_error(added),
        relative_error(index.shards),
        clipped_share(added),
        clipped_share(index.shards),
    )
