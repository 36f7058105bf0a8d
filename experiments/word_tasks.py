"""Tasks for word vectors: sentence classification, word similarity and analogies.

A sentence is the mean of its words' vectors, and a linear model classifies it: logistic regression
with an L2 penalty that is chosen on the uncompressed table. Words that the table does not have are
left out of sentences; pairs and analogies with such words are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import emcomp
from emcomp._support.correlation import spearman
from experiments.data import data_folder

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 5
SIMILARITY = ("men", "ws353", "simlex999")
_CLITICS = ("n't", "'s", "'re", "'ve", "'ll", "'d", "'m")
_NEWTON_STEPS = 6


def split_clitics(sentence: str) -> list[str]:
    """Words, with clitics as words of their own as in the vectors' vocabulary."""
    words = []
    for word in sentence.lower().split():
        for clitic in _CLITICS:
            if word.endswith(clitic) and len(word) > len(clitic):
                words += [word.removesuffix(clitic), clitic]
                break
        else:
            words.append(word)
    return words


def fit_logistic(X: NDArray[Any], y: NDArray[Any], penalty: float) -> NDArray[np.float64]:
    """Weights (dim + 1,), the last one the intercept, for labels 0 and 1, by Newton's method."""
    X = np.hstack([X, np.ones((len(X), 1), X.dtype)])
    weights = np.zeros(X.shape[1])
    ridge = np.full(X.shape[1], penalty)
    ridge[-1] = 1e-3
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(X @ weights.astype(X.dtype), -30, 30)))
        gradient = X.T @ (p - y) + ridge * weights
        curvature = X.T @ (X * (p * (1 - p))[:, None].astype(X.dtype))
        weights = weights - np.linalg.solve(curvature.astype(np.float64) + np.diag(ridge), gradient)
    return weights


def predict(
    train: tuple[NDArray[Any], NDArray[Any]], X_test: NDArray[Any], penalty: float
) -> NDArray[Any]:
    """Labels by logistic regression, one class against the rest where there are more than two."""
    X, y = train
    classes = np.unique(y)
    wanted = classes[1:] if len(classes) == 2 else classes
    weights = np.stack([fit_logistic(X, y == label, penalty) for label in wanted], axis=1)
    scores = X_test @ weights[:-1] + weights[-1]
    found = scores[:, 0] > 0 if len(classes) == 2 else scores.argmax(1)
    labels: NDArray[Any] = classes[found.astype(int)]
    return labels


def accuracy(
    train: tuple[NDArray[Any], NDArray[Any]],
    test: tuple[NDArray[Any], NDArray[Any]],
    penalty: float,
) -> float:
    """Share of right labels."""
    return float((predict(train, test[0], penalty) == test[1]).mean())


class Sentences:
    """A classification set: SST has its own split, MR and SUBJ are cross-validated in five folds."""

    def __init__(self, name: str, index: dict[str, int], limit: int | None = None) -> None:
        folder = data_folder() / "classification" / name
        splits = [s for s in ("train", "dev", "test", "all") if (folder / f"{s}.tsv").exists()]
        labels, ids, split_of = [], [], []
        for split in splits:
            lines = (folder / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
            for line in lines[:: max(len(lines) // limit, 1) if limit else 1]:
                label, _, sentence = line.partition("\t")
                labels.append(int(label))
                ids.append([index[word] for word in split_clitics(sentence) if word in index])
                split_of.append(split)
        self.labels = np.array(labels)
        self.ids = np.array([i for sentence in ids for i in sentence], np.int64)
        lengths = np.array([len(sentence) for sentence in ids])
        self.offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        part = np.array(split_of)
        if "all" in splits:
            fold = np.random.default_rng(0).permutation(len(labels)) % FOLDS
            self.tests = [(fold != f, fold == f) for f in range(FOLDS)]
            self.choice: tuple[NDArray[Any], NDArray[Any]] = (fold > 1, fold == 1)
        else:
            self.tests = [(part == "train", part == "test")]
            self.choice = (part == "train", part == "dev")

    def _features(self, table: emcomp.CompressedEmbedding) -> NDArray[np.float32]:
        features = table.bag(self.ids, self.offsets, mode="mean", threads=1)
        features /= np.sqrt(np.square(features, dtype=np.float64).mean())
        return features

    def choose_penalty(self, table: emcomp.CompressedEmbedding) -> float:
        """The best penalty on the development set, or on a fold."""
        X, (train, test) = self._features(table), self.choice
        parts = (X[train], self.labels[train]), (X[test], self.labels[test])
        return max(PENALTIES, key=lambda penalty: accuracy(*parts, penalty))

    def score(self, table: emcomp.CompressedEmbedding, penalty: float) -> float:
        """Accuracy on the test set, or over all folds."""
        X, y = self._features(table), self.labels
        parts = [((X[a], y[a]), (X[b], y[b])) for a, b in self.tests]
        return float(np.mean([accuracy(*part, penalty) for part in parts]))


class Similarity:
    """Rank correlation of cosines with human scores of word pairs."""

    def __init__(self, name: str, index: dict[str, int]) -> None:
        lines = (data_folder() / "similarity" / f"{name}.tsv").read_text("utf-8").splitlines()
        fields = [line.lower().split("\t") for line in lines]
        fields = [field for field in fields if field[0] in index and field[1] in index]
        self._pairs = np.array([[index[field[0]], index[field[1]]] for field in fields])
        self._scores = [float(field[2]) for field in fields]

    def score(self, V: NDArray[np.float32]) -> float:
        """Of rows at unit length."""
        return spearman((V[self._pairs[:, 0]] * V[self._pairs[:, 1]]).sum(1), self._scores)


class Analogies:
    """Google analogies, a is to b as c is to what: 3CosAdd among the most frequent words."""

    def __init__(self, index: dict[str, int], questions: int = 3000, words: int = 20_000) -> None:
        lines = (data_folder() / "analogy" / "google.txt").read_text("utf-8").lower().splitlines()
        known = [line.split() for line in lines if not line.startswith(":")]
        ids = np.array([[index.get(word, words) for word in question] for question in known])
        ids = ids[(ids < words).all(1)]
        chosen = np.random.default_rng(0).permutation(len(ids))[:questions]
        self._ids, self._words = ids[chosen], words

    def score(self, V: NDArray[np.float32]) -> float:
        """Share of right answers, the question's own words not being allowed."""
        right = 0
        for ids in np.array_split(self._ids, max(len(self._ids) // 500, 1)):
            a, b, c, answer = ids.T
            cosines = (V[b] - V[a] + V[c]) @ V[: self._words].T
            cosines[np.arange(len(ids))[:, None], ids[:, :3]] = -np.inf
            right += int((cosines.argmax(1) == answer).sum())
        return right / len(self._ids)


class WordTasks:
    """All tasks for the vectors of a vocabulary; ``limit`` leaves most sentences out."""

    def __init__(self, words: list[str], limit: int | None = None) -> None:
        index = {word: i for i, word in reversed(list(enumerate(words)))}
        self._sentences = {
            name: Sentences(name, index, limit) for name in ("mr", "sst2", "sst5", "subj")
        }
        self._similarity = {name: Similarity(name, index) for name in SIMILARITY}
        self._analogies = Analogies(index, 100 if limit else 3000)
        self._penalties: dict[str, float] = {}

    def tune(self, table: emcomp.CompressedEmbedding) -> None:
        """Choose what there is to choose, on the uncompressed table."""
        for name, task in self._sentences.items():
            self._penalties[name] = task.choose_penalty(table)

    def score(self, table: emcomp.CompressedEmbedding) -> dict[str, float]:
        """Every task's score, higher is better."""
        scores = {n: task.score(table, self._penalties[n]) for n, task in self._sentences.items()}
        V = table.decode(threads=1)
        V /= np.maximum(np.linalg.norm(V, axis=1, keepdims=True), 1e-12)
        scores.update({name: task.score(V) for name, task in self._similarity.items()})
        return {**scores, "google": self._analogies.score(V)}
