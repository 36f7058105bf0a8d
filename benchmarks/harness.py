"""What the benchmarks share: interleaved medians, the machine's limits, a realistic table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

Call = Callable[[], object]


def medians(calls: dict[str, Call], repeats: int) -> dict[str, float]:
    """Median seconds of each call; repeats are interleaved, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            if repeat:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def power_law_table(rows: int, dim: int, seed: int = 0) -> np.ndarray:
    """Singular values i^-0.5, a random basis and heavy-tailed row norms, in float32."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.standard_normal((dim, dim)))[0] * np.arange(1, dim + 1) ** -0.5
    table = np.empty((rows, dim), np.float32)
    for first in range(0, rows, 50_000):
        block = table[first : first + 50_000]
        block[:] = random.standard_normal(block.shape) @ basis.T
        block *= random.standard_t(5, (len(block), 1))
    return table


def zipf_ids(rows: int, count: int, seed: int = 0) -> np.ndarray:
    """Ids as words occur in text: id i with probability proportional to 1 / (i + 1)."""
    uniform = np.random.default_rng(seed).random(count)
    return np.minimum(np.exp(uniform * np.log(rows + 1)).astype(np.int64), rows) - 1


def limits(megabytes: int = 480, repeats: int = 5) -> dict[str, float]:
    """GB/s of one thread reading, writing (NumPy fill) and copying memory, for comparison."""
    a = np.ones(megabytes * 125_000)
    b = np.ones_like(a)
    seconds = medians(
        {"read": lambda: a.max(), "write": lambda: b.fill(2.0), "copy": lambda: np.copyto(b, a)},
        repeats,
    )
    bytes_moved = {"read": a.nbytes, "write": a.nbytes, "copy": 2 * a.nbytes}
    return {name: bytes_moved[name] / seconds[name] / 1e9 for name in seconds}


def report(title: str, unit: str, ours: str, rates: dict[str, float]) -> None:
    """Print rates and how many times ours is each of the others."""
    print(f"\n{title}")
    for name, rate in rates.items():
        ratio = "" if name == ours else f"   emcomp is {rates[ours] / rate:6.2f}x"
        print(f"  {name:44} {rate:10.3f} {unit}{ratio}")
