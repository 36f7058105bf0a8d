"""What bits buy: quantizers, in better bases or not, and factorizations, on real tables.

Keeps its points in ``docs/rate_distortion.json``: a point that is there is not measured again.
``--plot`` draws ``docs/images/rate_distortion.svg`` from that file alone.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.measures import spectrum
from experiments.data import DOCS, EMBEDDINGS, load_table
from experiments.measuring import Bench, largest
from experiments.points import Points

POINTS = DOCS / "rate_distortion.json"
FIGURE = DOCS / "images" / "rate_distortion.svg"
KEY = ("table", "rows", "codec")
BOUND = "Gaussian bound"
MEASURES = (
    "eos",
    "eos_centred",
    "frobenius_error",
    "mean_cosine_distance",
    "mean_cosine_distance_centred",
)
QUICK_ROWS, QUICK_CODECS = 2000, 3
"""Of the tiny slice."""
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
CODEWORDS = {"pq": (0.5, 1, 2, 4), "opq": (0.5, 1, 2, 4), "rq": (0.25,)}
"""Bits per entry of the vector quantizers, whose codes take 8 bits each."""
FACTORIZATIONS = ("svd", "direction", "autoencoder")
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
    "opq": {"color": "indigo", "marker": "s", "linestyle": "-"},
    "rq": {"color": "tab:pink", "marker": "D", "linestyle": "--"},
    "svd": {"color": "tab:green", "marker": "^", "linestyle": ""},
    "svd+uniform:8": {"color": "tab:green", "marker": "x", "linestyle": ""},
    "autoencoder": {"color": "black", "marker": "1", "linestyle": ""},
    "autoencoder+rotate(scales=row)+uniform": {"color": "black", "marker": "*", "linestyle": ""},
    "direction": {"color": "tab:orange", "marker": "v", "linestyle": ""},
    "direction+uniform:8": {"color": "tab:orange", "marker": "+", "linestyle": ""},
    "direction+rotate(scales=row)+uniform": {"color": "tab:orange", "marker": "*", "linestyle": ""},
}
"""Families of codecs in the figure; the others are in the file of points alone."""


def codecs(shape: tuple[int, int]) -> list[str]:
    """Quantizers at all widths, then factorizations at all ratios with latents of all kinds."""
    rows, dim = shape
    found = [f"{basis}uniform:{bits}" for basis in BASES for bits in BITS]
    found += [f"{basis}kmeans:{bits}" for basis in LEVEL_BASES for bits in BITS]
    found += [f"{axes}+allocate:{bits}" for axes in AXES for bits in BITS]
    for method in FACTORIZATIONS:
        for ratio in RATIOS:
            for latents in LATENTS:
                codec = largest(f"{method}:{{}}{latents}", shape, 4 * rows * dim / ratio, dim)
                if codec is not None and codec != f"{method}:{dim}{latents}":
                    found.append(codec)
    for method, sizes in CODEWORDS.items():
        found += [f"{method}:{int(bits * dim / 8)}x8" for bits in sizes]
    return found


def bound(squares: NDArray[np.float64], bits: float) -> float:
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


def bounds(X: NDArray[Any]) -> dict[str, Any]:
    """The bound at bits from a quarter to seven."""
    squares = spectrum(X).singular_values ** 2
    return {"bound": [[bits / 4, bound(squares, bits / 4)] for bits in range(1, 29)]}


def measured(bench: Bench, codec: str) -> dict[str, Any]:
    """What a point holds beside its key."""
    return bench.compress(codec)[1]


def run(points: Points, names: Iterable[str], quick: bool) -> None:
    """Measure what is missing."""
    for name in names:
        X = load_table(name, QUICK_ROWS if quick else None)
        bench = Bench(name, X, MEASURES)
        shared = {"table": name, "rows": len(X)}
        points.get({**shared, "codec": BOUND}, partial(bounds, X))
        for codec in codecs(X.shape)[: QUICK_CODECS if quick else None]:
            points.get({**shared, "codec": codec}, partial(measured, bench, codec))


def family(codec: str) -> str:
    """What points of one line have in common: all but the bits, or all but the rank."""
    if codec.startswith(FACTORIZATIONS):
        return re.sub(":[0-9]+", "", codec, count=1).removesuffix(":4")
    return codec.rpartition(":")[0]


def draw(points: Iterable[dict[str, Any]]) -> None:
    """The figure: squared error and lost overlap against bits for each table."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    measures = {
        "squared_error": "squared error (of the table's square)",
        "overlap_lost": "lost overlap (1 - EOS)",
    }
    by_table: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        by_table.setdefault(point["table"], []).append(point)
    figure, axes = plt.subplots(
        2, len(by_table), squeeze=False, figsize=(5 * len(by_table), 9), sharex=True, sharey="row"
    )
    for column, (name, own) in enumerate(by_table.items()):
        theory = next(point["bound"] for point in own if point["codec"] == BOUND)
        limits = {
            "squared_error": theory,
            "overlap_lost": [[bits, 2.0 ** (-2 * bits)] for bits, _ in theory],
        }
        families: dict[str, list[dict[str, Any]]] = {}
        for point in sorted((p for p in own if "bits" in p), key=lambda point: point["bits"]):
            families.setdefault(family(point["codec"]), []).append(point)
        for row, key in enumerate(measures):
            axis = axes[row, column]
            limit = np.array(limits[key]).T
            axis.fill_between(*limit, 1e-9, color="0.93")
            axis.plot(*limit, color="black", linestyle=":", label=BOUND)
            for each, style in DRAWN.items():
                line = families.get(each, [])
                values = [[p["bits"] for p in line], [p[key] for p in line]]
                axis.plot(*values, label=each.replace("+", " + "), markersize=5, **style)
            axis.set(yscale="log", xlim=(0, 7), ylim=(1e-4, 1.2))
            axis.grid(alpha=0.3)
        axes[0, column].set_title(f"{EMBEDDINGS[name]} ({own[0]['rows']:,} rows)")
        axes[1, column].set_xlabel("bits per entry, everything counted")
    for axis, label in zip(axes[:, 0], measures.values(), strict=True):
        axis.set_ylabel(label)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="lower center", ncols=5)
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    with mpl.rc_context({"svg.hashsalt": FIGURE.stem}):  # the same points make the same file
        figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    """Measure, or draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(EMBEDDINGS), metavar="name")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    parser.add_argument("--plot", action="store_true", help="draw the points there are")
    arguments = parser.parse_args()
    if arguments.quick:
        run(Points(POINTS, KEY, kept=False), arguments.names[:1], True)
    elif arguments.plot:
        draw(Points(POINTS, KEY))
    else:
        run(Points(POINTS, KEY), arguments.names, False)


if __name__ == "__main__":
    main()
