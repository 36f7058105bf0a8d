"""Tables and figures of ``docs/evidence.md`` from the raw points in ``docs/evidence``.

The document's text is written by hand; a table stands between ``<!-- name -->`` and ``<!-- end -->``
and is written again from the points. Figures go to ``docs/images``. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from statistics import mean, stdev
from typing import Any

from experiments.data import DOCS, EMBEDDINGS, GLOVE, MINILM, SGNS
from experiments.evidence_figures import draw
from experiments.rivals import BITS, RIVALS, SLACK
from experiments.tables import figure, markdown

import emcomp

DOCUMENT = DOCS / "evidence.md"
TASKS = {
    "sentences": ("mr", "sst2", "sst5", "subj"),
    "similarity": ("men", "ws353", "simlex999"),
    "analogies": ("google",),
    "CNN": ("cnn_sst2",),
    "STS-B": ("sts_b_spearman",),
}
"""What is averaged under a heading."""
STUDIES = {
    SGNS: ("sentences", "CNN", "similarity", "analogies"),
    GLOVE: ("sentences", "similarity", "analogies"),
    MINILM: ("STS-B",),
}
MEASURES = {
    "overlap_lost": "1 - EOS",
    "squared_error": "squared error",
    "linear_map_error": "linear-map error",
    "pip_loss": "PIP loss",
    "delta": "Delta",
    "delta_max": "Delta max",
    "mean_cosine_distance": "cosine distance",
    "mean_cosine_distance_centred": "cosine distance, centred",
    "neighbour_overlap_centred": "neighbours, centred",
    "similarity_spearman_centred": "similarities, centred",
}
HIGHER = ("neighbour_overlap_centred", "similarity_spearman_centred")
PUBLISHED_METHODS = ("uniform", "uniform, stochastic", "k-means", "dccl", "svd")
"""What May et al. compared; the rank-k table with all its columns stands for the k columns."""
BUDGETS = (8, 4, 2, 1, 0.5)
Point = dict[str, Any]


def load(name: str) -> list[Point]:
    """Points of a study; task scores under their headings as well."""
    path = DOCS / "evidence" / f"{name}.json"
    points: list[Point] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for point in points:
        for heading, tasks in TASKS.items():
            if all(task in point for task in tasks):
                point[heading] = mean(point[task] for task in tasks)
    return points


def groups(points: Iterable[Point]) -> dict[tuple[str, float], list[Point]]:
    """Points by method and budget: what differs in the seed alone is together."""
    found: dict[tuple[str, float], list[Point]] = {}
    for point in points:
        found.setdefault((point["method"], point["budget"]), []).append(point)
    return found


def spread(values: list[float]) -> str:
    """Mean, and standard deviation where there are several."""
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def with_measures(points: list[Point], measured: list[Point]) -> list[Point]:
    """Points of a study that measured only tasks, with the measures of the same codecs."""
    known: dict[tuple[Any, ...], Point] = {}
    for point in sorted(measured, key=lambda point: -point["seed"]):
        place = (point["table"], point["codec"], point["budget"])
        known[(*place, point["seed"])] = known[place] = point
    found = []
    for point in points:
        place = (point["table"], point["codec"], point["budget"])
        same = known.get((*place, point["seed"]), known.get(place, {}))
        found.append({**{key: same[key] for key in MEASURES if key in same}, **point})
    return found


def scores(points: list[Point], name: str) -> str:
    """Task scores by method and size."""
    own = [point for point in points if point["table"] == name]
    headings = [h for h in STUDIES[name] if any(h in point for point in own)]
    by_heading = {h: groups(point for point in own if h in point) for h in headings}
    header = ["method", *(f"{h} {32 / bits:g}x" for h in headings for bits in BITS)]
    lines = []
    for method in ("uncompressed", *RIVALS):
        cells = [method]
        for heading in headings:
            for bits in BITS:
                size = 32 if method == "uncompressed" else bits
                group = by_heading[heading].get((method, size))
                cells.append(spread([p[heading] for p in group]) if group else "")
        if any(cells[1:]):
            lines.append(cells)
    return markdown(header, lines)


def sizes(points: list[Point]) -> str:
    """Bits of an entry by method and nominal size, of each table."""
    header = ["method", *(f"{EMBEDDINGS[name]} {32 / b:g}x" for name in STUDIES for b in BITS)]
    lines = []
    for method in RIVALS:
        cells = [method]
        for name in STUDIES:
            own = groups(point for point in points if point["table"] == name)
            for bits in BITS:
                group = own.get((method, bits))
                cells.append(f"{group[0]['bits']:.2f}" if group else "")
        if any(cells[1:]):
            lines.append(cells)
    return markdown(header, lines)


def selection(points: list[Point], name: str, task: str, methods: Iterable[str]) -> Any:
    """How well every measure chooses; a codec without a seed stands for itself with every seed."""
    own = [p for p in points if p["table"] == name and p["method"] in methods]
    own = [p for p in own if p["budget"] in BITS and p["method"] != "pca"]
    own = [p for p in own if task in p and "overlap_lost" in p]
    seeds = sorted({point["seed"] for point in own})
    found = []
    for group in groups(own).values():
        by_seed = {point["seed"]: point for point in group}
        for seed in seeds:
            point = by_seed.get(seed, by_seed[min(by_seed)])
            measures = {key: point[key] for key in MEASURES}
            label = f"{point['method']} {point['budget']}"
            found.append(emcomp.Point(label, seed, point[task], measures, point["budget"]))
    if len(found) < 3:
        return None
    return emcomp.evaluate_selection(found, higher_is_better=HIGHER)


def by_measure(
    points: list[Point], methods: Iterable[str], cell: Callable[[emcomp.SelectionError], str]
) -> str:
    """A figure of every measure for every study and heading; the best of a column in bold."""
    columns = [(name, heading) for name, headings in STUDIES.items() for heading in headings]
    found = {column: selection(points, *column, methods) for column in columns}
    columns = [column for column in columns if found[column]]
    header = ["measure", *(f"{EMBEDDINGS[name]}, {heading}" for name, heading in columns)]
    lines = [
        [label, *(cell(found[column][key]) for column in columns)]
        for key, label in MEASURES.items()
    ]
    return markdown(header, bold_smallest(lines))


def bold_smallest(lines: list[list[str]]) -> list[list[str]]:
    """The smallest first number of each column in bold."""
    for column in range(1, len(lines[0])):
        numbers = [float(line[column].split()[0]) for line in lines]
        for line, number in zip(lines, numbers, strict=True):
            if number == min(numbers):
                line[column] = f"**{line[column]}**"
    return lines


def correlation(result: emcomp.SelectionError) -> str:
    """Spearman with its sign."""
    return "0" if result.spearman is None else f"{result.spearman:.2f}"


def error(result: emcomp.SelectionError) -> str:
    """Selection error, and the worst loss of a wrong choice."""
    return f"{result.error:.3f} ({result.worst_loss:.3f})"


def gap(result: emcomp.SelectionError) -> str:
    """Mean and largest gap to the oracle at a size."""
    return f"{result.oracle_gap_mean or 0:.3f} ({result.oracle_gap_max or 0:.3f})"


def choice(points: list[Point]) -> str:
    """The three codecs that really fit each size and keep most of the uncompressed scores."""
    header = ["size", *(EMBEDDINGS[name] for name in STUDIES)]
    lines = []
    for bits in BUDGETS:
        cells = [f"{32 / bits:g}x"]
        for name, headings in STUDIES.items():
            kept = retained([p for p in points if p["table"] == name], headings, bits)
            best = sorted(kept, key=lambda label: -kept[label])[:3]
            cells.append(", ".join(f"{label} {kept[label]:.1%}" for label in best))
        lines.append(cells)
    return markdown(header, lines)


def retained(points: list[Point], headings: Iterable[str], bits: float) -> dict[str, float]:
    """Mean share of the uncompressed scores that codecs of at most so many bits keep."""
    own = groups(p for p in points if "cnn_sst2" not in p)
    base = own.pop(("uncompressed", 32), [{}])[0]
    found = {}
    for (method, _), group in own.items():
        if group[0]["bits"] <= bits * SLACK:
            shares = [mean(p[h] for p in group) / base[h] for h in headings if h in group[0]]
            found[f"{method} ({group[0]['bits']:.2f})"] = mean(shares)
    return found


def precision(points: list[Point]) -> str:
    """Scores by columns and bits a column."""
    found = {}
    for point in points:
        match = re.match(r"pca:(\d+)\+(?:uniform|float):(\d+)", point["codec"])
        if match:
            found[int(match[1]), int(match[2])] = point
    widths = sorted({width for _, width in found})
    headings = ("sentences", "similarity", "analogies")
    header = ["columns", *(f"{h}, {w} bits" for h in headings for w in widths)]
    lines = []
    for k in sorted({columns for columns, _ in found}, reverse=True):
        own = [(found.get((k, width)), heading) for heading in headings for width in widths]
        lines.append([str(k), *(f"{point[h]:.3f}" if point else "" for point, h in own)])
    return markdown(header, lines)


def theorem_1(points: list[Point]) -> str:
    """Predicted and measured cost of regression."""
    lines = [
        [
            EMBEDDINGS[p["table"]],
            f"`{p['codec']}`",
            figure(p["overlap_lost"]),
            figure(p["predicted_gap"] * 1000),
            f"{figure(p['measured_gap'] * 1000)} ± {figure(p['standard_error'] * 1000, 1)}",
            f"{p['explained_by_Xq']:.3f} of {p['explained_by_X']:.3f}",
        ]
        for p in points
        if p["theorem"] == 1
    ]
    header = ["table", "codec", "1 - EOS", "predicted", "measured", "log rank"]
    return markdown(header, lines)


def theorem_2(points: list[Point]) -> str:
    """The bound, what it bounds, our quantizer and its estimate."""
    lines = [
        [
            str(EMBEDDINGS.get(p["table"], p["table"])),
            str(p["bits"]),
            figure(p["bound"], 2),
            figure(p["stochastic"], 2),
            figure(p["ours"]),
            figure(p["estimate"]),
        ]
        for p in points
        if p["theorem"] == 2 and p["bits"] in (1, 2, 4, 8)
    ]
    return markdown(["table", "bits", "bound", "it bounds", "`uniform`", "estimate"], lines)


def main() -> None:
    """Write the tables into the document and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    words, contextual = load("words"), load("contextual")
    words += with_measures(load("cnn"), words)
    both = words + contextual
    theory = load("theory")
    tables = {
        "choice": choice(both),
        "scores skip-gram": scores(words, SGNS),
        "scores GloVe": scores(words, GLOVE),
        "scores MiniLM": scores(contextual, MINILM),
        "correlation": by_measure(both, RIVALS, correlation),
        "correlation, published methods": by_measure(both, PUBLISHED_METHODS, correlation),
        "error": by_measure(both, RIVALS, error),
        "gap": by_measure(both, RIVALS, gap),
        "precision": precision(load("precision")),
        "theorem 1": theorem_1(theory),
        "theorem 2": theorem_2(theory),
        "sizes": sizes(both),
    }
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables.items():
        place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        match = place.search(text)
        if match is None:
            raise SystemExit(f"{DOCUMENT} has no place for the table {name!r}")
        text = f"{text[: match.start()]}{match[1]}\n{table}\n{match[2]}{text[match.end() :]}"
    DOCUMENT.write_text(text, encoding="utf-8")
    draw(both, theory, load("precision"))


if __name__ == "__main__":
    main()
