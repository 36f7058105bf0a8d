"""Tables larger than memory: time, memory and bytes read, each step in a process of its own.

A table of float16 rows is written by a seeded generator and deleted after. Every step runs in a
fresh process that is watched from outside (Linux only): the most anonymous memory it held, the most
with pages mapped from files, and what it read and wrote.

    python benchmarks/scale.py --rows 1000000 3000000 10000000     out of core
    python benchmarks/scale.py --memory                            announced and measured memory
    python benchmarks/scale.py --costs                             cost model of docs/scale.md
    python benchmarks/scale.py --workers                           a Dask cluster on this machine
    python benchmarks/scale.py --large                             beyond 2^31 rows and entries
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DIM = 300
CODEC = "uniform:4"
LIMIT = "1GB"
MEASURES = ["eos", "frobenius_error"]
MEMORY_CODECS = [
    "uniform:4",
    "uniform:4(granularity=column)",
    "uniform:4(granularity=row)",
    "kmeans:4",
    "kmeans:4(granularity=1)",
    "pq:75x8",
    "rq:16x8",
    "whiten+kmeans:4",
    "direction:100+uniform:4",
    "svd:100",
    "dccl:8x16(epochs=1)",
]
COSTS = {  # floating-point operations of a row: of all passes to fit, and to encode and measure
    "uniform:4": (DIM, 6 * DIM),
    "kmeans:4": (DIM, 8 * DIM),
    "svd:100+uniform:4": (DIM**2 + 2 * 100 * DIM, 4 * 100 * DIM),
    "whiten+kmeans:4": (DIM**2 + 2 * DIM**2, 4 * DIM**2),
    "direction:100+uniform:4": (10 * (2 * 100 * DIM + DIM**2), 6 * 100 * DIM),
    "pq:75x8": (DIM, 2 * DIM * 256),
}
_BLOCK = 1 << 15


def write_table(path: Path, rows: int, dim: int = DIM) -> None:
    """Rows of different lengths with correlated columns; blocks are one block, turned about."""
    random = np.random.default_rng(0)
    mixing = np.linalg.qr(random.standard_normal((dim, dim)))[0] * np.arange(1, dim + 1) ** -0.4
    base = (random.standard_normal((_BLOCK, dim)) @ mixing.T).astype(np.float16)
    table = np.lib.format.open_memmap(path, "w+", np.float16, (rows, dim))
    for number, first in enumerate(range(0, rows, _BLOCK)):
        count = min(_BLOCK, rows - first)
        shift = number * 7919 % _BLOCK
        table[first : first + count] = np.roll(base, shift, axis=0)[:count]
        table[first : first + count, number % dim] *= np.float16(1 + number % 5)
    table.flush()


class Run(NamedTuple):
    """What a process took."""

    seconds: float
    anonymous: int
    """Bytes of memory of its own, at most."""
    resident: int
    """Bytes with mapped files, at most."""
    read: int
    """Bytes that it asked the system for."""
    result: dict[str, Any]


def run(action: str, *arguments: object) -> Run:
    """Run a step of this file in a process of its own."""
    command = [sys.executable, __file__, "--step", action, *map(str, arguments)]
    begin = time.perf_counter()
    anonymous = resident = read = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            with suppress(OSError, ValueError, KeyError):
                status = _fields(Path(f"/proc/{process.pid}/status"))
                anonymous = max(anonymous, int(status["RssAnon"].split()[0]) << 10)
                resident = max(resident, int(status["VmHWM"].split()[0]) << 10)
                read = max(read, int(_fields(Path(f"/proc/{process.pid}/io"))["rchar"]))
            time.sleep(0.02)
        output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{action} failed")
    result = json.loads(output)
    took = result.get("seconds", time.perf_counter() - begin)
    return Run(took, anonymous, resident, max(read, result.get("read", 0)), result)


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)


def step(action: str, arguments: list[str]) -> dict[str, Any]:
    """What runs in a process of its own."""
    if action == "read":
        return _read(Path(arguments[0]))
    import emcomp

    phases: dict[str, list[float]] = {}

    def progress(phase: str, *_: int) -> None:
        phases.setdefault(phase, []).append(time.perf_counter())

    begin = time.perf_counter()
    if action == "compress":
        path, codec, out, limit = arguments
        emcomp.compress(path, codec, out=out, memory_limit=limit, progress=progress)
        result: dict[str, Any] = {"phases": {n: t[-1] - t[0] for n, t in phases.items()}}
    elif action == "evaluate":
        path, out = arguments
        result = {"report": str(emcomp.evaluate(emcomp.open_source(path), out, MEASURES))}
    else:
        raise SystemExit(f"no step {action}")
    io = _fields(Path("/proc/self/io"))
    return {**result, "seconds": time.perf_counter() - begin, "read": int(io["rchar"])}


def _read(path: Path) -> dict[str, Any]:
    """The file as fast as this machine reads it, from the disk if it can be dropped, and again."""
    import os

    buffer = bytearray(16 << 20)
    seconds = {}
    with path.open("rb", buffering=0) as file:
        for name in ("cold", "warm"):
            if name == "cold":
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            begin = time.perf_counter()
            while file.readinto(buffer):
                pass
            seconds[name] = time.perf_counter() - begin
    return seconds


def out_of_core(folder: Path, sizes: list[int]) -> None:
    """Compressing and measuring under a limit, for several numbers of rows."""
    import emcomp

    print(
        f"\n{DIM} columns of float16, {CODEC}, limit {LIMIT}; memory in MB: own / with mapped files"
    )
    print(
        f"{'rows':>11} {'step':>9} {'s':>7} {'Mrow/s':>7} {'of reading':>11} {'memory':>12} passes"
    )
    for rows in sizes:
        path, out = folder / "X.npy", folder / "X.emcomp"
        write_table(path, rows)
        size = path.stat().st_size
        plan = emcomp.plan(path, CODEC, memory_limit=LIMIT)
        reading = run("read", path).result
        for name in ("cold", "warm"):
            print(f"{rows:>11,} {name:>9} {reading[name]:>7.2f} {rows / reading[name] / 1e6:>7.2f}")
        for name, found in (
            ("compress", run("compress", path, CODEC, out, LIMIT)),
            ("evaluate", run("evaluate", path, out)),
        ):
            passes = found.read / size
            shares = [passes * seconds / found.seconds for seconds in reading.values()]
            share = " / ".join(f"{share:.0%}" for share in shares)
            memory = f"{found.anonymous / 1e6:.0f} / {found.resident / 1e6:.0f}"
            print(
                f"{rows:>11,} {name:>9} {found.seconds:>7.2f} {rows / found.seconds / 1e6:>7.2f} "
                f"{share:>11} {memory:>12} {passes:.2f}"
            )
        print(f"announced: {plan}")
        path.unlink()
        out.unlink()


def memory(folder: Path, rows: int) -> None:
    """Announced and measured memory of many codecs."""
    import emcomp

    path = folder / "X.npy"
    write_table(path, rows)
    print(f"\n{rows:,} x {DIM} float16; memory in MB")
    print(f"{'codec':32} {'announced':>10} {'own':>6} {'mapped too':>11} {'s':>7}")
    for codec in MEMORY_CODECS:
        out = folder / "X.emcomp"
        found = run("compress", path, codec, out, "64GB")
        announced = emcomp.plan(path, codec).memory
        print(
            f"{codec:32} {announced / 1e6:>10.0f} {found.anonymous / 1e6:>6.0f} "
            f"{found.resident / 1e6:>11.0f} {found.seconds:>7.1f}",
            flush=True,
        )
        out.unlink()


def costs(folder: Path, sizes: list[int]) -> None:
    """Operations and seconds of each phase; seconds that the smallest size foretells."""
    path, out = folder / "X.npy", folder / "X.emcomp"
    print(
        f"\n{'codec':24} {'rows':>10} {'phase':>7} {'GFLOP':>8} {'s':>7} {'GFLOP/s':>8}  foretold"
    )
    first: dict[tuple[str, str], float] = {}
    for rows in sizes:
        write_table(path, rows)
        for codec, per_row in COSTS.items():
            phases = run("compress", path, codec, out, "64GB").result["phases"]
            encode = phases.pop("encode")
            for phase, took, operations in zip(
                ("fit", "encode"), (sum(phases.values()), encode), per_row, strict=True
            ):
                foretold = first.setdefault((codec, phase), took / rows) * rows
                total = operations * rows / 1e9
                print(
                    f"{codec:24} {rows:>10,} {phase:>7} {total:>8.1f} {took:>7.2f} "
                    f"{total / took:>8.2f} {foretold / took:>9.2f}",
                    flush=True,
                )
            out.unlink()


def workers(folder: Path, rows: int, repeats: int) -> None:
    """This process with one thread, and clusters of one and two workers with one thread each."""
    from distributed import Client, LocalCluster

    import emcomp

    path, out = folder / "X.npy", folder / "shards"
    write_table(path, rows)
    seconds: dict[str, dict[str, list[float]]] = {}
    for _ in range(repeats):
        for count in (0, 1, 2):
            name = f"{count} workers" if count else "no cluster"
            with ExitStack() as stack:
                executor = None
                if count:
                    local = LocalCluster(count, threads_per_worker=1, dashboard_address=None)
                    executor = stack.enter_context(Client(stack.enter_context(local)))
                begin = time.perf_counter()
                options = {"executor": executor, "threads": 1}
                emcomp.compress(path, CODEC, out=out, shard_rows=rows // 8, **options)
                middle = time.perf_counter()
                emcomp.evaluate(path, out, MEASURES, **options)
                end = time.perf_counter()
                for step_name, took in (("compress", middle - begin), ("evaluate", end - middle)):
                    seconds.setdefault(step_name, {}).setdefault(name, []).append(took)
                shutil.rmtree(out)
    print(f"\n{rows:,} x {DIM} float16, {CODEC}, one thread a worker; medians of {repeats}")
    print(f"{'step':>9} {'':>11} {'s':>7} {'speed-up':>9} {'of ideal':>9}")
    for step_name, found in seconds.items():
        alone = statistics.median(found["no cluster"])
        for count, (name, times) in enumerate(found.items()):
            took = statistics.median(times)
            share = alone / took / max(count, 1)
            print(f"{step_name:>9} {name:>11} {took:>7.2f} {alone / took:>9.2f} {share:>9.0%}")


def large(folder: Path) -> None:
    """A table of more than 2^31 rows of one entry, almost all zeros that take no room."""
    import emcomp

    rows, path, out = 2**31 + 1000, folder / "X.npy", folder / "X.emcomp"
    table = np.lib.format.open_memmap(path, "w+", np.float16, (rows, 1))
    table[-500:, 0] = np.linspace(-1, 1, 500)
    table.flush()
    found = run("compress", path, "uniform:8(clip=max)", out, LIMIT)
    error = np.abs(emcomp.open(out).decode(rows - 500, 500) - table[-500:]).max()
    print(f"\n{rows:,} rows of one entry: {found.seconds:.1f} s, {found.anonymous / 1e6:.0f} MB of")
    print(
        f"memory; the largest error of the last 500 rows is {error:.4f}, half a step {1 / 255:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write tables")
    for name in ("memory", "costs", "workers", "large"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(step(options.step[0], options.step[1:])))
        return
    folder = Path(tempfile.mkdtemp(prefix="emcomp-scale-", dir=options.folder))
    try:
        if options.memory:
            memory(folder, options.rows[0])
        elif options.costs:
            costs(folder, options.rows)
        elif options.workers:
            workers(folder, options.rows[0], options.repeats)
        elif options.large:
            large(folder)
        else:
            out_of_core(folder, options.rows)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
