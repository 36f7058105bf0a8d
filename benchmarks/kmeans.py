"""Vector k-means against faiss and scikit-learn: time and error, in one run."""

from __future__ import annotations

import argparse
import statistics
import time

import faiss
import numpy as np
from harness import power_law_table
from threadpoolctl import threadpool_limits

from emcomp.codecs.row_kmeans import kmeans


def squared_error(X, centroids):
    index = faiss.IndexFlatL2(X.shape[1])
    index.add(centroids)
    labels = index.search(X, 1)[1][:, 0]
    return sum(
        float(((X[i : i + 8192] - centroids[labels[i : i + 8192]]).astype(np.float64) ** 2).sum())
        for i in range(0, len(X), 8192)
    )


def run_faiss(X, k, iterations, threads, seed):
    faiss.omp_set_num_threads(threads)
    means = faiss.Kmeans(X.shape[1], k, niter=iterations, seed=seed, max_points_per_centroid=len(X))
    means.train(X)
    return means.centroids


def run_sklearn(X, k, iterations, threads, seed):
    from sklearn.cluster import KMeans

    with threadpool_limits(threads):
        means = KMeans(k, init="random", n_init=1, max_iter=iterations, tol=0, random_state=seed)
        return means.fit(X).cluster_centers_


def run_emcomp(X, k, iterations, threads, seed):
    return kmeans(X, k, iterations=iterations, threads=threads, seed=seed).centroids


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--k", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--npy", help="rows from a .npy file instead of the synthetic ones")
    parser.add_argument("--sklearn", action="store_true", help="scikit-learn as well")
    options = parser.parse_args()
    if options.npy:
        X = np.load(options.npy).astype(np.float32)
    else:
        X = power_law_table(options.rows, options.dim)
    total = float((X.astype(np.float64) ** 2).sum())
    peers = {"emcomp": run_emcomp, "faiss": run_faiss}
    if options.sklearn:
        peers["sklearn"] = run_sklearn
    for k in options.k:
        seconds = {name: [] for name in peers}
        errors = {name: [] for name in peers}
        for seed in range(1, options.repeats + 1):
            for name, run in peers.items():
                start = time.perf_counter()
                centroids = run(X, k, options.iterations, options.threads, seed)
                seconds[name].append(time.perf_counter() - start)
                errors[name].append(squared_error(X, np.ascontiguousarray(centroids)) / total)
        print(
            f"{len(X)} x {X.shape[1]}, k = {k}, {options.iterations} rounds, "
            f"{options.threads} threads"
        )
        ours = statistics.median(seconds["emcomp"])
        our_error = statistics.median(errors["emcomp"])
        for name in peers:
            time_ = statistics.median(seconds[name])
            error = statistics.median(errors[name])
            print(
                f"  {name:8} {time_:8.2f} s  error {error:.5f}  "
                f"time / ours {time_ / ours:5.2f}  error / ours {error / our_error:.5f}"
            )


if __name__ == "__main__":
    main()
