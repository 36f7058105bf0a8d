"""Kim's convolutional network (2014) on SST-2 over fixed word vectors of every codec and size.

Three widths of 100 filters, maximum over time, dropout, one linear layer; a few epochs of Adam, the
epoch and the rate chosen as the paper does: the epoch on the development set, the rate on the
uncompressed vectors alone. Needs torch. Points are kept in ``docs/evidence/cnn.json``. The seed is
that of the codec and of the training, so that codecs without one have points of all seeds too.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import emcomp
from experiments.data import DOCS, SGNS, load_table, load_words
from experiments.measuring import Bench, once
from experiments.points import Points
from experiments.rivals import BITS, rivals
from experiments.word_tasks import Sentences

POINTS = DOCS / "evidence" / "cnn.json"
KEY = ("table", "rows", "codec", "budget", "seed")
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
QUICK = ("uniform",)
_FILTERS, _WIDTHS, _BATCH = 100, (3, 4, 5), 50
_SORTED = 20
"""Batches whose sentences are sorted by length together."""


class Network(torch.nn.Module):
    """Filters over words, (batch, dim, words) to two scores."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.filters = torch.nn.ModuleList(torch.nn.Conv1d(dim, _FILTERS, w) for w in _WIDTHS)
        self.dropout = torch.nn.Dropout(0.5)
        self.output = torch.nn.Linear(_FILTERS * len(_WIDTHS), 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (batch, 2)."""
        pooled = [filters(x).relu().amax(2) for filters in self.filters]
        return self.output(self.dropout(torch.cat(pooled, 1)))


def batched(values: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """Parts of so many values, the last one of what is left."""
    return [values[first : first + size] for first in range(0, len(values), size)]


class Cnn:
    """Training the network on one set of sentences."""

    def __init__(self, sentences: Sentences, epochs: int) -> None:
        torch.set_num_threads(1)
        self._epochs = epochs
        self._labels = torch.from_numpy(sentences.labels.astype(np.int64))
        ends = [*sentences.offsets[1:], len(sentences.ids)]
        # Row 0 of the vectors is that of the padding.
        self._used, own = np.unique(sentences.ids, return_inverse=True)
        self._sentences = [
            torch.from_numpy(own[first:end] + 1)
            for first, end in zip(sentences.offsets, ends, strict=True)
        ]
        self._lengths = np.array([len(sentence) for sentence in self._sentences])
        (self._train, self._test), (_, self._dev) = sentences.tests[0], sentences.choice

    def vectors(self, table: emcomp.CompressedEmbedding) -> Any:
        """The words' vectors, a row of zeros before them, at unit mean square."""
        rows = table.lookup(self._used, threads=1)
        rows = rows / np.sqrt(np.square(rows, dtype=np.float64).mean())
        return torch.from_numpy(np.vstack([np.zeros((1, table.dim)), rows]).astype("f4"))

    def train(self, vectors: Any, rate: float, seed: int) -> tuple[float, float]:
        """Accuracy on the development and the test set, of the epoch that is best on the former."""
        torch.manual_seed(seed)
        network = Network(vectors.shape[1])
        optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        order = np.flatnonzero(self._train)
        best = (0.0, 0.0)
        for epoch in range(self._epochs):
            network.train()
            for batch in self._batches(order, np.random.default_rng([seed, epoch])):
                loss = torch.nn.functional.cross_entropy(
                    network(self._batch(vectors, batch)), self._labels[batch]
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            network.eval()
            accuracies = [
                self._accuracy(network, vectors, part) for part in (self._dev, self._test)
            ]
            best = max(best, (accuracies[0], accuracies[1]), key=lambda pair: pair[0])
        return best

    def _batches(self, index: NDArray[Any], random: np.random.Generator) -> list[NDArray[Any]]:
        """Random batches of sentences of about one length, which need little padding."""
        batches = []
        for some in batched(random.permutation(index), _SORTED * _BATCH):
            batches += batched(some[np.argsort(self._lengths[some], kind="stable")], _BATCH)
        random.shuffle(batches)
        return batches

    def _batch(self, vectors: Any, index: NDArray[Any]) -> Any:
        """Vectors of padded sentences, (batch, dim, words)."""
        ids = torch.nn.utils.rnn.pad_sequence([self._sentences[i] for i in index], batch_first=True)
        missing = max(_WIDTHS) - ids.shape[1]
        if missing > 0:
            ids = torch.nn.functional.pad(ids, (0, missing))
        return vectors[ids].transpose(1, 2)

    def _accuracy(self, network: Any, vectors: Any, part: NDArray[Any]) -> float:
        index = np.flatnonzero(part)
        right = 0
        with torch.inference_mode():
            for batch in self._batches(index, np.random.default_rng(0)):
                found = network(self._batch(vectors, batch)).argmax(1)
                right += int((found == self._labels[batch]).sum())
        return right / len(index)


def run(points: Points, name: str, seeds: int, epochs: int, quick: bool) -> None:
    """Measure what is missing, everything with one seed before the next."""
    X = load_table(name)
    bench = Bench(name, X)
    index = {word: i for i, word in reversed(list(enumerate(load_words(name))))}
    cnn = Cnn(Sentences("sst2", index, 300 if quick else None), epochs)

    @once
    def rate() -> float:
        vectors = cnn.vectors(bench.table("float:32"))
        return max(RATES, key=lambda rate: cnn.train(vectors, rate, 0)[0])

    def measure(method: str, codec: str, seed: int) -> dict[str, Any]:
        table = bench.table(codec, seed)
        bits = table.bits_per_entry * table.dim / X.shape[1]
        dev, test = cnn.train(cnn.vectors(table), rate(), seed)
        return {"method": method, "bits": bits, "rate": rate(), "dev": dev, "cnn_sst2": test}

    for seed in range(seeds):
        wanted = [("uncompressed", "float:32", 32.0)]
        for bits in BITS[:1] if quick else BITS:
            wanted += [(method, codec, bits) for method, codec in rivals(X.shape, bits)]
        for method, codec, bits in wanted:
            if not quick or method in QUICK:
                key = {"table": name, "rows": len(X), "codec": codec, "budget": bits, "seed": seed}
                points.get(key, partial(measure, method, codec, seed))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default=SGNS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    points = Points(POINTS, KEY, kept=not arguments.quick)
    size = (1, 1) if arguments.quick else (arguments.seeds, arguments.epochs)
    run(points, arguments.name, *size, arguments.quick)


if __name__ == "__main__":
    main()
