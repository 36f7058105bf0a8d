"""Tables and figures of the evidence from the raw points in ``docs/evidence``.

The text of ``docs/evidence.md`` and ``docs/evidence/tables.md`` is written by hand; a table stands
between ``<!-- name -->`` and ``<!-- end -->`` and is written again from the points. Figures go to
``docs/images``. Nothing is measured here; the published figures beside ours are recomputed by
`experiments.may2019`, which needs the authors' points.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from functools import partial
from statistics import mean, stdev

from experiments.data import DOCS, EMBEDDINGS, GLOVE, MINILM, SGNS
from experiments.evidence_figures import draw
from experiments.evidence_points import (
    CHOSEN_BY,
    PUBLISHED_METHODS,
    STUDIES,
    Point,
    groups,
    load,
    with_measures,
)
from experiments.evidence_selection import by_measure, correlation, error, gap
from experiments.rivals import BITS, RIVALS
from experiments.tables import figure, markdown

DOCUMENTS = (DOCS / "evidence.md", DOCS / "evidence" / "tables.md")
ROOM = 1.05
"""What a codec may take beyond a size: rows of 100 bits are 13 bytes."""
_PLACE = re.compile(r"<!-- (?P<name>[^>]+) -->\n.*?<!-- end -->", re.DOTALL)
BUDGETS = (8, 4, 2, 1, 0.5)


def spread(values: list[float], digits: int = 3) -> str:
    """Mean, and standard deviation where there are several."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


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


def choice(points: list[Point]) -> str:
    """The three codecs that really fit each size and keep most of the uncompressed scores."""
    header = ["size", *(EMBEDDINGS[name] for name in STUDIES)]
    lines = []
    for bits in BUDGETS:
        cells = [f"{32 / bits:g}x"]
        for name, headings in CHOSEN_BY.items():
            kept = retained([p for p in points if p["table"] == name], headings, bits)
            best = sorted(kept, key=lambda label: -kept[label])[:3]
            cells.append(", ".join(f"{label} {kept[label]:.1%}" for label in best))
        lines.append(cells)
    return markdown(header, lines)


def retained(points: list[Point], headings: Iterable[str], bits: float) -> dict[str, float]:
    """Mean share of the uncompressed scores that codecs of at most so many bits keep."""
    own = groups(p for p in points if all(heading in p for heading in headings))
    base = own.pop(("uncompressed", 32), [{}])[0]
    found = {}
    for (method, _), group in own.items():
        if group[0]["bits"] <= bits * ROOM and not method.startswith("pca"):
            shares = [mean(p[h] for p in group) / base[h] for h in headings]
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


def perplexity(points: list[Point]) -> str:
    """Perplexity by method and ratio."""
    own = groups(points)
    ratios = sorted({ratio for method, ratio in own if method != "uncompressed"})
    lines = []
    for method in dict.fromkeys(method for method, _ in own):
        cells = [method]
        for ratio in ratios:
            group = own.get((method, 1 if method == "uncompressed" else ratio))
            cells.append(spread([p["perplexity"] for p in group], 1) if group else "")
        lines.append(cells)
    return markdown(["method", *(f"{ratio:g}x" for ratio in ratios)], lines)


def losses(points: list[Point]) -> str:
    """Perplexity and direction by method and ratio; perplexity with the lengths of rows restored."""
    lengths = list(dict.fromkeys(point["lengths"] for point in points))
    own: dict[tuple[str, float], dict[str, list[Point]]] = {}
    for point in points:
        by_lengths = own.setdefault((point["method"], point["budget"]), {})
        by_lengths.setdefault(point["lengths"], []).append(point)
    lines = []
    for (method, ratio), found in own.items():
        if len(found) > 1:
            distance = mean(p["mean_cosine_distance"] for p in found[lengths[0]])
            cells = [spread([p["perplexity"] for p in found[which]], 1) for which in lengths]
            lines.append([method, f"{ratio:g}x", figure(distance), *cells])
    return markdown(["method", "size", "cosine distance", *lengths], lines)


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


def filled(tables: Mapping[str, str], place: re.Match[str]) -> str:
    """A place with its table."""
    return f"<!-- {place['name']} -->\n\n{tables[place['name']]}\n<!-- end -->"


def main() -> None:
    """Write the tables into the documents and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    words, contextual = load("words"), load("contextual")
    words += with_measures(load("cnn"), words)
    contextual += with_measures(load("glue"), contextual)
    both = words + contextual
    masked, theory = load("masked"), load("theory")
    decoded = [point for point in masked if point["lengths"] == "as decoded"]
    tables = {
        "choice": choice(both),
        "scores skip-gram": scores(words, SGNS),
        "scores GloVe": scores(words, GLOVE),
        "scores MiniLM": scores(contextual, MINILM),
        "correlation": by_measure(both + decoded, None, correlation),
        "correlation, published methods": by_measure(both, PUBLISHED_METHODS, correlation),
        "error": by_measure(both + decoded, None, error),
        "error, published methods": by_measure(both, PUBLISHED_METHODS, error),
        "gap": by_measure(both + decoded, None, gap),
        "perplexity": perplexity(decoded),
        "losses": losses(masked),
        "precision": precision(load("precision")),
        "theorem 1": theorem_1(theory),
        "theorem 2": theorem_2(theory),
        "sizes": sizes(both),
    }
    unused = set(tables)
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        unused -= set(_PLACE.findall(text))
        document.write_text(_PLACE.sub(partial(filled, tables), text), encoding="utf-8")
    if unused:
        raise SystemExit(f"no document has a place for {', '.join(sorted(unused))}")
    draw(both, theory, load("precision"), decoded)


if __name__ == "__main__":
    main()
