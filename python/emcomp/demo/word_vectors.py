"""Word vectors from counts: which words stand near each other, and how surprising that is.

Positive pointwise mutual information factorized by its largest eigenvectors (Levy and Goldberg,
"Neural Word Embedding as Implicit Matrix Factorization", 2014, sections 4 and 5), with NumPy alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.io.reading import WordVectors
from emcomp.vocabulary.word_list import WordList

WINDOW = 5
SMOOTHING = 0.75
"""Exponent of the counts of context words (Levy et al., 2015), so that rare ones weigh less."""

_OVERSAMPLED = 20
_ROUNDS = 4


def learn_vectors(sentences: Iterable[list[str]], words: int, dim: int = 100) -> WordVectors:
    """Vectors of the most frequent words, most frequent first.

    Args:
        sentences: lists of words.
        words: how many words to learn vectors for; words seen once are never among them.
        dim: the vectors' dimension.

    Returns:
        float32 vectors (words, dim) of length 1.

    Raises:
        InputError: if the text has not even twice as many different words as dimensions.
    """
    text = list(sentences)
    counts = Counter(word for sentence in text for word in sentence)
    ranked = sorted((word for word in counts if counts[word] > 1), key=lambda w: (-counts[w], w))
    vocabulary = ranked[:words]
    if len(vocabulary) < 2 * dim:
        raise InputError(
            f"only {len(vocabulary)} different words for vectors of dimension {dim}: this Python "
            "carries too little of its documentation"
        )
    near = _cooccurrences(text, vocabulary)
    values, vectors = _largest_eigenvectors(_mutual_information(near), dim)
    embedding = vectors * np.sqrt(np.maximum(values, 0.0))
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    embedding /= np.where(lengths > 0, lengths, 1.0)
    return WordVectors(embedding.astype(np.float32), WordList.from_strings(vocabulary))


def _cooccurrences(text: list[list[str]], vocabulary: list[str]) -> NDArray[np.float32]:
    """How often two words are at most WINDOW apart in a sentence, nearer ones weighing more."""
    size = len(vocabulary)
    row = {word: i for i, word in enumerate(vocabulary)}
    ids = np.fromiter((row.get(word, -1) for line in text for word in line), np.int64)
    line_of = np.repeat(np.arange(len(text)), np.fromiter(map(len, text), np.int64, len(text)))
    near = np.zeros((size, size), np.float32)
    for distance in range(1, WINDOW + 1):
        left, right = ids[:-distance], ids[distance:]
        together = (line_of[:-distance] == line_of[distance:]) & (left >= 0) & (right >= 0)
        pairs, number = np.unique(left[together] * size + right[together], return_counts=True)
        near.reshape(-1)[pairs] += (number * (WINDOW + 1 - distance) / WINDOW).astype(np.float32)
    near += near.T.copy()
    np.fill_diagonal(near, 0.0)
    return near


def _mutual_information(near: NDArray[np.float32]) -> NDArray[np.float32]:
    """Positive pointwise mutual information, made symmetric; in place."""
    total = near.sum(axis=1, dtype=np.float64)
    context = total**SMOOTHING
    word_share = np.maximum(total, 1.0) / total.sum()
    context_share = np.maximum(context, 1.0) / context.sum()
    near /= np.float32(total.sum())
    near /= word_share.astype(np.float32)[:, None]
    near /= context_share.astype(np.float32)[None, :]
    with np.errstate(divide="ignore"):
        np.log(near, out=near)
    np.maximum(near, 0.0, out=near)
    near += near.T.copy()
    near *= np.float32(0.5)
    return near


def _largest_eigenvectors(
    matrix: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest eigenvalues of a symmetric matrix and their vectors, by subspace iteration."""
    start = np.random.default_rng(0).standard_normal((len(matrix), count + _OVERSAMPLED))
    basis = _orthonormal(start)
    for _ in range(_ROUNDS):
        basis = _orthonormal(matrix @ basis)
    values, rotation = np.linalg.eigh((basis.T @ (matrix @ basis)).astype(np.float64))
    vectors = basis @ rotation[:, ::-1][:, :count]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    return values[::-1][:count], vectors * signs


def _orthonormal(columns: NDArray[Any]) -> NDArray[np.float32]:
    """An orthonormal basis of columns that are far from dependent, through their Gram matrix."""
    wide = columns.astype(np.float64)
    factor = np.linalg.cholesky(wide.T @ wide)
    return (wide @ np.linalg.inv(factor).T).astype(np.float32)
