"""Many measures of many compressed tables against one original."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emcomp.engine.base import Engine
from emcomp.engine.executors import make_engine
from emcomp.errors import InputError, RankWarning, UndefinedError
from emcomp.measures.pairs import TablePair, TableSums
from emcomp.measures.registry import (
    CENTRED,
    DEFAULT_MEASURES,
    Measure,
    resolve_measures,
)
from emcomp.measures.report import Report, Score
from emcomp.measures.sampling import jackknife, jackknife_sources, sample_rows, sample_size
from emcomp.tables.opening import open_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emcomp.io.sources.base import Source


class _Original:
    """The uncompressed table, plain and centred: its own sums are computed once."""

    def __init__(self, X: Source, engine: Engine) -> None:
        self._engine = engine
        self._tables = {c: TableSums(X, "X", centred=c, engine=engine) for c in (False, True)}

    def pairs(self, Xq: Source, name: str) -> dict[bool, TablePair]:
        """This table and a candidate, plain (False) and centred (True)."""
        return {
            centred: TablePair(table, TableSums(Xq, name, centred=centred, engine=self._engine))
            for centred, table in self._tables.items()
        }


class Evaluation:
    """The measures of one candidate after another; the original's own sums are computed once."""

    def __init__(self, X: Source, wanted: dict[str, Measure], engine: Engine) -> None:
        self._X = X
        self._wanted = wanted
        self._engine = engine
        self._original = _Original(X, engine)
        self._index: NDArray[np.int64] | None = None
        self._samples: list[_Original] = []
        self.notes: dict[str, None] = {}

    def use_sample(self, size: int, seed: int) -> None:
        """Estimates from a seeded sample of the rows from here on."""
        self._index = sample_rows(self._X.shape[0], size, seed)
        sources = jackknife_sources(self._X, self._index, "X", self._engine)
        local = Engine(self._engine.threads)  # samples are in memory
        self._samples = [_Original(source, local) for source in sources]

    def scores(self, Xq: Source, name: str) -> dict[str, Score]:
        """The scores of a candidate, whole or estimated."""
        whole = self._original.pairs(Xq, name)
        sampled: list[dict[bool, TablePair]] = []
        if self._index is not None:
            parts = jackknife_sources(Xq, self._index, name, self._engine)
            sampled = [
                original.pairs(part, name)
                for original, part in zip(self._samples, parts, strict=True)
            ]
        scores = {}
        for measure_name, measure in self._wanted.items():
            centred = measure_name.endswith(CENTRED)
            try:
                if sampled and not measure.from_all_rows:
                    pairs = [part[centred] for part in sampled]
                    scores[measure_name] = self._estimate(measure, pairs)
                else:
                    scores[measure_name] = Score(measure.compute(whole[centred]))
            except UndefinedError as error:
                scores[measure_name] = Score(None)
                self.notes[f"{measure_name} of {name}: {error}"] = None
        return scores

    def _estimate(self, measure: Measure, pairs: list[TablePair]) -> Score:
        rows = self._X.shape[0]
        return Score(
            *jackknife(
                [measure.compute(pair) * (rows / pair.x.rows) ** measure.growth for pair in pairs]
            )
        )


def evaluate(
    X: Any,
    tables: Any,
    measures: Sequence[str] | None = None,
    *,
    sample: float | None = None,
    seed: int = 0,
    executor: Any = None,
    threads: int | None = None,
) -> Report:
    """Measures of one or many compressed tables against the original.

    The original's own sums are computed once; each candidate is decoded block by block in one pass
    (one more for measures on centred vectors, for ill-conditioned tables and for measures that draw
    rows).

    Args:
        X: the original, table (n, d): array, path, or source.
        tables: a compressed table (n, k), or a mapping from names to them.
        measures: names of measures, each also as ``<name>_centred``; by default all but the spectral
            error of the linear map, and those centred that a common direction would hide. With a
            sample, the default leaves out what needs all rows: neighbour overlap and `eos_k`.
        sample: estimate from a random sample of so many rows, or of this fraction of them, with a
            95 % jackknife interval. `eos_k`, which is too unsteady for it, and measures that draw
            rows themselves (neighbour overlap, similarities) are computed as without it.
        seed: of the sample and of rows that measures draw.
        executor: workers that share the work, as for `emcomp.compress`.
        threads: threads to use, of each worker where there are some.

    Raises:
        InputError: if a measure is unknown, a table differs in rows, or an entry is not finite.
    """
    names = list(DEFAULT_MEASURES if measures is None else measures)
    if measures is None and sample is not None:
        names = [name for name in names if not name.startswith(("neighbour_overlap", "eos_k"))]
    wanted = resolve_measures(names, seed)
    if not wanted:
        raise InputError("no measures were asked for")
    candidates = dict(tables) if isinstance(tables, Mapping) else {"table": tables}
    if not candidates:
        raise InputError("no tables to evaluate")
    streamed = executor is not None
    source = open_table(X, streamed=streamed)
    sources = {name: open_table(table, streamed=streamed) for name, table in candidates.items()}
    rows = source.shape[0]
    for name, candidate in sources.items():
        if candidate.shape[0] != rows:
            raise InputError(f"X has {rows} rows and {name} has {candidate.shape[0]}")
    size = None if sample is None else sample_size(sample, rows)
    evaluation = Evaluation(source, wanted, make_engine(executor, threads))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RankWarning)
        if size is not None:
            evaluation.use_sample(size, seed)
        scores = {name: evaluation.scores(table, name) for name, table in sources.items()}
    notes = dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, RankWarning))
    return Report(scores, rows, size, (*notes, *evaluation.notes))
