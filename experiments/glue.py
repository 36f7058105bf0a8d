"""What compressing the word piece table of a frozen encoder does to linear probes on GLUE tasks.

all-MiniLM-L6-v2 with its table replaced encodes the sentences of RTE, CoLA and SST-2, and logistic
regression on its vectors is trained; a pair is the absolute difference of its vectors and their
product. SST-2 is judged on its development set; the other two, whose development sets are small, in
five folds of all there is. The penalty is chosen on the uncompressed table. Points are kept in
``docs/evidence/glue.json``; `experiments.evidence` makes the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.contextual import main, run_codecs, wanted
from experiments.data import DOCS, MINILM, data_folder, load_table
from experiments.measuring import Bench, once
from experiments.points import Points
from experiments.rivals import BITS
from experiments.sentence_encoder import Encoder
from experiments.word_tasks import predict

POINTS = DOCS / "evidence" / "glue.json"
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
FOLDS = 5
_MOST = 9000
"""Examples to train on: SST-2 has 67,349, phrases for the most part."""


class Format(NamedTuple):
    """Where a task's file has what."""

    folder: str
    header: bool
    label: int
    sentences: tuple[int, ...]


FORMATS = {
    "rte": Format("rte", True, 3, (1, 2)),
    "cola": Format("cola", False, 1, (3,)),
    "sst2": Format("sst2-phrases", True, 1, (0,)),
}


def matthews(found: NDArray[Any], labels: NDArray[Any]) -> float:
    """Matthews correlation of two classes, which CoLA is judged by; 0 if all are of one class."""
    if found.std() == 0:
        return 0.0
    return float(np.corrcoef(found.astype(float), labels.astype(float))[0, 1])


def accuracy(found: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of right answers."""
    return float((found == labels).mean())


def read_examples(form: Format, split: str, limit: int) -> list[list[str]]:
    """Fields of the examples of a file, at most so many, evenly spaced."""
    path = data_folder() / "glue" / form.folder / f"{split}.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()[form.header :]
    return [line.split("\t") for line in lines[:: -(-len(lines) // limit)]]


class Probe:
    """A task: its sentences, and the linear model on their vectors."""

    def __init__(self, name: str, limit: int) -> None:
        self._score: Callable[..., float] = matthews if name == "cola" else accuracy
        form = FORMATS[name]
        dev, train = (read_examples(form, split, limit) for split in ("dev", "train"))
        examples = dev + train
        labels = [example[form.label] in ("1", "entailment") for example in examples]
        self._labels = np.array(labels, np.int64)
        self._sentences = [[example[i] for example in examples] for i in form.sentences]
        number = np.arange(len(examples))
        fold = number % FOLDS
        self._tests = [fold == f for f in range(FOLDS)]
        self._development = fold == 1
        if name == "sst2":  # its phrases are parts of its sentences
            self._tests = [number < len(dev)]
            self._development = (number >= len(dev)) & (fold == 1)
        self._penalty = 0.0

    def _features(self, encoder: Encoder) -> NDArray[np.float32]:
        vectors = [encoder.encode(sentences) for sentences in self._sentences]
        features = vectors[0]
        if len(vectors) == 2:
            features = np.hstack([abs(vectors[0] - vectors[1]), vectors[0] * vectors[1]])
        features /= np.sqrt(np.square(features, dtype=np.float64).mean())
        return features

    def tune(self, encoder: Encoder) -> None:
        """Choose the penalty on a part of what is trained on, or on a fold."""
        X, y, held = self._features(encoder), self._labels, self._development
        seen = ~held & ~self._tests[0]

        def score(penalty: float) -> float:
            return self._score(predict((X[seen], y[seen]), X[held], penalty), y[held])

        self._penalty = max(PENALTIES, key=score)

    def score(self, encoder: Encoder) -> float:
        """Accuracy, or Matthews correlation for CoLA, over all tests."""
        X, y = self._features(encoder), self._labels
        found = [predict((X[~test], y[~test]), X[test], self._penalty) for test in self._tests]
        return self._score(np.concatenate(found), np.concatenate([y[test] for test in self._tests]))


def run(points: Points, seeds: int, quick: bool) -> None:
    """Measure what is missing."""
    X = load_table(MINILM)
    probes = {name: Probe(name, 100 if quick else _MOST) for name in FORMATS}
    encoder = once(partial(Encoder, torch.bfloat16))

    def score(rows: Any) -> dict[str, float]:
        encoder().use_table(rows)
        return {f"{name}_probe": probe.score(encoder()) for name, probe in probes.items()}

    def original() -> dict[str, float]:
        encoder().use_table(X)
        for probe in probes.values():
            probe.tune(encoder())
        return score(X)

    codecs = [point for point in wanted(X.shape, seeds, quick) if point.budget in BITS]
    codecs.sort(key=lambda point: (point.seed, point.budget))
    bench = Bench(MINILM, X)
    run_codecs(points, bench, codecs, once(original), lambda t: score(t.decode(threads=1)))


if __name__ == "__main__":
    main(__doc__, POINTS, run, 1)
