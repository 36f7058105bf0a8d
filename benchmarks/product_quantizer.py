"""Product quantization against faiss: training, encoding, decoding and error, in one run."""

from __future__ import annotations

import argparse
import statistics
import time

import faiss
import numpy as np
from harness import power_law_table

from emcomp.engine import Engine
from emcomp.product import ProductQuantization
from emcomp.sources import Block, as_source


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--parts", type=int, default=75)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--npy", help="rows from a .npy file instead of the synthetic ones")
    options = parser.parse_args()
    if options.npy:
        X = np.load(options.npy).astype(np.float32)
    else:
        X = power_law_table(options.rows, options.dim)
    rows, dim = X.shape
    threads = options.threads
    faiss.omp_set_num_threads(threads)
    total = float((X.astype(np.float64) ** 2).sum())
    figures = {"emcomp": [], "faiss": []}
    out = np.ones_like(X)
    for seed in range(options.repeats):
        codec = ProductQuantization(options.parts, options.bits, seed=seed)
        train, fitted = timed(lambda: codec.fit(as_source(X), Engine(threads)))
        codes = np.zeros((rows, codec.row_bytes), np.uint8)
        encode, _ = timed(lambda: fitted.encode(Block(0, X), {"codes": codes}, threads))
        reader = codec.reader(X.shape, {"codes": codes, **fitted.shared_tensors})
        decode, _ = timed(lambda: reader.read(0, out, threads))
        error = float(((X - out).astype(np.float64) ** 2).sum()) / total
        figures["emcomp"].append((train, encode, decode, error))

        sample = X[np.random.default_rng(seed).permutation(rows)[:65536]]
        peer = faiss.ProductQuantizer(dim, options.parts, options.bits)
        train, _ = timed(lambda: peer.train(sample))
        encode, codes = timed(lambda: peer.compute_codes(X))
        # Into memory that is already mapped, as ours.
        decode, _ = timed(
            lambda: (
                peer.decode_c(faiss.swig_ptr(codes), faiss.swig_ptr(out), rows)
                if hasattr(peer, "decode_c")
                else peer.decode(codes, out)
            )
        )
        error = float(((X - peer.decode(codes)).astype(np.float64) ** 2).sum()) / total
        figures["faiss"].append((train, encode, decode, error))
    print(f"{rows} x {dim}, {options.parts} parts of {options.bits} bits, {threads} threads")
    medians = {
        name: [statistics.median(v) for v in zip(*f, strict=True)] for name, f in figures.items()
    }
    gigabytes = X.nbytes / 1e9
    for name, (train, encode, decode, error) in medians.items():
        print(
            f"  {name:8} train {train:7.2f} s  encode {encode:6.3f} s  "
            f"decode {gigabytes / decode:6.2f} GB/s  error {error:.5f}"
        )
    labels = ("train", "encode", "decode", "error")
    ratios = [
        theirs / ours for ours, theirs in zip(medians["emcomp"], medians["faiss"], strict=True)
    ]
    print(
        "  faiss / ours: " + "  ".join(f"{n} {r:.3f}" for n, r in zip(labels, ratios, strict=True))
    )


if __name__ == "__main__":
    main()
