"""What compressing the word piece table of a sentence encoder does to its sentence similarities.

The table of all-MiniLM-L6-v2 is replaced by each compressed one, nothing is trained, and the encoder
is judged on the test set of STS-B. Points are kept in ``docs/evidence/contextual.json``;
`experiments.evidence` makes the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import emcomp
from experiments import words
from experiments.data import DOCS, MINILM, load_table
from experiments.measuring import Bench, once
from experiments.points import Points
from experiments.rivals import BITS
from experiments.sentence_encoder import Encoder, StsB
from experiments.words import KEY, Wanted

POINTS = DOCS / "evidence" / "contextual.json"
QUICK = ("uniform", "whitened", "svd")


def wanted(shape: tuple[int, int], seeds: int, quick: bool) -> Iterator[Wanted]:
    """All codecs with one seed before the next; the encoder needs all columns, pca keeps fewer."""
    for point in words.wanted(shape, seeds, False):
        chosen = not quick or (point.method in QUICK and point.budget == BITS[0])
        if chosen and not point.method.startswith("pca"):
            yield point


def run_codecs(
    points: Points,
    bench: Bench,
    wanted_points: Iterable[Wanted],
    original: Callable[[], Mapping[str, Any]],
    measure: Callable[[emcomp.CompressedEmbedding], Mapping[str, Any]],
) -> None:
    """Measure what is missing: the original, then tables of codecs."""
    shared = {"table": bench.name, "rows": len(bench.X)}

    def point(method: str, codec: str, seed: int) -> dict[str, Any]:
        original()  # tunes the task, and is what others are compared with
        table = bench.table(codec, seed)
        return {"method": method, "bits": table.bits_per_entry, **measure(table)}

    points.get(
        {**shared, "codec": "float:32", "budget": 32, "seed": 0},
        lambda: {"method": "uncompressed", "bits": 32, **original()},
    )
    for method, codec, budget, seed in wanted_points:
        key = {**shared, "codec": codec, "budget": budget, "seed": seed}
        points.get(key, partial(point, method, codec, seed))


def run(points: Points, seeds: int, quick: bool) -> None:
    """Measure what is missing on STS-B."""
    X = load_table(MINILM)
    bench = Bench(MINILM, X)
    task = StsB(pairs=100 if quick else None)
    encoder = once(Encoder)

    def score(rows: Any) -> dict[str, float]:
        encoder().use_table(rows)
        return task.score(encoder())

    def measure(table: emcomp.CompressedEmbedding) -> dict[str, Any]:
        return {**score(table.decode(threads=1)), **bench.measure(table)}

    run_codecs(points, bench, wanted(X.shape, seeds, quick), once(partial(score, X)), measure)


def main(
    description: str, path: Path, study: Callable[[Points, int, bool], None], seeds: int
) -> None:
    """Measure, for the study of an encoder that keeps its points there."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=seeds, help="of codecs that have one")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    points = Points(path, KEY, kept=not arguments.quick)
    study(points, 1 if arguments.quick else arguments.seeds, arguments.quick)


if __name__ == "__main__":
    main(__doc__, POINTS, run, 3)
