"""Passes over sources against reading the same bytes from the same file, and the memory they take.

Each pass runs in a process of its own, so that its peak memory can be told; what the process takes
before it opens the source is subtracted (Linux only). Repeats are interleaved and medians shown.

    python benchmarks/read_sources.py --rows 500000 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIM = 300
KINDS = ("npy", "npy-fortran", "safetensors", "glove", "glove.gz", "word2vec-binary", "parquet")
_STEP = 20_000


def rows_of(first: int, count: int) -> np.ndarray:
    return np.random.default_rng(first).normal(0, 0.4, (count, DIM)).astype(np.float32)


def write(path: Path, kind: str, rows: int) -> None:
    """Write a table of one kind block by block; gzip and Parquet at their usual levels."""
    import emcomp

    def make() -> object:
        return (rows_of(first, min(_STEP, rows - first)) for first in range(0, rows, _STEP))

    source = emcomp.open_source(make, shape=(rows, DIM))
    words = [f"word{i}" for i in range(rows)]
    if kind == "npy-fortran":
        whole = np.asfortranarray(source.read(0, rows))
        with path.open("wb") as file:
            np.save(file, whole)
    elif kind == "safetensors":
        from safetensors.numpy import save_file

        save_file({"embedding.weight": source.read(0, rows)}, path)
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("vector", pa.list_(pa.float32(), DIM))])
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, rows, _STEP):
                block = source.read(first, min(_STEP, rows - first))
                column = pa.FixedSizeListArray.from_arrays(block.ravel(), DIM)
                writer.write_table(pa.table([column], schema))
    elif kind == "npy":
        emcomp.write_vectors(path, source, format="npy")
    else:
        emcomp.write_vectors(path, source, words, format=kind.removesuffix(".gz"))
        if kind.endswith(".gz"):
            subprocess.run(["gzip", "-1", "-k", "-S", "z", str(path)], check=True)
            path.with_name(path.name + "z").replace(path)


def peak() -> int:
    """Most bytes that this process has had in memory; not, as with getrusage, its parent too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measure(path: str, what: str, threads: int) -> None:
    """Print seconds and peak memory of one pass, in this process."""
    import emcomp
    from emcomp.io.sources.base import blocks

    before = peak()
    started = time.perf_counter()
    opened = 0.0
    if what == "bytes":
        buffer = bytearray(8 << 20)
        with Path(path).open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    elif what == "read_vectors":
        emcomp.read_vectors(path, threads=threads)
    else:
        source = emcomp.open_source(path, threads=threads)
        opened = time.perf_counter() - started
        for _ in blocks(source):
            pass
    seconds = time.perf_counter() - started - opened
    print(json.dumps({"seconds": seconds, "opened": opened, "peak": peak() - before}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure, arguments.threads)
        return
    print(f"{arguments.rows} x {DIM} float32, {arguments.threads} threads")
    print(f"{'kind':16} {'MB':>6} {'MB/s':>6} {'of bytes':>9} {'open s':>7} {'peak MB':>8}"
          f" {'read_vectors MB/s':>18} {'peak MB':>8}")  # fmt: skip
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table"
            write(path, kind, arguments.rows)
            size = path.stat().st_size / 1e6
            whats = ["bytes", "source"]
            if kind in ("glove", "glove.gz", "word2vec-binary"):  # what it does not map
                whats.append("read_vectors")
            results: dict[str, list[dict[str, float]]] = {what: [] for what in whats}
            for _ in range(arguments.repeats):
                for what in whats:
                    command = [sys.executable, __file__, "--threads", str(arguments.threads)]
                    command += ["--measure", str(path), what]
                    output = subprocess.run(command, capture_output=True, check=True).stdout
                    results[what].append(json.loads(output))
        medians = {
            what: {key: statistics.median(r[key] for r in runs) for key in runs[0]}
            for what, runs in results.items()
        }
        source, whole = medians["source"], medians.get("read_vectors")
        rate = size / source["seconds"]
        line = (
            f"{kind:16} {size:6.0f} {rate:6.0f} {rate * medians['bytes']['seconds'] / size:8.0%} "
        )
        line += f"{source['opened']:8.2f} {source['peak'] / 1e6:8.0f}"
        if whole:
            line += f" {size / whole['seconds']:18.0f} {whole['peak'] / 1e6:8.0f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
