"""Scalar, transform, product, residual and deep compositional codes at equal sizes, on real tables.

Needs ``embeddings/<name>/vectors.npy`` under the folder that EMCOMP_DATA names. Keeps its points in
``docs/methods.json`` and writes ``docs/methods.md`` from them; a point that is there is not measured
again. Everything counts in a size: codes, levels, steps and codebooks. Each method gets the bytes of
``uniform`` of the same bits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import emcomp
from experiments.data import DOCS, EMBEDDINGS, GLOVE, MINILM, SGNS, load_table
from experiments.measuring import Bench, compress_timed, is_known, largest_at, once, with_seed
from experiments.points import Points
from experiments.tables import figure, markdown

BITS = (1, 2, 4)
SLACK = 1.001  # a few levels more than uniform's one step are not another size
METHODS = {
    "uniform": "uniform:BITS",
    "k-means": "kmeans:BITS",
    "principal, allocate": "principal+allocate:{}",
    "pq, 8-bit codes": "pq:{}x8",
    "pq, 4-bit codes": "pq:{}x4",
    "opq, 8-bit codes": "opq:{}x8",
    "opq, 4-bit codes": "opq:{}x4",
    "dccl": "dccl:BITS(refine=0)",
    "dccl, refined": "dccl:BITS",
    "rq, 8-bit codes": "rq:{}x8",
}
"""BITS is the bits of an entry; {} is the largest number that fits, of codes or of mean bits."""
SLOW = ("dccl, refined", "rq, 8-bit codes")
"""At 4 bits these take many minutes, and come after all else."""
COLUMNS = {
    "bits": "bits",
    "squared_error": "squared error",
    "overlap_lost": "1 - EOS",
    "overlap_lost_centred": "centred",
    "mean_cosine_distance": "cosine distance",
    "mean_cosine_distance_centred": "centred",
    "neighbour_overlap_centred": "neighbours",
    "similarity_spearman_centred": "similarities",
    "delta_max": "Delta max",
    "pip_loss": "PIP loss",
    "fit_seconds": "fit s",
    "encode_seconds": "encode s",
}
QUICK_ROWS = 2000
"""Rows of the tiny slice."""


def codec_of(template: str, bits: int, shape: tuple[int, int]) -> str | None:
    """The codec of a method at this size; None where it has none that fits."""
    if "BITS" in template:
        return template.replace("BITS", str(bits))
    budget = SLACK * emcomp.parse_codec(f"uniform:{bits}").nbytes(shape)
    return largest_at(template, shape, budget, bits)


def wanted(shape: tuple[int, int], quick: bool) -> Iterator[tuple[str, int, str]]:
    """Method, bits and codec of every point, the smallest first."""
    for bits in BITS[:2] if quick else BITS:
        for method, template in METHODS.items():
            if is_known(template):
                codec = codec_of(template, bits, shape)
                if codec is not None:
                    yield method, bits, codec


def measure(bench: Callable[[], Bench], context: dict[str, Any], codec: str) -> dict[str, Any]:
    """What a point holds beside its key."""
    return {**context, **bench().compress(codec)[1]}


def run(points: Points, names: list[str], rows: int | None, quick: bool, retime: bool) -> None:
    """Measure what is missing; with ``retime`` measure the times of all again."""
    for slow in (False, True):
        for name in names:
            X = load_table(name, rows)
            bench = once(partial(Bench, name, X))
            for method, bits, codec in wanted(X.shape, quick):
                if slow == (bits == BITS[-1] and method in SLOW):
                    key = {"table": name, "rows": len(X), "codec": codec, "seed": 0}
                    context = {**key, "method": method, "budget": bits}
                    point = points.get(key, partial(measure, bench, context, codec))
                    if retime:
                        points.put({**point, **compress_timed(X, with_seed(codec, 0))[1]})


def report(points: Points, names: list[str]) -> str:
    """The document: a table for each embedding and size."""
    text = [INTRODUCTION]
    for name in names:
        own = [point for point in points if point["table"] == name]
        for bits in BITS:
            at_size = [point for point in own if point["budget"] == bits]
            at_size.sort(key=lambda point: list(METHODS).index(point["method"]))
            if at_size:
                title = f"{EMBEDDINGS[name]}, {at_size[0]['rows']:,} rows, {bits} bits an entry"
                text += [f"## {title}\n", table(at_size)]
    return "\n".join(text)


def table(points: list[dict[str, Any]]) -> str:
    """Rows of methods, columns of measures; the best of each measure in bold."""
    higher = ("neighbour_overlap_centred", "similarity_spearman_centred")
    lines = []
    for point in points:
        cells = [f"{point['method']}", f"`{point['codec']}`"]
        for key in COLUMNS:
            cell = figure(point[key])
            others = [p[key] for p in points if p[key] is not None]
            best = max(others) if key in higher else min(others)
            measured = key != "bits" and not key.endswith("seconds")
            cells.append(f"**{cell}**" if measured and point[key] == best else cell)
        lines.append(cells)
    return markdown(["method", "codec", *COLUMNS.values()], lines)


INTRODUCTION = """# Learned codebooks beside scalar codes

Written by `python -m experiments.methods` from the points in [methods.json](methods.json), on the
shared embeddings. Every method has the bytes of `uniform` at the same bits, everything counted:
codes, levels and float32 codebooks (`dccl:b` follows the rule of its paper, which rounds M). What a
codebook costs depends on the rows: May et al. compressed 400,000 and 1,000,000 rows, where it is
nearly free; here it is a large part of the size at 1 bit.

Squared error is over the table's own square; neighbours are the shared fraction of the five nearest,
and similarities the rank correlation of cosines of random pairs, both of centred vectors. PIP loss
and Delta max are over all rows. Seconds are processor time on one thread. The best value of each
measure is in bold.
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[MINILM, GLOVE, SGNS], metavar="name")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    parser.add_argument("--retime", action="store_true", help="measure the times again")
    arguments = parser.parse_args()
    key = ("table", "rows", "codec", "seed")
    if arguments.quick:
        points = Points(DOCS / "methods.json", key, kept=False)
        run(points, arguments.names[:1], QUICK_ROWS, True, arguments.retime)
        print(report(points, arguments.names))
        return
    points = Points(DOCS / "methods.json", key)
    run(points, arguments.names, None, False, arguments.retime)
    (DOCS / "methods.md").write_text(report(points, list(EMBEDDINGS)), encoding="utf-8")


if __name__ == "__main__":
    main()
