"""What bits buy: quantizers, in better bases or not, and factorizations, on real tables.

Needs ``embeddings/<name>/vectors.npy`` under the folder that EMCOMP_DATA names (default
``../shared/data`` beside the project). Adds the points that ``docs/rate_distortion.json`` lacks, one
after another, so that a run can be broken off and taken up again; ``--again`` measures all.
``--plot`` draws ``docs/images/rate_distortion.svg`` from that file alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

import emcomp
from emcomp.engine import Engine
from emcomp.evaluation import Evaluation
from emcomp.measures import spectrum
from emcomp.measures.registry import resolve_measures
from emcomp.sources import as_source, blocks
from emcomp.threads import resolve_threads

ROOT = Path(__file__).resolve().parent.parent
POINTS = ROOT / "docs" / "rate_distortion.json"
FIGURE = ROOT / "docs" / "images" / "rate_distortion.svg"
NAMES = ("minilm-wordpiece-384d", "wiki-imdb-sgns-300d", "wiki-imdb-glove-100d")
MEASURES = (
    "eos",
    "eos_centred",
    "frobenius_error",
    "mean_cosine_distance",
    "mean_cosine_distance_centred",
)
BASES = (
    "",
    "rotate+",
    "rotate(scales=row)+",
    "whiten+",
    "whiten(centre=none)+",
    "whiten(1.0)+",
)
LEVEL_BASES = ("", "rotate(scales=row)+", "whiten+", "whiten(1.0)+")
AXES = ("principal(0.0)", "principal", "principal(0.5)")
BITS = (1, 2, 3, 4, 6)
CODEWORDS = {"pq": (0.5, 1, 2, 4), "rq": (0.25,)}
"""Bits per entry of the vector quantizers, whose codes take 8 bits each."""
FACTORIZATIONS = ("svd", "direction")
RATIOS = (2.5, 5, 10)
LATENTS = ("", "+uniform:8", "+rotate(scales=row)+uniform:4")
DRAWN: dict[str, dict[str, Any]] = {
    "uniform": {"color": "tab:gray", "marker": "."},
    "kmeans": {"color": "tab:brown", "marker": "."},
    "rotate(scales=row)+kmeans": {"color": "tab:olive", "marker": "."},
    "whiten+kmeans": {"color": "tab:blue", "marker": "."},
    "whiten(1.0)+kmeans": {"color": "tab:cyan", "marker": "."},
    "principal+allocate": {"color": "tab:red", "marker": "."},
    "pq": {"color": "tab:purple", "marker": "s", "linestyle": "--"},
    "rq": {"color": "tab:pink", "marker": "D", "linestyle": "--"},
    "svd": {"color": "tab:green", "marker": "^", "linestyle": ""},
    "svd+uniform:8": {"color": "tab:green", "marker": "x", "linestyle": ""},
    "direction": {"color": "tab:orange", "marker": "v", "linestyle": ""},
    "direction+uniform:8": {"color": "tab:orange", "marker": "+", "linestyle": ""},
    "direction+rotate(scales=row)+uniform": {"color": "tab:orange", "marker": "*", "linestyle": ""},
}
"""Families of codecs in the figure; the others are in the file of points alone."""


def codecs(shape: tuple[int, int]) -> list[str]:
    """Quantizers at all widths, then factorizations at all ratios with latents of all kinds."""
    found = [f"{basis}uniform:{bits}" for basis in BASES for bits in BITS]
    found += [f"{basis}kmeans:{bits}" for basis in LEVEL_BASES for bits in BITS]
    found += [f"{axes}+allocate:{bits}" for axes in AXES for bits in BITS]
    for method in FACTORIZATIONS:
        for ratio in RATIOS:
            for latents in LATENTS:
                k = largest_rank(shape, method, latents, ratio)
                if k:
                    found.append(f"{method}:{k}{latents}")
    for method, sizes in CODEWORDS.items():
        found += [f"{method}:{int(bits * shape[1] / 8)}x8" for bits in sizes]
    return found


def largest_rank(shape: tuple[int, int], method: str, latents: str, ratio: float) -> int:
    """The largest k with which the whole table is at least ``ratio`` times smaller; 0 if d fits."""
    rows, dim = shape
    sizes = [emcomp.parse_codec(f"{method}:{k}{latents}").nbytes(shape) for k in range(1, dim + 1)]
    k = sum(size * ratio <= 4 * rows * dim for size in sizes)
    return k if k < dim else 0


def bound(squares: np.ndarray[Any, np.dtype[np.float64]], bits: float) -> float:
    """Least relative squared error of any code of Gaussian rows, by reverse water-filling.

    Args:
        squares: mean squares along the principal axes, (dim,).
        bits: for each entry.
    """
    low, high = -120.0, math.log2(squares.max())
    for _ in range(200):
        level = (low + high) / 2
        used = np.maximum(np.log2(np.maximum(squares, 1e-300)) - level, 0).sum() / 2
        low, high = (level, high) if used > bits * squares.size else (low, level)
    return float(np.minimum(squares, 2**high).sum() / squares.sum())


def length_error(X: Any, table: emcomp.CompressedEmbedding) -> float:
    """Mean of ``| |x̂| / |x| - 1 |`` over rows that are not zero."""
    total, count = 0.0, 0
    for first, rows in blocks(as_source(X)):
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        decoded = np.linalg.norm(table.decode(first, len(rows)).astype(np.float64), axis=1)
        live = lengths > 0
        total += float(np.abs(decoded[live] / lengths[live] - 1).sum())
        count += int(live.sum())
    return total / max(count, 1)


def measure(
    X: Any, codec: str, evaluation: Evaluation, squares: np.ndarray[Any, np.dtype[np.float64]]
) -> dict[str, Any]:
    """One point: what a codec costs and what it loses."""
    start = time.perf_counter()
    table = emcomp.compress(X, codec)
    seconds = time.perf_counter() - start
    values = {key: score.value or 0.0 for key, score in evaluation.scores(table, codec).items()}
    point = {
        "codec": codec,
        "bits": table.bits_per_entry,
        "overlap_lost": 1 - values["eos"],
        "overlap_lost_centred": 1 - values["eos_centred"],
        "squared_error": values["frobenius_error"] ** 2 / float(squares.sum()),
        "cosine_distance": values["mean_cosine_distance"],
        "cosine_distance_centred": values["mean_cosine_distance_centred"],
        "length_error": length_error(X, table),
        "seconds": seconds,
    }
    return {k: v if isinstance(v, str) else float(f"{v:.4g}") for k, v in point.items()}


def measure_table(name: str, results: dict[str, Any], data: Path) -> None:
    """The points of one table that are still to be measured, each written as soon as it is there."""
    X = np.load(data / "embeddings" / name / "vectors.npy")
    squares = spectrum(X).singular_values ** 2
    limit = [[bits / 4, float(f"{bound(squares, bits / 4):.4g}")] for bits in range(1, 29)]
    result = results.setdefault(name, {"points": []})
    known = {point["codec"]: point for point in result["points"]}
    result.update(shape=list(X.shape), bound=limit, points=[])
    evaluation = Evaluation(
        as_source(X), resolve_measures(list(MEASURES)), Engine(resolve_threads(None))
    )
    wanted = codecs(X.shape)
    for codec in wanted:
        point = known.get(codec) or measure(X, codec, evaluation, squares)
        known[codec] = point
        result["points"] = [known[c] for c in wanted if c in known]
        POINTS.write_text(json.dumps(results, indent=1) + "\n")
        print(" ".join(f"{value:<12}" for value in point.values()), flush=True)


def family(codec: str) -> str:
    """What points of one line have in common: all but the bits, or all but the rank."""
    if codec.startswith(FACTORIZATIONS):
        return re.sub(":[0-9]+", "", codec, count=1).removesuffix(":4")
    return codec.rpartition(":")[0]


def draw(results: dict[str, Any]) -> None:
    """The figure: squared error and lost overlap against bits for each table."""
    import matplotlib.pyplot as plt

    measures = {
        "squared_error": "squared error (of the table's square)",
        "overlap_lost": "lost overlap (1 - EOS)",
    }
    shown = [name for name in NAMES if name in results]
    figure, axes = plt.subplots(
        2, len(shown), squeeze=False, figsize=(5 * len(shown), 9), sharex=True, sharey="row"
    )
    for column, name in enumerate(shown):
        result = results[name]
        families: dict[str, list[dict[str, Any]]] = {}
        for point in sorted(result["points"], key=lambda point: point["bits"]):
            families.setdefault(family(point["codec"]), []).append(point)
        limits = {
            "squared_error": result["bound"],
            "overlap_lost": [[bits, 2.0 ** (-2 * bits)] for bits, _ in result["bound"]],
        }
        for row, key in enumerate(measures):
            axis = axes[row, column]
            limit = np.array(limits[key]).T
            axis.fill_between(*limit, 1e-9, color="0.93")
            axis.plot(*limit, color="black", linestyle=":", label="Gaussian bound")
            for each, style in DRAWN.items():
                points = families.get(each, [])
                line = [[p["bits"] for p in points], [p[key] for p in points]]
                axis.plot(*line, label=each.replace("+", " + "), markersize=5, **style)
            axis.set(yscale="log", xlim=(0, 7), ylim=(1e-4, 1.2))
            axis.grid(alpha=0.3)
        axes[0, column].set_title("{} ({:,} x {})".format(name, *result["shape"]))
        axes[1, column].set_xlabel("bits per entry, everything counted")
    for axis, label in zip(axes[:, 0], measures.values(), strict=True):
        axis.set_ylabel(label)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="lower center", ncols=5)
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    """Measure, or draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, metavar="name")
    parser.add_argument("--again", action="store_true", help="measure known points again")
    parser.add_argument("--plot", action="store_true", help="draw the points of the last run")
    arguments = parser.parse_args()
    results = json.loads(POINTS.read_text()) if POINTS.exists() else {}
    if arguments.plot:
        draw(results)
        return
    data = Path(os.environ.get("EMCOMP_DATA", ROOT.parent / "shared" / "data"))
    for name in arguments.names:
        print(name)
        if arguments.again:
            results.pop(name, None)
        measure_table(name, results, data)


if __name__ == "__main__":
    main()
