"""Choosing how to compress a table under a budget, or for a score."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emcomp._support.atomic_files import temporary_folder
from emcomp._support.sizes import budget_bytes, format_bytes
from emcomp.codecs.base import Codec, parse_codec
from emcomp.codecs.floats import Float
from emcomp.codecs.grammar import default_candidates
from emcomp.compression.compressing import make_vocabulary
from emcomp.compression.planning import make_plan
from emcomp.engine.base import Progress, silent
from emcomp.engine.executors import make_engine
from emcomp.errors import InputError
from emcomp.io.reading import words_of
from emcomp.measures.evaluation import Evaluation
from emcomp.measures.registry import resolve_measures
from emcomp.selection.result import Candidate, Ranking, Selection, explain
from emcomp.selection.state import State, fingerprint
from emcomp.selection.trials import OutputPaths, SelectionProgress, Trials
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.tables.opening import open_table
from emcomp.vocabulary.given_words import GivenWords

if TYPE_CHECKING:
    from emcomp.io.sources.base import Source


def select(
    X: Any,
    budget: int | str | None = None,
    candidates: Iterable[str | Codec] | None = None,
    measure: str | Sequence[str] = "eos",
    *,
    minimum: float | None = None,
    words: GivenWords | None = None,
    seed: int = 0,
    state: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    memory_limit: int | str | None = None,
    dtype: str | None = None,
    executor: Any = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Selection:
    """Compress a table in every way that fits a budget, and choose the best by a measure.

    With a budget the candidate of the best score is picked; with ``minimum`` the smallest whose
    score suffices, of those within the budget if there is one. Ties, which are scores alike in nine
    digits, go to the smaller table, then to the codec whose string sorts first. Sizes are known
    beforehand: what cannot fit is never tried. The table's own sums are computed once; each
    candidate is fitted, encoded and measured, and only the best so far is kept in memory.

    Args:
        X: the table, as `emcomp.compress` takes it.
        budget: how large the result may be: bytes (``40_000_000``, ``"40MB"``, ``"64kB"``), how
            many times smaller than float32 (``"16x"``) or bits per entry (``"2.5bits"``); words
            are not counted.
        candidates: codecs, as strings or objects; by default what all codecs offer that is no
            larger than float16.
        measure: the name of the measure that decides, or several: the first decides and the others
            are shown beside it. Whether higher or lower is better is the measure's own affair.
        minimum: the score that is good enough: at least this where higher is better, at most this
            where lower is.
        words: the rows' words, if X does not bring its own; as for `emcomp.compress`.
        seed: of rows that measures draw.
        state: a file that keeps what is finished, so that a run that was interrupted, or one with
            more candidates, does not do it again. It is replaced as a whole after each candidate.
        out: file to write the pick to. Candidates are written beside it as they are made, and
            memory does not grow with the table; of files X, too, only ranges are read.
        memory_limit: bytes of memory to stay below, or a string such as ``"1GB"``; with ``out``.
            Candidates that need more are reported as those that cannot be used.
        dtype: ``"bfloat16"`` if X is a uint16 array of bfloat16 bits.
        executor: workers that share the work, as for `emcomp.compress`.
        threads: threads to use, of each worker where there are some; the result does not depend
            on it.
        progress: called with ``"select"``, the rows encoded and measured, and those in all.

    Returns:
        The ranking, the Pareto front, the pick, why, and the table compressed so.

    Raises:
        InputError: if neither budget nor minimum is given or one of them is not valid; if nothing
            fits the budget, naming the smallest size there is; if no candidate can be measured;
            for NaN and infinite entries; if ``state`` is of another table or other measures.
        OSError: if ``state`` or ``out`` cannot be written.
        FormatError: if X or ``state`` names a file that is not what it should be.

    Source:
        May et al. 2019, section 5: choose by the eigenspace overlap score.
    """
    if budget is None and minimum is None:
        raise InputError("select needs a budget, a minimum score, or both")
    if minimum is not None and not math.isfinite(minimum):
        raise InputError(f"minimum must be a finite score, not {minimum}")
    names = [measure] if isinstance(measure, str) else list(dict.fromkeys(measure))
    wanted = resolve_measures(names, seed)
    if not wanted:
        raise InputError("no measure was named to choose by")
    if out is None and memory_limit is not None:
        raise InputError("memory_limit is for tables that are written as they are made: give out=")
    ranking = Ranking(names[0], wanted[names[0]].higher_is_better, minimum)
    engine = make_engine(executor, threads)
    source = open_table(X, dtype, threads=threads, streamed=executor is not None or out is not None)
    limit = None if budget is None else budget_bytes(budget, source.shape)
    sized, failed = _sized(candidates, source.shape)
    within = [(size, codec) for size, codec in sized if limit is None or size <= limit]
    if not within:
        raise InputError(_nothing_fits(budget, limit, sized, failed))
    # What memory forbids is no outcome to be kept: another run may have more.
    fitting = [pair for pair in within if not _too_large(pair[1], source, memory_limit, failed)]
    given = words_of(X, source) if words is None else words
    vocabulary = make_vocabulary(given, source.shape[0])
    refuse_nonfinite(source, engine)
    key = {} if state is None else fingerprint(source, names, seed)
    kept = State(state, key)
    left = sum(str(codec) not in kept.finished for _, codec in fitting)
    watcher = SelectionProgress(progress or silent, left, source.shape[0])
    evaluation = Evaluation(source, wanted, engine)
    with contextlib.ExitStack() as stack:
        paths = None
        if out is not None:
            folder = stack.enter_context(temporary_folder(Path(out).absolute().parent))
            paths = OutputPaths(Path(out), folder)
        trials = Trials(source, vocabulary, evaluation, ranking, engine, watcher, paths)
        measured: list[Candidate] = []
        for size, codec in fitting:
            name = str(codec)
            if name not in kept.finished:
                kept.finish(name, trials.run(codec, size))
                watcher.finish()
            outcome = kept.finished[name]
            if "failed" in outcome:
                failed[name] = outcome["failed"]
            else:
                measured.append(Candidate(name, size, outcome["scores"]))
        if not measured:
            raise InputError(
                f"none of {len(failed)} candidates could be measured; {_first(failed)}"
            )
        ranked = tuple(sorted(measured, key=ranking.order))
        front = ranking.front(measured)
        pick = ranked[0] if ranking.suffices(ranked[0]) else None
        return Selection(
            source.shape,
            ranking,
            limit,
            ranked,
            front,
            pick,
            explain(ranking, ranked, front, pick),
            None if pick is None else trials.table(pick),
            tuple(Candidate(str(codec), size) for size, codec in sized[len(within) :]),
            failed,
        )


def _first(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:1])


def _sized(
    candidates: Iterable[str | Codec] | None, shape: tuple[int, int]
) -> tuple[list[tuple[int, Codec]], dict[str, str]]:
    """Candidates with their sizes, the smallest first, and why others cannot be."""
    if isinstance(candidates, (str, Codec)):
        raise InputError("candidates is a list of codecs; for one of them use emcomp.compress")
    offered = map(parse_codec, default_candidates(shape) if candidates is None else candidates)
    # Of what nobody has named, nothing that is larger than float16.
    most = math.inf if candidates is not None else Float(16).nbytes(shape)
    sized: list[tuple[int, Codec]] = []
    failed: dict[str, str] = {}
    for name, codec in {str(codec): codec for codec in offered}.items():
        try:
            codec.check(shape)
            nbytes = codec.nbytes(shape)
            if nbytes <= most:
                sized.append((nbytes, codec))
        except InputError as error:  # noqa: PERF203
            failed[name] = str(error)
    return sorted(sized, key=lambda pair: (pair[0], str(pair[1]))), failed


def _too_large(
    codec: Codec, source: Source, memory_limit: int | str | None, failed: dict[str, str]
) -> bool:
    """Whether a candidate needs more memory than it may have; says so among those that failed."""
    if memory_limit is not None:
        try:
            make_plan(codec, source.shape, memory_limit)
        except InputError as error:
            failed[str(codec)] = str(error)
            return True
    return False


def _nothing_fits(
    budget: object, limit: int | None, sized: list[tuple[int, Codec]], failed: dict[str, str]
) -> str:
    if not sized:
        return (
            f"no candidate fits a table of this shape; {_first(failed)}"
            if failed
            else ("no candidates were given")
        )
    size, codec = sized[0]
    return (
        f"a budget of {budget} ({limit:,} bytes) is below the smallest size there is: {codec} "
        f"takes {size:,} bytes ({format_bytes(size)})"
    )
