"""Choosing how to compress a table under a budget, or for a score."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from emcomp.atomic import TEMPORARY
from emcomp.budget import budget_bytes
from emcomp.checks import refuse_nonfinite
from emcomp.codec import Codec, parse_codec
from emcomp.compress import encode, make_vocabulary, words_of
from emcomp.engine import Engine, Progress, silent
from emcomp.errors import InputError, RankWarning
from emcomp.evaluation import Evaluation
from emcomp.executors import make_engine
from emcomp.gram import open_table
from emcomp.grammar import default_candidates
from emcomp.measures.registry import resolve_measures
from emcomp.selection_result import Candidate, Rule, Selection, explain
from emcomp.selection_state import State, fingerprint
from emcomp.sizes import format_bytes
from emcomp.streaming import compress_to
from emcomp.table import CompressedEmbedding
from emcomp.table import open as open_compressed
from emcomp.vocabulary import Vocabulary
from emcomp.work import plan_work

if TYPE_CHECKING:
    from emcomp.sources import Source
    from emcomp.table import CompressedEmbedding


def select(
    X: Any,
    budget: int | str | None = None,
    candidates: Iterable[str | Codec] | None = None,
    measure: str | Sequence[str] = "eos",
    *,
    minimum: float | None = None,
    words: Iterable[str | bytes] | None = None,
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
        candidates: codecs, as strings or objects; by default what all codecs offer.
        measure: the name of the measure that decides, or several: the first decides and the others
            are shown beside it. Whether higher or lower is better is the measure's own affair.
        minimum: the score that is good enough: at least this where higher is better, at most this
            where lower is.
        words: the rows' words, if X does not bring its own.
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
    rule = Rule(names[0], wanted[names[0]].higher_is_better, minimum)
    engine = make_engine(executor, threads)
    source = open_table(X, dtype, threads=threads, streamed=executor is not None or out is not None)
    limit = None if budget is None else budget_bytes(budget, source.shape)
    sized, failed = _sized(candidates, source.shape)
    fitting = [(size, codec) for size, codec in sized if limit is None or size <= limit]
    if not fitting:
        raise InputError(_nothing_fits(budget, limit, sized, failed))
    given = words_of(X, source) if words is None else words
    vocabulary = make_vocabulary(given, source.shape[0])
    refuse_nonfinite(source, engine)
    key = {} if state is None else fingerprint(source, names, seed)
    kept = State(state, key)
    left = sum(str(codec) not in kept.finished for _, codec in fitting)
    work = _Work(progress or silent, left, source.shape[0])
    evaluation = Evaluation(source, wanted, engine)
    with contextlib.ExitStack() as stack:
        place = None
        if out is not None:
            temporary = TemporaryDirectory(prefix=TEMPORARY, dir=Path(out).absolute().parent)
            place = Place(Path(out), Path(stack.enter_context(temporary)), memory_limit)
        trials = _Trials(source, vocabulary, evaluation, rule, engine, work, place)
        measured: list[Candidate] = []
        for size, codec in fitting:
            name = str(codec)
            if name not in kept.finished:
                kept.finish(name, trials.run(codec, size))
                work.finish()
            outcome = kept.finished[name]
            if "failed" in outcome:
                failed[name] = outcome["failed"]
            else:
                measured.append(Candidate(name, size, outcome["scores"]))
        if not measured:
            raise InputError(
                f"none of {len(failed)} candidates could be measured; {_first(failed)}"
            )
        ranked = tuple(sorted(measured, key=rule.order))
        front = rule.front(measured)
        pick = ranked[0] if rule.suffices(ranked[0]) else None
        return Selection(
            source.shape,
            rule,
            limit,
            ranked,
            front,
            pick,
            explain(rule, ranked, front, pick),
            None if pick is None else trials.table(pick),
            tuple(Candidate(str(codec), size) for size, codec in sized[len(fitting) :]),
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
    sized: list[tuple[int, Codec]] = []
    failed: dict[str, str] = {}
    for name, codec in {str(codec): codec for codec in offered}.items():
        try:
            codec.check(shape)
            sized.append((codec.nbytes(shape), codec))
        except InputError as error:  # noqa: PERF203
            failed[name] = str(error)
    return sorted(sized, key=lambda pair: (pair[0], str(pair[1]))), failed


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


class _Work:
    """Rows encoded and measured, of those in all."""

    def __init__(self, progress: Progress, candidates: int, rows: int) -> None:
        self._progress = progress
        self._total = 2 * rows * candidates
        self._before = 0
        self._rows = rows

    def watch(self, phase: str, done: int, _total: int) -> None:
        """The progress of one candidate; how long fitting takes is not known beforehand."""
        self._progress("select", self._before + (done if phase == "encode" else 0), self._total)

    def finish(self) -> None:
        """Count a candidate as done."""
        self._before += 2 * self._rows
        self._progress("select", self._before, self._total)


class Place(NamedTuple):
    """Where tables go that are written as they are made."""

    out: Path
    """The pick's file."""
    folder: Path
    """For candidates."""
    memory_limit: int | str | None


class _Trials:
    """Tries candidates, and keeps the best table of them."""

    def __init__(
        self,
        source: Source,
        vocabulary: Vocabulary | None,
        evaluation: Evaluation,
        rule: Rule,
        engine: Engine,
        work: _Work,
        place: Place | None,
    ) -> None:
        self._place = place
        self._made = 0
        self._source = source
        self._vocabulary = vocabulary
        self._evaluation = evaluation
        self._rule = rule
        self._engine = engine
        self._work = work
        self._best: tuple[Candidate, CompressedEmbedding] | None = None

    def _encode(self, codec: Codec, progress: Progress) -> CompressedEmbedding:
        engine = self._engine.telling(progress)
        place = self._place
        if place is None:
            return encode(self._source, codec, self._vocabulary, engine)
        plan = plan_work(codec, self._source.shape, place.memory_limit)
        self._made += 1
        file = place.folder / f"{self._made}.emcomp"
        return compress_to(
            file, self._source, codec, None, engine, plan, in_shards=False, resume=False
        )

    def run(self, codec: Codec, size: int) -> dict[str, Any]:
        """What came of a candidate, as a state keeps it."""
        name = str(codec)
        try:
            table = self._encode(codec, self._work.watch)
            with warnings.catch_warnings():
                # That a projection has not all directions is no news; that X has not, is.
                warnings.filterwarnings("ignore", "(?!X has )", RankWarning)
                scores = self._evaluation.scores(table, name)
        except InputError as error:
            return {"failed": str(error)}
        values = {measure: score.value for measure, score in scores.items()}
        decisive = values[self._rule.measure]
        if decisive is None or math.isnan(decisive):
            start = f"{self._rule.measure} of {name}: "
            notes = [n.removeprefix(start) for n in self._evaluation.notes if n.startswith(start)]
            return {"failed": notes[0] if notes else f"{self._rule.measure} is not a number"}
        candidate = Candidate(name, size, values)
        if self._best is None or self._rule.order(candidate) < self._rule.order(self._best[0]):
            if self._best is not None:
                _discard(self._best[1])
            self._best = candidate, table
        else:
            _discard(table)
        return {"scores": values}

    def table(self, pick: Candidate) -> CompressedEmbedding:
        """The table of the pick; made again only where an earlier run had measured it."""
        if self._best is not None and self._best[0] == pick:
            table = self._best[1]
        else:
            table = self._encode(parse_codec(pick.codec), silent)
        if self._place is None:
            return table
        table.words = self._vocabulary
        table.save(self._place.out)
        return open_compressed(self._place.out)


def _discard(table: CompressedEmbedding) -> None:
    """Take away a table's file, if it has one."""
    if table.path is not None:
        table.path.unlink()
