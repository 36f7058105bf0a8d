"""Word vectors x codecs x sizes x seeds on sentence classification, similarity and analogies.

As May et al. (2019): vectors stay as they are, and what there is to tune is tuned on the uncompressed
ones. Points are kept in ``docs/evidence/words.json``; `experiments.evidence` makes the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import emcomp
from experiments.data import DOCS, GLOVE, SGNS, load_table, load_words
from experiments.measuring import Bench, is_random, once
from experiments.points import Points
from experiments.rivals import BETWEEN, BITS, rivals
from experiments.word_tasks import WordTasks

POINTS = DOCS / "evidence" / "words.json"
KEY = ("table", "rows", "codec", "budget", "seed")
QUICK = ("uniform", "whitened", "pca")


class Wanted(NamedTuple):
    """One point to be."""

    method: str
    codec: str
    budget: float
    """Bits of an entry of the original."""
    seed: int


def wanted(shape: tuple[int, int], seeds: int, quick: bool) -> Iterator[Wanted]:
    """All codecs with one seed before the next; the slow ones of 4 bits with one."""
    for seed in range(seeds):
        for bits in BITS[:1] if quick else (*BITS, *BETWEEN):
            for method, codec in rivals(shape, bits):
                several = is_random(codec) and not (method == "dccl" and bits > 2)
                if (not quick or method in QUICK) and (not seed or several):
                    yield Wanted(method, codec, bits, seed)


def run(points: Points, name: str, points_wanted: Iterable[Wanted], limit: int | None) -> None:
    """Measure what is missing for one table; ``limit`` as for `WordTasks`."""
    X = load_table(name)
    bench = Bench(name, X)
    tasks = WordTasks(load_words(name), limit)

    @once
    def tuned() -> emcomp.CompressedEmbedding:
        original = bench.table("float:32")
        tasks.tune(original)
        return original

    shared = {"table": name, "rows": len(X)}
    points.get(
        {**shared, "codec": "float:32", "budget": 32, "seed": 0},
        lambda: {"method": "uncompressed", "bits": 32, **tasks.score(tuned())},
    )

    def measure(method: str, codec: str, seed: int) -> dict[str, Any]:
        tuned()
        table = bench.table(codec, seed)
        # A table of fewer columns, pca's, has fewer entries than the original.
        bits = table.bits_per_entry * table.dim / X.shape[1]
        return {"method": method, "bits": bits, **tasks.score(table), **bench.measure(table)}

    for method, codec, budget, seed in points_wanted:
        key = {**shared, "codec": codec, "budget": budget, "seed": seed}
        points.get(key, partial(measure, method, codec, seed))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[GLOVE, SGNS], metavar="name")
    parser.add_argument("--seeds", type=int, default=5, help="of codecs that have one")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    if arguments.quick:
        name = arguments.names[0]
        codecs = wanted(load_table(name).shape, 1, True)
        run(Points(POINTS, KEY, kept=False), name, codecs, 500)
        return
    for name in arguments.names:
        codecs = wanted(load_table(name).shape, arguments.seeds, False)
        run(Points(POINTS, KEY), name, codecs, None)


if __name__ == "__main__":
    main()
