"""Rows and bags from packed codes against float32 gathers and torch's and faiss's packed tables.

    python benchmarks/lookup.py --rows 400000 --dim 300 --bits 4

torch and faiss are used where they are installed. Peers and ours run on the same data in one
process, interleaved; medians are shown.
"""

from __future__ import annotations

import argparse

import numpy as np
from harness import limits, medians, power_law_table, report, zipf_ids

import emcomp

try:
    import torch
except ImportError:
    torch = None
try:
    import faiss
except ImportError:
    faiss = None

PREPACK = {2: "embedding_bag_2bit_prepack", 4: "embedding_bag_4bit_prepack",
           8: "embedding_bag_byte_prepack"}  # fmt: skip
UNPACK = {2: "embedding_bag_2bit_unpack", 4: "embedding_bag_4bit_unpack",
          8: "embedding_bag_byte_unpack"}  # fmt: skip
BAGS = {2: "embedding_bag_2bit_rowwise_offsets", 4: "embedding_bag_4bit_rowwise_offsets",
        8: "embedding_bag_byte_rowwise_offsets"}  # fmt: skip


def torch_table(X: np.ndarray, bits: int):
    """torch's packed table and its bag operator, or None."""
    if torch is None or bits not in BAGS:
        return None
    quantized = torch.ops.quantized
    return getattr(quantized, PREPACK[bits])(torch.from_numpy(X)), getattr(quantized, BAGS[bits])


def lookups(X, table, packed, ids, title, threads, repeats):
    out = np.zeros((len(ids), X.shape[1]), np.float32)
    calls = {
        "emcomp": lambda: table.lookup(ids, out=out, threads=threads),
        "NumPy take of float32, out=": lambda: X.take(ids, axis=0, out=out, mode="clip"),
    }
    if torch is not None:
        W, tids = torch.from_numpy(X), torch.from_numpy(ids)
        offsets = torch.arange(len(ids))
        calls["torch F.embedding of float32"] = lambda: torch.nn.functional.embedding(tids, W)
        if packed is not None:
            calls["torch packed bag of one"] = lambda: packed[1](packed[0], tids, offsets)
    seconds = medians(calls, repeats)
    report(title, "M rows/s", "emcomp", {k: len(ids) / s / 1e6 for k, s in seconds.items()})


def bags(X, table, packed, ids, size, threads, repeats):
    offsets = np.arange(0, len(ids), size)
    out = np.zeros((len(offsets), X.shape[1]), np.float32)
    calls = {"emcomp": lambda: table.bag(ids, offsets, out=out, threads=threads)}
    if torch is not None:
        W, tids, toffsets = (torch.from_numpy(a) for a in (X, ids, offsets))
        calls["torch float32 bag"] = lambda: torch.nn.functional.embedding_bag(
            tids, W, toffsets, mode="sum"
        )
        if packed is not None:
            calls["torch packed bag"] = lambda: packed[1](packed[0], tids, toffsets)
    seconds = medians(calls, repeats)
    title = f"bags of {size} ids, sum, {threads} thread(s)"
    report(title, "M ids/s", "emcomp", {k: len(ids) / s / 1e6 for k, s in seconds.items()})


def decoding(X, table, bits, threads, repeats):
    out = np.zeros_like(X)
    calls = {"emcomp": lambda: table.decode(out=out, threads=threads)}
    if torch is not None and bits in UNPACK:
        packed = getattr(torch.ops.quantized, PREPACK[bits])(torch.from_numpy(X))
        calls["torch unpack"] = lambda: getattr(torch.ops.quantized, UNPACK[bits])(packed)
    if faiss is not None and bits in (4, 6, 8):
        faiss.omp_set_num_threads(threads)
        kind = getattr(faiss.ScalarQuantizer, f"QT_{bits}bit")
        quantizer = faiss.ScalarQuantizer(X.shape[1], kind)
        quantizer.train(X[:50_000])
        codes = quantizer.compute_codes(X)
        calls["faiss ScalarQuantizer decode"] = lambda: quantizer.decode(codes)
    seconds = medians(calls, repeats)
    title = f"decode everything, {threads} thread(s)"
    report(title, "GB/s", "emcomp", {k: X.nbytes / s / 1e9 for k, s in seconds.items()})


def single_rows(table, repeats):
    ids = np.random.default_rng(0).integers(0, len(table), 10_000).tolist()

    def ask():
        for i in ids:
            table[i]

    print(f"\none row at a time: {medians({'row': ask}, repeats)['row'] / 10_000 * 1e6:.3f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--bits", type=int, nargs="+", default=[4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    emcomp.show_config()
    print("one thread, GB/s:", {k: round(v, 1) for k, v in limits().items()})
    X = power_law_table(arguments.rows, arguments.dim)
    random = np.random.default_rng(1)
    for bits in arguments.bits:
        table = emcomp.compress(X, f"uniform:{bits}")
        packed = torch_table(X, bits)
        print(f"\n== {table}")
        single_rows(table, arguments.repeats)
        for threads in arguments.threads:
            if torch is not None:
                torch.set_num_threads(threads)
            decoding(X, table, bits, threads, arguments.repeats)
            for count in (1, 64, 4096, 1_000_000):
                repeats = arguments.repeats * (20 if count < 10_000 else 1)
                for name, ids in (
                    ("uniform", random.integers(0, len(X), count)),
                    ("Zipf", zipf_ids(len(X), count)),
                ):
                    title = f"lookup of {count} {name} ids, {threads} thread(s)"
                    lookups(X, table, packed, ids, title, threads, repeats)
            ids = random.integers(0, len(X), 1_000_000)
            bags(X, table, packed, ids, 20, threads, arguments.repeats)


if __name__ == "__main__":
    main()
