"""Product quantization against faiss: training, encoding, decoding and error, in one run.

python benchmarks/product_quantizer.py [--codec opq --parts 15 --rows 50000] [--threads 1]

With ``--codec opq`` rows are rotated first, in faiss by OPQMatrix.
"""

from __future__ import annotations

import argparse
import statistics
import time

import faiss
import numpy as np
from harness import power_law_table

from emcomp.codecs.product import ProductQuantization
from emcomp.engine.base import Engine
from emcomp.io.sources.base import Block, as_source
from emcomp.transforms.optimized_product import OptimizedProductQuantization

CODECS = {"pq": ProductQuantization, "opq": OptimizedProductQuantization}


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def relative_error(X, out):
    return float(((X - out).astype(np.float64) ** 2).sum() / (X.astype(np.float64) ** 2).sum())


def run_emcomp(X, options, seed, out):
    codec = CODECS[options.codec](options.parts, options.bits, seed=seed)
    train, fitted = timed(lambda: codec.fit(as_source(X), Engine(options.threads)))
    codes = np.zeros((len(X), codec.row_bytes), np.uint8)
    encode, _ = timed(lambda: fitted.encode(Block(0, X), {"codes": codes}, options.threads))
    reader = codec.reader(X.shape, {"codes": codes, **fitted.shared_tensors})
    decode, _ = timed(lambda: reader.read(0, out, options.threads))
    return train, encode, decode, relative_error(X, out)


def run_faiss(X, options, seed, out):
    rotation = faiss.OPQMatrix(X.shape[1], options.parts) if options.codec == "opq" else None
    own, quantizer = (
        faiss.ProductQuantizer(X.shape[1], options.parts, options.bits) for _ in range(2)
    )
    sample = X[np.random.default_rng(seed).permutation(len(X))[:65536]]

    def fit():
        if rotation is not None:
            rotation.pq = own  # training it leaves other settings behind
            rotation.train(sample)
        quantizer.train(sample if rotation is None else rotation.apply(sample))

    def decoded():
        # Into memory that is already mapped, as ours.
        quantizer.decode_c(faiss.swig_ptr(codes), faiss.swig_ptr(out), len(X))
        if rotation is not None:
            out[:] = rotation.reverse_transform(out)

    train, _ = timed(fit)
    encode, codes = timed(
        lambda: quantizer.compute_codes(X if rotation is None else rotation.apply(X))
    )
    decode, _ = timed(decoded)
    return train, encode, decode, relative_error(X, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", choices=sorted(CODECS), default="pq")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--parts", type=int, default=75)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--npy", help="rows from a .npy file instead of the synthetic ones")
    options = parser.parse_args()
    if options.npy:
        X = np.load(options.npy)[: options.rows].astype(np.float32)
    else:
        X = power_law_table(options.rows, options.dim)
    faiss.omp_set_num_threads(options.threads)
    peers = {"emcomp": run_emcomp, "faiss": run_faiss}
    figures = {name: [] for name in peers}
    out = np.ones_like(X)
    for seed in range(options.repeats):
        for name, run in peers.items():
            figures[name].append(run(X, options, seed, out))
    print(
        f"{options.codec}, {len(X)} x {X.shape[1]}, {options.parts} parts of {options.bits} bits, "
        f"{options.threads} threads"
    )
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
