"""The result of measuring compressed tables: scores that print as an aligned table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from emcomp._support.text_tables import aligned
from emcomp.measures.registry import resolve_measures


@dataclass(frozen=True)
class Score:
    """One measure of one table."""

    value: float | None
    """None where the measure is not defined for this table; the report's notes say why."""
    interval: tuple[float, float] | None = None
    """95 % interval where the value is estimated from a sample of rows."""

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.interval is None:
            return f"{self.value:.6g}"
        return f"{self.value:.4g} [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"


@dataclass(frozen=True)
class Report:
    """Scores by table name and measure name."""

    scores: dict[str, dict[str, Score]]
    rows: int
    """Rows of each table."""
    sample: int | None = None
    """Rows that the scores are estimated from; None for all."""
    notes: tuple[str, ...] = ()
    """Why a score is missing, and which tables are of less than full rank."""

    def __getitem__(self, table: str) -> dict[str, float | None]:
        """Values by measure name."""
        return {name: score.value for name, score in self.scores[table].items()}

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dicts, lists and numbers."""
        tables: dict[str, Any] = {}
        for table, scores in self.scores.items():
            tables[table] = {
                name: score.value
                if score.interval is None
                else {"value": score.value, "interval": list(score.interval)}
                for name, score in scores.items()
            }
        return {
            "rows": self.rows,
            "sample": self.sample,
            "tables": tables,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        names = list(next(iter(self.scores.values())))
        better = {n: m.higher_is_better for n, m in resolve_measures(names).items()}
        lines = [["measure", "better", *self.scores]]
        for name in names:
            cells = [str(scores[name]) for scores in self.scores.values()]
            lines.append([name, "higher" if better[name] else "lower", *cells])
        text = aligned(lines, left=2)
        if self.sample is not None:
            text.append(f"estimated from {self.sample} of {self.rows} rows, with 95 % intervals")
        return "\n".join([*text, *self.notes])
