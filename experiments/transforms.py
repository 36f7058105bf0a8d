"""Factorizations, with latents of all kinds, beside quantizers of the same bytes, on real tables.

Needs ``embeddings/<name>/vectors.npy`` under the folder that EMCOMP_DATA names. Keeps its points in
``docs/factorizations.json`` and writes ``docs/factorizations.md`` from them; a point that is there is
not measured again. Everything counts in a size: latents or codes, decoder, scales, mean row.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from statistics import mean, stdev
from typing import Any

from experiments.data import DOCS, EMBEDDINGS, MINILM, load_table
from experiments.measuring import Bench, compress_timed, is_known, largest, once, with_seed
from experiments.points import Points
from experiments.tables import figure, markdown

RATIOS = (2.5, 5, 10)
FACTORIZATIONS = {"svd": 1, "autoencoder": 3, "direction": 1}
"""Method and the number of seeds that it is run with."""
LATENTS = {
    "float32 latents": "",
    "float16": "+float:16",
    "8 bits": "+rotate(scales=row)+uniform:8",
    "4 bits": "+rotate(scales=row)+uniform:4",
}
QUANTIZERS = (
    "uniform:{}",
    "rotate+uniform:{}",
    "rotate(scales=row)+uniform:{}",
    "rotate(scales=row)+kmeans:{}",
    "whiten+uniform:{}",
    "whiten+kmeans:{}",
    "principal+allocate:{}",
)
ORDER = [
    *(f"{method}, {latents}" for method in FACTORIZATIONS for latents in LATENTS),
    *(template.replace(":{}", "") for template in QUANTIZERS),
]
COLUMNS = {
    "ratio": "ratio",
    "squared_error": "squared error",
    "mean_cosine_distance": "cosine distance",
    "mean_cosine_distance_centred": "centred",
    "length_error": "length error",
    "overlap_lost": "1 - EOS",
    "similarity_spearman_centred": "similarities",
    "fit_seconds": "fit s",
}
MEASURES = (
    "eos",
    "frobenius_error",
    "mean_cosine_distance",
    "mean_cosine_distance_centred",
    "neighbour_overlap_centred",
    "similarity_spearman_centred",
)
QUICK_ROWS = 2000
"""Rows of the tiny slice."""


def wanted(shape: tuple[int, int], quick: bool) -> Iterator[tuple[str, float, str, int]]:
    """Method, ratio, codec and seed of every point."""
    rows, dim = shape
    for ratio in RATIOS:
        nbytes = 4 * rows * dim / ratio
        for method, seeds in FACTORIZATIONS.items():
            for latents, after in LATENTS.items():
                template = f"{method}:{{}}{after}"
                codec = largest(template, shape, nbytes, dim) if is_known(template) else None
                if codec is not None and not codec.startswith(f"{method}:{dim}"):
                    for seed in range(1 if quick else seeds):
                        yield f"{method}, {latents}", ratio, codec, seed
        for template in QUANTIZERS:
            codec = largest(template, shape, nbytes, 8)
            if codec is not None:
                yield template.replace(":{}", ""), ratio, codec, 0


def measure(bench: Callable[[], Bench], method: str, codec: str, seed: int) -> dict[str, Any]:
    """What a point holds beside its key."""
    return {"method": method, **bench().compress(codec, seed)[1]}


def run(points: Points, names: list[str], rows: int | None, quick: bool, retime: bool) -> None:
    """Measure what is missing; with ``retime`` measure the times of all again."""
    for name in names:
        X = load_table(name, rows)
        bench = once(partial(Bench, name, X, MEASURES))
        for method, ratio, codec, seed in wanted(X.shape, quick):
            key = {"table": name, "rows": len(X), "codec": codec, "target": ratio, "seed": seed}
            point = points.get(key, partial(measure, bench, method, codec, seed))
            if retime:
                points.put({**point, **compress_timed(X, with_seed(codec, seed))[1]})


def report(points: Points, names: list[str]) -> str:
    """The document: a table for each embedding and ratio."""
    text = [INTRODUCTION]
    for name in names:
        for ratio in RATIOS:
            own = [p for p in points if p["table"] == name and p["target"] == ratio]
            if own:
                title = f"{EMBEDDINGS[name]}, {own[0]['rows']:,} rows, {ratio} times smaller"
                text += [f"## {title}\n", table(own)]
    return "\n".join(text)


def table(points: list[dict[str, Any]]) -> str:
    """Rows of methods, columns of measures; several seeds as mean and standard deviation."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for point in points:
        groups.setdefault((point["method"], point["codec"]), []).append(
            {**point, "ratio": 32 / point["bits"]}
        )
    lines = []
    for (method, codec), group in sorted(groups.items(), key=lambda item: ORDER.index(item[0][0])):
        cells = [method, f"`{codec}`"]
        for key in COLUMNS:
            values = [point[key] for point in group]
            cell = figure(mean(values), 4)
            if len(values) > 1 and key not in ("ratio", "fit_seconds"):
                cell += f" ± {stdev(values):.1g}"
            cells.append(cell)
        lines.append(cells)
    return markdown(["method", "codec", *COLUMNS.values()], lines)


INTRODUCTION = """# Factorizations beside quantizers

Written by `python -m experiments.transforms` from the points in
[factorizations.json](factorizations.json). Each codec is the largest of its kind that is at least so
many times smaller than float32, everything counted, so that narrower latents mean more of them; a
quantizer has at most 8 bits, and at 2.5 times is smaller than asked. The autoencoder is trained as
published, ± is the standard deviation over its seeds. Length error is the mean relative error of the
rows' lengths; similarities are the rank correlation of cosines of random pairs of centred vectors.
Seconds are processor time on one thread.
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[MINILM], metavar="name")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    parser.add_argument("--retime", action="store_true", help="measure the times again")
    arguments = parser.parse_args()
    key = ("table", "rows", "codec", "target", "seed")
    if arguments.quick:
        points = Points(DOCS / "factorizations.json", key, kept=False)
        run(points, arguments.names[:1], QUICK_ROWS, True, arguments.retime)
        print(report(points, arguments.names))
        return
    points = Points(DOCS / "factorizations.json", key)
    run(points, arguments.names, None, False, arguments.retime)
    (DOCS / "factorizations.md").write_text(report(points, list(EMBEDDINGS)), encoding="utf-8")


if __name__ == "__main__":
    main()
