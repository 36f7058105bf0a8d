"""Factorizations against scikit-learn's TruncatedSVD, and reading through a transform.

Needs scikit-learn. Figures are medians of interleaved repeats; times in seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD

import emcomp

Matrix = NDArray[np.float32]


def table(rows: int, dim: int) -> Matrix:
    """Rows with a power-law spectrum in a random basis, and heavy-tailed lengths."""
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.standard_normal((dim, dim)))[0] * np.arange(1, dim + 1) ** -0.5
    X = random.standard_normal((rows, dim)).astype(np.float32) @ basis.T.astype(np.float32)
    return np.asarray(X * np.exp(0.5 * random.standard_normal((rows, 1))), np.float32)


def sklearn_svd(X: Matrix, k: int, algorithm: str) -> Matrix:
    """Rows rebuilt from scikit-learn's factorization."""
    model = TruncatedSVD(k, algorithm=algorithm, random_state=0)
    return np.asarray(model.inverse_transform(model.fit_transform(X)), np.float32)


def gram_svd(X: Matrix, k: int) -> Matrix:
    """The same through a float64 Gram matrix in NumPy."""
    wide = X.astype(np.float64)
    right = np.linalg.eigh(wide.T @ wide)[1][:, -k:]
    return np.asarray((wide @ right) @ right.T, np.float32)


def interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each call, called in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def factorizations(X: Matrix, k: int, repeats: int) -> None:
    """Time to fit, encode and decode, and what is lost."""
    total = float(np.square(X, dtype=np.float64).sum())
    lengths = np.linalg.norm(X, axis=1)
    rebuild: dict[str, Callable[[], Matrix]] = {
        f"svd:{k}": lambda: emcomp.compress(X, f"svd:{k}").decode(),
        f"direction:{k}": lambda: emcomp.compress(X, f"direction:{k}").decode(),
        "sklearn randomized": lambda: sklearn_svd(X, k, "randomized"),
        "sklearn arpack": lambda: sklearn_svd(X, k, "arpack"),
        "numpy Gram": lambda: gram_svd(X, k),
    }
    seconds = interleaved(dict(rebuild), repeats)
    lost = {}
    for name, call in rebuild.items():
        rows = call()
        error = float(np.square(X - rows, dtype=np.float64).sum()) / total
        cosine = np.einsum("ij,ij->i", X, rows) / lengths / np.linalg.norm(rows, axis=1)
        lost[name] = error, 1 - float(cosine.mean())
    least = lost["numpy Gram"][0]
    print(f"\n{len(X)} x {X.shape[1]}, k = {k}: fit, encode and decode")
    print(f"  {'':20} {'seconds':>8} {'of svd':>7} {'error':>9} {'of least':>12} {'cosine':>8}")
    for name, (error, cosine_distance) in lost.items():
        ratio = seconds[name] / seconds[f"svd:{k}"]
        print(
            f"  {name:20} {seconds[name]:8.3f} {ratio:6.2f}x {error:9.7f} "
            f"{error / least:12.9f} {cosine_distance:8.6f}"
        )


def reading(X: Matrix, repeats: int) -> None:
    """Rows a second through each transform."""
    ids = np.random.default_rng(1).integers(0, len(X), 4096)
    out = np.empty((ids.size, X.shape[1]), np.float32)
    print(
        "\nlookup of 4096 random ids (rows a second), one row, a bag of 20 (microseconds), "
        "similar (milliseconds, after the first)"
    )
    for codec in (
        "uniform:4",
        "rotate+uniform:4",
        "whiten+uniform:4",
        "principal+allocate:4",
        "svd:64",
        "svd:64+uniform:4",
    ):
        compressed = emcomp.compress(X, codec)
        bags = ids[:4000].reshape(200, 20)
        seconds = interleaved(
            {
                "lookup": lambda c=compressed: c.lookup(ids, out=out),
                "rows": lambda c=compressed: [c[i] for i in range(1000)],
                "bags": lambda c=compressed, b=bags: c.bag(b),
                "similar": lambda c=compressed: c.similar(X[7], 10),
            },
            repeats,
        )
        print(
            f"  {codec:20} {ids.size / seconds['lookup']:12,.0f} "
            f"{seconds['rows'] * 1e3:8.2f} {seconds['bags'] * 5e3:8.2f} "
            f"{seconds['similar'] * 1e3:8.2f}"
        )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_522)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    X = table(arguments.rows, arguments.dim)
    factorizations(X, arguments.k, arguments.repeats)
    reading(X, arguments.repeats)


if __name__ == "__main__":
    main()
