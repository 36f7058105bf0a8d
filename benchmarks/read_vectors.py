"""Reading GloVe text: ours against pyarrow.csv, pandas and gensim, in one run.

Each reading runs in a process of its own, so that its peak memory can be told. Repeats are
interleaved and medians shown. Gensim is slow; --gensim adds it, once.

    python benchmarks/read_vectors.py --megabytes 200 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIM = 300


def make_file(path: Path, megabytes: int) -> int:
    """Write GloVe-like text: five significant digits, words of any length. Returns the rows."""
    generator = np.random.default_rng(1)
    lines = []
    for _ in range(2000):
        numbers = " ".join(f"{x:.5g}" for x in generator.normal(0, 0.4, DIM))
        lines.append(numbers + "\n")
    size = rows = 0
    with path.open("w") as file:
        while size < megabytes << 20:
            size += file.write(f"word{rows} {lines[rows % len(lines)]}")
            rows += 1
    return rows


def read_emcomp(path: str, threads: int) -> np.ndarray:
    from emcomp.io.reading import read_vectors

    return read_vectors(path, threads=threads).vectors


def read_pyarrow(path: str, threads: int) -> object:
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(threads)
    names = ["word", *(str(i) for i in range(DIM))]
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(column_names=names, use_threads=threads > 1),
        parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=csv.ConvertOptions(
            column_types={name: pa.float32() for name in names[1:]} | {"word": pa.string()}
        ),
    )


def read_pandas(path: str, _threads: int) -> object:
    import pandas as pd

    types = dict.fromkeys(range(1, DIM + 1), np.float32) | {0: str}
    return pd.read_csv(path, sep=" ", header=None, dtype=types, quoting=3, na_filter=False)


def read_gensim(path: str, _threads: int) -> object:
    from gensim.models import KeyedVectors

    return KeyedVectors.load_word2vec_format(path, no_header=True).vectors


READERS = {
    "emcomp": read_emcomp,
    "pyarrow": read_pyarrow,
    "pandas": read_pandas,
    "gensim": read_gensim,
}


def measure(reader: str, path: str, threads: int) -> None:
    """Read once and print seconds and the growth of peak memory, in this process."""
    READERS[reader](path + ".small", threads)  # imports and first-use work stay outside
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    table = READERS[reader](path, threads)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    del table
    print(json.dumps({"seconds": seconds, "peak": peak * 1024}))


def run(reader: str, path: Path, threads: int) -> dict[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    output = subprocess.run(
        [sys.executable, __file__, "--measure", reader, str(path), "--threads", str(threads)],
        check=True,
        capture_output=True,
        env=environment,
    ).stdout
    return json.loads(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gensim", action="store_true")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure, options.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.txt"
        rows = make_file(path, options.megabytes)
        make_file(path.with_name("vectors.txt.small"), 1)
        size = path.stat().st_size
        matrix = rows * DIM * 4
        cases = [("emcomp", 1), ("pyarrow", 1), ("emcomp", 2), ("pyarrow", 2), ("pandas", 1)]
        found: dict[tuple[str, int], list[dict[str, float]]] = {case: [] for case in cases}
        for _ in range(options.repeats):
            for case in cases:
                found[case].append(run(case[0], path, case[1]))
        if options.gensim:
            found[("gensim", 1)] = [run("gensim", path, 1)]
        seconds = {c: statistics.median(r["seconds"] for r in runs) for c, runs in found.items()}
        print(f"{size / 1e6:.0f} MB of text, {rows} x {DIM}; a matrix of {matrix / 1e6:.0f} MB")
        print(f"{'reader':10}{'threads':>8}{'MB/s':>8}{'ours is':>9}{'peak / matrix':>15}")
        for (reader, threads), runs in found.items():
            ratio = seconds[(reader, threads)] / seconds[("emcomp", threads)]
            peak = max(run["peak"] for run in runs) / matrix
            print(
                f"{reader:10}{threads:8}{size / 1e6 / seconds[(reader, threads)]:8.0f}"
                f"{ratio:8.2f}x{peak:15.2f}"
            )
        print(f"two threads: {seconds[('emcomp', 1)] / seconds[('emcomp', 2)]:.2f}x of one")


if __name__ == "__main__":
    main()
