"""How often, and how badly, choosing a compressed embedding by a measure goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emcomp._support.correlation import spearman
from emcomp.errors import InputError, UndefinedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Point:
    """One compressed embedding: what it scored on a task and what the measures said."""

    name: str
    """Of the configuration, such as method and width; points of one name differ in the seed."""
    seed: int
    performance: float
    """Task score, higher is better."""
    measures: Mapping[str, float] = field(default_factory=dict)
    size: float | None = None
    """Memory, in any unit; points of one size are rivals under a budget."""


@dataclass(frozen=True)
class SelectionError:
    """What choosing by one measure costs."""

    error: float
    """Fraction of pairs decided wrongly, averaged over the seeds."""
    worst_loss: float
    """Largest performance difference of a wrongly decided pair; 0 where there is none."""
    pairs: int
    ties: int
    """Pairs that the measure does not tell apart though their performance differs."""
    spearman: float | None
    """Rank correlation of the measure, as an error, with performance over all points; near -1 is
    good, and a positive one ranks the wrong way round. None where either is constant."""
    oracle_gap_mean: float | None
    """Mean over groups of one size and seed of best performance less that of the pick; None where
    no group has two points."""
    oracle_gap_max: float | None
    groups: int


def _points_by_seed(points: Sequence[Point], across_seeds: bool) -> list[list[int]]:
    if across_seeds:
        return [list(range(len(points)))]
    groups: dict[int, list[int]] = {}
    for i, point in enumerate(points):
        groups.setdefault(point.seed, []).append(i)
    return list(groups.values())


def _pairs(points: Sequence[Point], group: list[int], across_seeds: bool) -> NDArray[np.intp]:
    """Indices of both points of each pair, array (2, pairs), the earlier first."""
    index = np.asarray(group)
    first, second = np.triu_indices(index.size, 1)
    pairs: NDArray[np.intp] = index[np.stack([first, second])]
    if across_seeds:
        _, names = np.unique([point.name for point in points], return_inverse=True)
        pairs = pairs[:, names[pairs[0]] != names[pairs[1]]]
    return pairs


def _wrong_votes(
    errors: NDArray[np.float64], performance: NDArray[np.float64], ties: str
) -> NDArray[np.float64]:
    """Wrongness, 0 to 1, of the decision on each pair; both arrays are (2, pairs)."""
    if ties == "first":
        votes_second = errors[1] < errors[0]
        is_second = performance[1] > performance[0]
        wrong: NDArray[np.float64] = np.not_equal(votes_second, is_second).astype(np.float64)
        return wrong
    agreement = np.sign(errors[0] - errors[1]) * np.sign(performance[1] - performance[0])
    wrong = np.where(agreement < 0, 1.0, np.where(errors[0] == errors[1], 0.5, 0.0))
    wrong[performance[0] == performance[1]] = 0.0
    return wrong


def _oracle_gaps(
    points: Sequence[Point], errors: NDArray[np.float64], performance: NDArray[np.float64]
) -> list[float]:
    groups: dict[tuple[float, int], list[int]] = {}
    for i, point in enumerate(points):
        if point.size is not None:
            groups.setdefault((point.size, point.seed), []).append(i)
    gaps = []
    for group in groups.values():
        if len(group) > 1:
            picked = group[int(np.argmin(errors[group]))]
            gaps.append(float(performance[group].max() - performance[picked]))
    return gaps


def evaluate_selection(
    points: Sequence[Point],
    *,
    higher_is_better: Collection[str] = (),
    ties: str = "half",
    across_seeds: bool = False,
    budget: float | None = None,
) -> dict[str, SelectionError]:
    """How well each measure chooses between compressed embeddings.

    For every unordered pair of points of one seed the measure votes for the better embedding, and
    the task says which it is. The selection error is the fraction of wrong votes, averaged over the
    seeds. Under a budget, the measure picks among the points of one size and seed, and the gap to
    the oracle is what the pick loses to the best of them.

    Args:
        points: embeddings measured on one task; all with the same measures.
        higher_is_better: names of measures that are scores, such as EOS; the rest are errors.
        ties: ``"half"`` counts a pair that the measure does not tell apart as half wrong, and a
            pair of equal performance as right; ``"first"`` gives all ties to the earlier point, on
            both sides, as the published code does.
        across_seeds: pair points of all seeds, of different names, instead of those of one seed.
        budget: leave out points whose size is above this.

    Returns:
        A result for each measure, by name.

    Raises:
        InputError: if there are no two points to compare, or a number is missing or not finite.

    Source:
        May et al. 2019, section 5; protocol of Leszczynski et al., MLSys 2020.
    """
    if ties not in ("half", "first"):
        raise InputError(f"ties must be 'half' or 'first', not {ties!r}")
    if budget is not None:
        if any(point.size is None for point in points):
            raise InputError("a budget needs the size of every point")
        points = [point for point in points if point.size is not None and point.size <= budget]
    groups = [
        _pairs(points, group, across_seeds) for group in _points_by_seed(points, across_seeds)
    ]
    groups = [pairs for pairs in groups if pairs.size]
    if not groups:
        raise InputError("there are no two points of one seed to choose between")
    performance = np.array([point.performance for point in points], dtype=np.float64)
    names = list(points[0].measures)
    for point in points:
        if list(point.measures) != names and set(point.measures) != set(names):
            raise InputError(f"{point.name}, seed {point.seed}, has other measures than the first")
    results = {}
    for name in names:
        errors = np.array([point.measures[name] for point in points], dtype=np.float64)
        if not (np.isfinite(errors).all() and np.isfinite(performance).all()):
            raise InputError(f"{name} or the performance is not finite at some point")
        if name in higher_is_better:
            errors = -errors
        results[name] = _selection_error(points, groups, errors, performance, ties)
    return results


def _selection_error(
    points: Sequence[Point],
    groups: list[NDArray[np.intp]],
    errors: NDArray[np.float64],
    performance: NDArray[np.float64],
    ties: str,
) -> SelectionError:
    wrong = [_wrong_votes(errors[pairs], performance[pairs], ties) for pairs in groups]
    pairs = np.concatenate(groups, axis=1)
    differences = np.abs(performance[pairs[0]] - performance[pairs[1]])
    gaps = _oracle_gaps(points, errors, performance)
    try:
        correlation = spearman(errors, performance)
    except UndefinedError:
        correlation = None
    return SelectionError(
        error=float(np.mean([votes.mean() for votes in wrong])),
        worst_loss=float(np.where(np.concatenate(wrong) > 0, differences, 0.0).max()),
        pairs=pairs.shape[1],
        ties=int(np.count_nonzero((errors[pairs[0]] == errors[pairs[1]]) & (differences > 0))),
        spearman=correlation,
        oracle_gap_mean=float(np.mean(gaps)) if gaps else None,
        oracle_gap_max=max(gaps) if gaps else None,
        groups=len(gaps),
    )
