"""Scalar k-means beside its peers, and beside uniform quantization.

python benchmarks/scalar_kmeans.py [--rows 100000] [--dim 300] [--threads 1] [--repeats 5]

Peers that are not installed are left out. They see a sample of the entries; the errors compared are
those of their levels on all entries.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import emcomp


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def peers(sample, levels, threads):
    """Names and functions that return levels."""
    column = sample.reshape(-1, 1)
    try:
        from sklearn.cluster import KMeans

        yield (
            "scikit-learn",
            lambda: KMeans(levels, n_init=1, random_state=1).fit(column).cluster_centers_.ravel(),
        )
    except ImportError:
        pass
    try:
        import faiss

        faiss.omp_set_num_threads(threads)

        def fit():
            kmeans = faiss.Kmeans(1, levels, niter=25, max_points_per_centroid=len(column))
            kmeans.train(column)
            return kmeans.centroids.ravel()

        yield "faiss", fit
    except ImportError:
        pass
    try:
        import kmeans1d

        yield "kmeans1d (exact)", lambda: np.array(kmeans1d.cluster(sample, levels).centroids)
    except ImportError:
        pass


def error(X, levels):
    """Squared error of all entries against their nearest levels, over their squares."""
    levels = np.sort(levels).astype(np.float64)
    middles = (levels[1:] + levels[:-1]) / 2
    lost = total = 0.0
    for first in range(0, len(X), 4096):
        values = X[first : first + 4096].astype(np.float64)
        lost += ((values - levels[np.searchsorted(middles, values)]) ** 2).sum()
        total += (values**2).sum()
    return lost / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--sample", type=int, default=200_000, help="entries that the peers see")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    threads = arguments.threads
    rng = np.random.default_rng(0)
    shape = (arguments.rows, arguments.dim)
    X = (rng.normal(size=shape) * rng.gamma(4, 0.25, (shape[0], 1))).astype(np.float32)
    sample = rng.choice(X.ravel(), min(arguments.sample, X.size), replace=False)
    for bits in (4, 8):
        table = []
        took = seconds(
            lambda bits=bits, table=table: table.append(
                emcomp.compress(X, f"kmeans:{bits}", threads=threads)
            )
        )
        ours = error(X, table[0].tensors["levels"][0])
        print(f"{bits} bits: emcomp, {X.size:,} entries: {took:.3f} s, error {ours:.6g}")
        for name, fit in peers(sample, 2**bits, threads):
            found = []
            took = seconds(lambda fit=fit, found=found: found.append(fit()))
            theirs = error(X, found[0])
            print(
                f"  {name}, {sample.size:,} entries: {took:.3f} s, error {theirs:.6g}, "
                f"{theirs / ours:.4f} times ours"
            )

    ids = rng.integers(0, shape[0], 4096)
    out, few = np.empty(shape, np.float32), np.empty((4096, shape[1]), np.float32)
    print("kmeans over uniform, seconds (1 = as fast):")
    for bits in range(1, 9):
        names = f"kmeans:{bits}", f"uniform:{bits}"
        tables = [emcomp.compress(X, name, threads=threads) for name in names]
        work = {
            "compress": [lambda n=n: emcomp.compress(X, n, threads=threads) for n in names],
            "decode": [lambda t=t: t.decode(out=out, threads=threads) for t in tables],
            "lookup": [lambda t=t: t.lookup(ids, out=few, threads=threads) for t in tables],
        }
        ratios = []
        for name, calls in work.items():
            pairs = [[seconds(call) for call in calls] for _ in range(arguments.repeats)]
            mine, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratios.append(f"{name} {mine / theirs:.2f}")
        print(f"  {bits} bits: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
