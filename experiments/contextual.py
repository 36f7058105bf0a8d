"""What compressing the word piece table of a sentence encoder does to its sentence similarities.

The table of all-MiniLM-L6-v2 is replaced by each compressed one, nothing is trained, and the encoder
is judged on the test set of STS-B. Points are kept in ``docs/evidence/contextual.json``;
`experiments.evidence` makes the tables.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

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


def run(points: Points, seeds: int, quick: bool) -> None:
    """Measure what is missing."""
    X = load_table(MINILM)
    bench = Bench(MINILM, X)
    task = StsB(pairs=100 if quick else None)
    encoder = once(Encoder)

    def score(table: Any) -> dict[str, float]:
        encoder().use_table(table)
        return task.score(encoder())

    original = once(partial(score, X))

    def measure_original() -> dict[str, Any]:
        return {"method": "uncompressed", "bits": 32, **original()}

    def measure(method: str, codec: str, seed: int) -> dict[str, Any]:
        original()  # what agreement is measured with
        table = bench.table(codec, seed)
        scores = score(table.decode(threads=1))
        return {"method": method, "bits": table.bits_per_entry, **scores, **bench.measure(table)}

    shared = {"table": MINILM, "rows": len(X)}
    points.get({**shared, "codec": "float:32", "budget": 32, "seed": 0}, measure_original)
    for method, codec, budget, seed in wanted(X.shape, seeds, quick):
        key = {**shared, "codec": codec, "budget": budget, "seed": seed}
        points.get(key, partial(measure, method, codec, seed))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="of codecs that have one")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    if arguments.quick:
        with tempfile.TemporaryDirectory() as folder:
            run(Points(Path(folder) / POINTS.name, KEY), 1, True)
        return
    run(Points(POINTS, KEY), arguments.seeds, False)


if __name__ == "__main__":
    main()
