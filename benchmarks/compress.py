"""Compressing with the optimal range against searching it trial by trial, and against torch.

    python benchmarks/compress.py --rows 400000 --dim 300

The search of the authors' code (May et al. 2019) quantizes the whole matrix once for each trial of
a golden-section search; it is written here in NumPy as they do it. torch's prepacking takes each
row's smallest and largest entry and searches nothing. Peak memory is measured in a process of its
own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
from harness import limits, medians, power_law_table, report

import emcomp
from emcomp import _core

try:
    import torch
except ImportError:
    torch = None


def golden_section(X: np.ndarray, bits: int) -> float:
    """The range of least squared error as the authors' code finds it."""
    ratio = (np.sqrt(5) - 1) / 2
    largest = 2**bits - 1

    def error(r):
        codes = np.rint((np.clip(X, -r, r) + r) * (largest / (2 * r)))
        return float(np.square(codes * (2 * r / largest) - r - X).sum(dtype=np.float64))

    low, high = 0.0, float(np.abs(X).max())
    a, b = low + ratio**2 * (high - low), low + ratio * (high - low)
    fa, fb = error(a), error(b)
    while high - low > 1e-2:
        if fa < fb:
            high, b, fb = b, a, fa
            a = low + ratio**2 * (high - low)
            fa = error(a)
        else:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = error(b)
    return a if fa < fb else b


def peak_memory(rows: int, dim: int, codec: str, dtype: str) -> tuple[float, float]:
    """Megabytes that compressing adds to the matrix, and megabytes of the result."""
    program = f"""
import numpy as np, emcomp
X = np.zeros(({rows}, {dim}), "{dtype}")
for first in range(0, {rows}, 1000):
    X[first:first + 1000] = np.random.default_rng(first).standard_normal((1, {dim}))
def resident(field):
    return int(open("/proc/self/status").read().split(field + ":")[1].split()[0])
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = resident("VmRSS")
table = emcomp.compress(X, "{codec}")
print(resident("VmHWM") - before, table.nbytes)
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    return int(printed[0]) / 1000, int(printed[1]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--bits", type=int, nargs="+", default=[4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    emcomp.show_config()
    print("one thread, GB/s:", {k: round(v, 1) for k, v in limits().items()})
    X = power_law_table(arguments.rows, arguments.dim)

    begin = time.perf_counter()
    found = golden_section(X, 4)
    searching = time.perf_counter() - begin
    ours = emcomp.compress(X, "uniform:4").info["range"]
    print(f"\nrange at 4 bits: golden section {found:.5f} in {searching:.2f} s, emcomp {ours:.5f}")

    for bits in arguments.bits:
        step = emcomp.compress(X, f"uniform:{bits}").info["range"]
        for threads in arguments.threads:
            codes = np.zeros((len(X), _core.row_bytes(arguments.dim, bits)), np.uint8)
            steps = np.array([step * 2 / (2**bits - 1)], np.float32)
            calls = {
                "emcomp, optimal range": lambda b=bits, t=threads: emcomp.compress(
                    X, f"uniform:{b}", threads=t
                ),
                "emcomp, optimal levels (kmeans)": lambda b=bits, t=threads: emcomp.compress(
                    X, f"kmeans:{b}", threads=t
                ),
                "emcomp, given range (checks and encodes)": lambda b=bits, t=threads, r=step: (
                    emcomp.compress(X, emcomp.codecs.Uniform(b, clip=r), threads=t)
                ),
                "emcomp, encoding alone": lambda b=bits, t=threads, c=codes, s=steps: (
                    _core.encode_uniform(X, 0, b, arguments.dim, s, False, False, 0, c, t)
                ),
                "emcomp, a range for each row": lambda b=bits, t=threads: emcomp.compress(
                    X, f"uniform:{b}(granularity=row)", threads=t
                ),
                "emcomp, stochastic": lambda b=bits, t=threads: emcomp.compress(
                    X, f"uniform:{b}(rounding=stochastic)", threads=t
                ),
            }
            if torch is not None and bits in (2, 4, 8):
                torch.set_num_threads(threads)
                name = f"embedding_bag_{'byte' if bits == 8 else f'{bits}bit'}_prepack"
                prepack, W = getattr(torch.ops.quantized, name), torch.from_numpy(X)
                calls["torch prepack (row min/max)"] = lambda p=prepack, w=W: p(w)
            seconds = medians(calls, arguments.repeats)
            rates = {k: X.nbytes / s / 1e9 for k, s in seconds.items()}
            rates["golden section and nothing else, 4 bits"] = X.nbytes / searching / 1e9
            report(
                f"compress at {bits} bits, {threads} thread(s)", "GB/s of input",
                "emcomp, optimal range", rates,
            )  # fmt: skip

    print("\npeak memory beside the matrix:")
    for codec in ("uniform:4", "uniform:4(granularity=row)", "uniform:4(granularity=column)"):
        for dtype in ("float32", "float16"):
            extra, result = peak_memory(arguments.rows, arguments.dim, codec, dtype)
            print(f"  {codec:32} {dtype}: {extra:7.1f} MB, of which the table {result:6.1f} MB")


if __name__ == "__main__":
    main()
