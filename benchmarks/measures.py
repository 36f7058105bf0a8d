"""Speed, memory and error of the eigenspace overlap score against the routes that NumPy offers.

Run with the thread count of NumPy's BLAS set to the one asked for, for example
``OPENBLAS_NUM_THREADS=2 python benchmarks/measures.py --threads 2``. Prints medians of interleaved
repeats and ratios; asserts nothing. With one thread, processor time is measured, which neighbours on
a shared machine disturb less.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from harness import power_law_table

from emcomp import measures


def four_bits(table: np.ndarray) -> np.ndarray:
    """A uniform quantization, good enough to time measures on."""
    limit = np.float32(3 * table[:10_000].std())
    codes = np.round((np.clip(table, -limit, limit) + limit) * np.float32(7.5 / limit))
    return codes * np.float32(limit / 7.5) - limit


def svd_route(X: np.ndarray, Xq: np.ndarray) -> float:
    u, uq = (np.linalg.svd(t.astype(np.float64), full_matrices=False)[0] for t in (X, Xq))
    return float(np.square(u.T @ uq).sum()) / X.shape[1]


def gram_route(X: np.ndarray, Xq: np.ndarray) -> float:
    a, b = X.astype(np.float64), Xq.astype(np.float64)
    roots = [np.linalg.cholesky(t.T @ t) for t in (a, b)]
    half = np.linalg.solve(roots[0], a.T @ b)
    return float(np.square(np.linalg.solve(roots[1], half.T)).sum()) / X.shape[1]


def product_rate(size: int = 1536) -> Callable[[], float]:
    a = np.random.default_rng(0).standard_normal((size, size))
    return lambda: float((a @ a)[0, 0])


def medians(
    calls: dict[str, Callable[[], float]], repeats: int, clock: Callable[[], float]
) -> tuple[dict, dict]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    values = {}
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            values[name] = call()
            times[name].append(clock() - start)
    return {name: statistics.median(t) for name, t in times.items()}, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--svd-rows", type=int, default=40_000, help="rows of the SVD comparison")
    options = parser.parse_args()
    X = power_law_table(options.rows, options.dim)
    Xq = four_bits(X)
    threads = options.threads
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measures.eos(X, Xq, threads=threads)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    calls: dict[str, Callable[[], float]] = {
        "emcomp": lambda: measures.eos(X, Xq, threads=threads),
        "numpy Gram": lambda: gram_route(X, Xq),
        "product": product_rate(),
    }
    clock = time.process_time if threads == 1 else time.perf_counter
    times, values = medians(calls, options.repeats, clock)
    flops = 4 * options.rows * options.dim**2  # two symmetric products and one general one
    rate, peak = flops / times["emcomp"] / 1e9, 2 * 1536**3 / times["product"] / 1e9
    print(f"{options.rows} x {options.dim}, {threads} threads, float32")
    print(f"emcomp.eos     {times['emcomp']:7.2f} s, {grown:.0f} MiB more memory")
    print(
        f"numpy Gram     {times['numpy Gram']:7.2f} s, {times['numpy Gram'] / times['emcomp']:.2f}x"
    )
    print(
        f"float64 product rate {peak:.0f} GFLOP/s; ours {rate:.0f}, {100 * rate / peak:.0f} % of it"
    )
    print(f"difference from numpy Gram {abs(values['emcomp'] - values['numpy Gram']):.1e}")
    few = slice(0, options.svd_rows)
    times, values = medians(
        {
            "emcomp": lambda: measures.eos(X[few], Xq[few], threads=threads),
            "svd": lambda: svd_route(X[few], Xq[few]),
        },
        1,
        clock,
    )
    print(
        f"{options.svd_rows} rows: numpy SVD {times['svd']:.2f} s, "
        f"{times['svd'] / times['emcomp']:.1f}x; difference {abs(values['emcomp'] - values['svd']):.1e}"
    )


if __name__ == "__main__":
    main()
