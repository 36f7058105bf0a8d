"""What came of choosing a codec: the ranking, the Pareto front, the pick and why."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emcomp._support.sizes import format_bytes
from emcomp._support.text_tables import aligned

if TYPE_CHECKING:
    from emcomp.tables.table import CompressedEmbedding

_WORTHWHILE = 0.1
"""Share of its size that a smaller table must save to be worth a mention."""


@dataclass(frozen=True)
class Candidate:
    """A codec that was tried on the table, or was too large to be."""

    codec: str
    nbytes: int
    """Bytes of the compressed table."""
    scores: Mapping[str, float | None] = field(default_factory=dict)
    """By measure; None where one is not defined for this candidate."""


@dataclass(frozen=True)
class Ranking:
    """What makes a candidate the better one, with ties broken the same way every time."""

    measure: str
    """The measure that decides."""
    higher_is_better: bool
    minimum: float | None = None
    """The score that is good enough; among those the smallest is the best."""

    def score(self, candidate: Candidate) -> float:
        """The deciding score."""
        score = candidate.scores[self.measure]
        assert score is not None  # others are not ranked
        return score

    def badness(self, candidate: Candidate) -> float:
        """The deciding score, turned so that lower is better, to nine digits: more are rounding."""
        score = float(f"{self.score(candidate):.9g}")
        return -score if self.higher_is_better else score

    def suffices(self, candidate: Candidate) -> bool:
        """Whether the score is good enough."""
        if self.minimum is None:
            return True
        score = self.score(candidate)
        return score >= self.minimum if self.higher_is_better else score <= self.minimum

    def order(self, candidate: Candidate) -> tuple[Any, ...]:
        """A key that sorts the best first: by score, or by size among those good enough."""
        by_score = (self.badness(candidate), candidate.nbytes, candidate.codec)
        if self.minimum is None or not self.suffices(candidate):
            return (True, *by_score)
        return (False, candidate.nbytes, self.badness(candidate), candidate.codec)

    def front(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The candidates that none is both smaller and better than, in order of size."""
        front: list[Candidate] = []
        for candidate in sorted(candidates, key=lambda c: (c.nbytes, self.badness(c), c.codec)):
            if not front or self.badness(candidate) < self.badness(front[-1]):
                front.append(candidate)
        return tuple(front)


@dataclass(frozen=True)
class Selection:
    """The result of `emcomp.select`; prints as the reason, the front and the other candidates."""

    shape: tuple[int, int]
    ranking: Ranking
    budget: int | None
    """Bytes that a table may take; None for any number."""
    ranked: tuple[Candidate, ...]
    """The candidates that were measured, the best first."""
    front: tuple[Candidate, ...]
    """Those that none of the others is both smaller and better than, the smallest first."""
    pick: Candidate | None
    """The best; None where no candidate reaches the minimum."""
    why: str
    table: CompressedEmbedding | None = field(repr=False)
    """The table compressed with the pick."""
    too_large: tuple[Candidate, ...] = ()
    """Candidates over the budget, which were not tried, the smallest first."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why a candidate could not be tried or measured, by codec."""

    def _describe(self, candidate: Candidate) -> dict[str, Any]:
        bits = 8 * candidate.nbytes / (self.shape[0] * self.shape[1])
        scores = {
            name: score if score is not None and math.isfinite(score) else None
            for name, score in candidate.scores.items()
        }
        described = {
            "codec": candidate.codec,
            "bytes": candidate.nbytes,
            "bits_per_entry": bits,
            "ratio": 32 / bits,
        }
        return {**described, "scores": scores} if scores else described

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dicts, lists and numbers, without the table."""
        front = {candidate.codec for candidate in self.front}
        return {
            "rows": self.shape[0],
            "dim": self.shape[1],
            "measure": self.ranking.measure,
            "higher_is_better": self.ranking.higher_is_better,
            "budget_bytes": self.budget,
            "minimum": self.ranking.minimum,
            "pick": None if self.pick is None else self.pick.codec,
            "why": self.why,
            "candidates": [{**self._describe(c), "front": c.codec in front} for c in self.ranked],
            "too_large": [self._describe(candidate) for candidate in self.too_large],
            "failed": dict(self.failed),
        }

    def to_json(self) -> str:
        """The result as JSON, without the table."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def _lines(self, candidates: Sequence[Candidate]) -> list[list[str]]:
        lines = []
        for candidate in candidates:
            described = self._describe(candidate)
            lines.append(
                [
                    ("> " if candidate == self.pick else "  ") + candidate.codec,
                    format_bytes(candidate.nbytes),
                    f"{described['bits_per_entry']:.2f}",
                    f"{described['ratio']:.1f}x",
                    *("-" if s is None else f"{s:.4f}" for s in candidate.scores.values()),
                ]
            )
        return lines

    def __str__(self) -> str:
        on_front = set(map(id, self.front))
        others = [candidate for candidate in self.ranked if id(candidate) not in on_front]
        header = ["codec", "size", "bits/entry", "smaller"]
        header += self.ranked[0].scores if self.ranked else []
        table = [["  " + header[0], *header[1:]], *self._lines([*self.front, *others])]
        lines = aligned(table)
        end = len(self.front) + 1
        text = [self.why, "", "None smaller is as good as these:", *lines[:end]]
        if others:
            text += ["", "The others, best first:", *lines[end:]]
        if self.too_large:
            text += ["", f"Too large: {_listed(self.too_large)}"]
        if self.failed:
            text += ["", *(f"Not tried: {codec}: {why}" for codec, why in self.failed.items())]
        return "\n".join(text)


def _listed(candidates: Sequence[Candidate]) -> str:
    first = f"{candidates[0].codec} ({format_bytes(candidates[0].nbytes)})"
    rest = len(candidates) - 1
    return first if rest == 0 else f"{first} and {rest} larger"


def explain(
    ranking: Ranking,
    ranked: Sequence[Candidate],
    front: Sequence[Candidate],
    pick: Candidate | None,
) -> str:
    """Why the pick, in words, and what the next smaller table would cost."""

    def cost(candidate: Candidate) -> str:
        score = f"{ranking.score(candidate):.4g}"
        return f"{format_bytes(candidate.nbytes)}, {ranking.measure} {score}"

    extreme = "highest" if ranking.higher_is_better else "lowest"
    if pick is None:
        return (
            f"No candidate has {ranking.measure} {_bound(ranking)}; the {extreme} is that of "
            f"{ranked[0].codec} ({cost(ranked[0])})."
        )
    if ranking.minimum is None:
        why = f"{pick.codec} ({cost(pick)}) has the {extreme} {ranking.measure} of {len(ranked)} tried."
    else:
        why = (
            f"{pick.codec} ({cost(pick)}) is the smallest with {ranking.measure} {_bound(ranking)}."
        )
    smaller = [c for c in front if c.nbytes <= (1 - _WORTHWHILE) * pick.nbytes]
    if smaller:
        saved = 1 - smaller[-1].nbytes / pick.nbytes
        why += f" The next smaller, {smaller[-1].codec} ({cost(smaller[-1])}), saves {saved:.0%}."
    return why


def _bound(ranking: Ranking) -> str:
    return f"of at {'least' if ranking.higher_is_better else 'most'} {ranking.minimum:g}"
