"""Trying candidates one after another, and keeping the table of the best."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from emcomp.codecs.base import Codec, parse_codec
from emcomp.compression.compressing import encode
from emcomp.compression.planning import make_plan
from emcomp.compression.streaming import compress_to
from emcomp.engine.base import Engine, Progress, silent
from emcomp.errors import InputError, RankWarning
from emcomp.io.sources.base import Source
from emcomp.measures.evaluation import Evaluation
from emcomp.selection.result import Candidate, Ranking
from emcomp.tables import opening as table_file
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.index import Vocabulary


class SelectionProgress:
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


class OutputPaths(NamedTuple):
    """Where tables go that are written as they are made."""

    out: Path
    """The pick's file."""
    folder: Path
    """For candidates."""


class Trials:
    """Tries candidates, and keeps the best table of them."""

    def __init__(
        self,
        source: Source,
        vocabulary: Vocabulary | None,
        evaluation: Evaluation,
        ranking: Ranking,
        engine: Engine,
        progress: SelectionProgress,
        paths: OutputPaths | None,
    ) -> None:
        self._paths = paths
        self._made = 0
        self._source = source
        self._vocabulary = vocabulary
        self._evaluation = evaluation
        self._ranking = ranking
        self._engine = engine
        self._progress = progress
        self._best: tuple[Candidate, CompressedEmbedding] | None = None

    def _encode(self, codec: Codec, progress: Progress) -> CompressedEmbedding:
        engine = self._engine.telling(progress)
        paths = self._paths
        if paths is None:
            return encode(self._source, codec, self._vocabulary, engine)
        plan = make_plan(codec, self._source.shape)
        self._made += 1
        file = paths.folder / f"{self._made}.emcomp"
        return compress_to(
            file, self._source, codec, None, engine, plan, in_shards=False, resume=False
        )

    def run(self, codec: Codec, size: int) -> dict[str, Any]:
        """What came of a candidate, as a state keeps it."""
        name = str(codec)
        try:
            table = self._encode(codec, self._progress.watch)
        except InputError as error:
            return {"failed": str(error)}
        values, failed = self._measure(table, name)
        candidate = Candidate(name, size, values)
        best = self._best
        if failed is None and (
            best is None or self._ranking.order(candidate) < self._ranking.order(best[0])
        ):
            self._best = candidate, table
            worse = None if best is None else best[1]
        else:
            worse = table
        if worse is not None and worse.origin is not None:
            worse.origin.path.unlink()
        return {"scores": values} if failed is None else {"failed": failed}

    def _measure(
        self, table: CompressedEmbedding, name: str
    ) -> tuple[dict[str, float | None], str | None]:
        """The scores of a candidate, and why it cannot be ranked, None if it can."""
        try:
            with warnings.catch_warnings():
                # That a projection has not all directions is no news; that X has not, is.
                warnings.filterwarnings("ignore", "(?!X has )", RankWarning)
                scores = self._evaluation.scores(table, name)
        except InputError as error:
            return {}, str(error)
        values = {measure: score.value for measure, score in scores.items()}
        decisive = values[self._ranking.measure]
        if decisive is None or math.isnan(decisive):
            start = f"{self._ranking.measure} of {name}: "
            notes = [n.removeprefix(start) for n in self._evaluation.notes if n.startswith(start)]
            return values, notes[0] if notes else f"{self._ranking.measure} is not a number"
        return values, None

    def table(self, pick: Candidate) -> CompressedEmbedding:
        """The table of the pick; made again only where an earlier run had measured it."""
        if self._best is not None and self._best[0] == pick:
            table = self._best[1]
        else:
            table = self._encode(parse_codec(pick.codec), silent)
        if self._paths is None:
            return table
        table.words = self._vocabulary
        table.save(self._paths.out)
        return table_file.open(self._paths.out)
