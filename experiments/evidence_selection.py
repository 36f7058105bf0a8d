"""How well measures predict task scores: correlations, selection errors, gaps to the oracle."""

from __future__ import annotations

from collections.abc import Callable, Collection

import emcomp
from experiments import may2019
from experiments.data import EMBEDDINGS, MINILM
from experiments.evidence_points import (
    HIGHER,
    MEASURES,
    PUBLISHED_MEASURES,
    PUBLISHED_METHODS,
    STUDIES,
    Point,
    groups,
)
from experiments.rivals import BITS
from experiments.tables import markdown

_FEWEST = 12
"""Codecs and sizes that a comparison of measures takes."""


def selection(
    points: list[Point],
    name: str,
    task: str,
    methods: Collection[str] | None,
    fewest: int = _FEWEST,
) -> dict[str, emcomp.selection.SelectionError] | None:
    """How well every measure chooses between all methods, or some.

    A codec without a seed stands for itself with every seed. None if there is too little to compare.
    """
    own = [p for p in points if p["table"] == name and task in p and "overlap_lost" in p]
    own = [p for p in own if p["budget"] in BITS or task == "MLM"]
    own = [p for p in own if methods is None or p["method"] in methods]
    own = [p for p in own if "pca" not in p["method"]]  # other numbers of columns
    seeds = sorted({point["seed"] for point in own})
    found = []
    for group in groups(own).values():
        by_seed = {point["seed"]: point for point in group}
        for seed in seeds:
            point = by_seed.get(seed, by_seed[min(by_seed)])
            measures = {key: point[key] for key in MEASURES}
            label = f"{point['method']} {point['budget']}"
            found.append(
                emcomp.selection.Point(label, seed, point[task], measures, point["budget"])
            )
    if len({point.name for point in found}) < fewest:
        return None
    return emcomp.selection.evaluate_selection(found, higher_is_better=HIGHER)


def by_measure(
    points: list[Point],
    methods: Collection[str] | None,
    cell: Callable[[emcomp.selection.SelectionError], str],
) -> str:
    """A figure of every measure for every study and heading; the best of a column in bold.

    Beside those of the published methods stand the published figures, from the authors' points.
    """
    columns = [(name, heading) for name, headings in STUDIES.items() for heading in headings]
    results = {
        column: selection(points, *column, methods) for column in [*columns, (MINILM, "MLM")]
    }
    found = {column: result for column, result in results.items() if result is not None}
    header = ["measure", *(f"{EMBEDDINGS[name]}, {heading}" for name, heading in found)]
    lines = [
        [label, *(cell(result[key]) for result in found.values())]
        for key, label in MEASURES.items()
    ]
    bold_smallest(lines)
    if methods is PUBLISHED_METHODS:
        header += [f"*{task} {embedding}*" for task, embedding in may2019.COLUMNS]
        published = may2019.results(may2019.load_points())
        for line, key in zip(lines, MEASURES, strict=True):
            name = PUBLISHED_MEASURES.get(key)
            line += [cell(result[name]) if name else "" for result in published]
    return markdown(header, lines)


def bold_smallest(lines: list[list[str]]) -> None:
    """The smallest first number of each column in bold."""
    for column in range(1, len(lines[0])):
        numbers = [float(line[column].split()[0]) for line in lines]
        for line, number in zip(lines, numbers, strict=True):
            if number == min(numbers):
                line[column] = f"**{line[column]}**"


def correlation(result: emcomp.selection.SelectionError) -> str:
    """Spearman with its sign."""
    return "0" if result.spearman is None else f"{result.spearman:.2f}"


def error(result: emcomp.selection.SelectionError) -> str:
    """Selection error, and the worst loss of a wrong choice."""
    return f"{result.error:.3f} ({result.worst_loss:.3f})"


def gap(result: emcomp.selection.SelectionError) -> str:
    """Mean and largest gap to the oracle at a size."""
    return f"{result.oracle_gap_mean or 0:.3f} ({result.oracle_gap_max or 0:.3f})"
