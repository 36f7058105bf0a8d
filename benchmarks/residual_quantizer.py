"""Residual quantization against faiss at equal code sizes and beams, in one run."""

from __future__ import annotations

import argparse
import time

import faiss
import numpy as np
from harness import power_law_table

from emcomp.codecs.residual import ResidualQuantization
from emcomp.engine.base import Engine
from emcomp.io.sources.base import Block, as_source


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def run_emcomp(X, stages, bits, beam, threads):
    codec = ResidualQuantization(stages, bits, beam=beam)
    train, fitted = timed(lambda: codec.fit(as_source(X), Engine(threads)))
    codes = np.zeros((len(X), codec.row_bytes), np.uint8)
    encode, _ = timed(lambda: fitted.encode(Block(0, X), {"codes": codes}, threads))
    reader = codec.reader(X.shape, {"codes": codes, **fitted.shared_tensors})
    out = np.empty_like(X)
    reader.read(0, out, threads)
    return train, encode, out


def run_faiss(X, stages, bits, beam, threads):
    faiss.omp_set_num_threads(threads)
    quantizer = faiss.ResidualQuantizer(X.shape[1], stages, bits)
    quantizer.max_beam_size = beam
    train, _ = timed(lambda: quantizer.train(X))
    encode, codes = timed(lambda: quantizer.compute_codes(X))
    return train, encode, quantizer.decode(codes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--stages", type=int, default=16)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--npy", help="rows from a .npy file instead of the synthetic ones")
    options = parser.parse_args()
    if options.npy:
        X = np.load(options.npy).astype(np.float32)
    else:
        X = power_law_table(options.rows, options.dim)
    total = float((X.astype(np.float64) ** 2).sum())
    settings = (options.stages, options.bits, options.beam, options.threads)
    print(
        f"{len(X)} x {X.shape[1]}, {options.stages} stages of {options.bits} bits, "
        f"beam {options.beam}, {options.threads} threads"
    )
    figures = []
    for name, run in (("emcomp", run_emcomp), ("faiss", run_faiss)):
        train, encode, out = run(X, *settings)
        error = float(((X - out).astype(np.float64) ** 2).sum()) / total
        figures.append((train, encode, error))
        print(f"  {name:8} train {train:7.2f} s  encode {encode:6.3f} s  error {error:.5f}")
    ratios = [theirs / ours for ours, theirs in zip(*figures, strict=True)]
    print("  faiss / ours: train {:.2f}  encode {:.2f}  error {:.4f}".format(*ratios))


if __name__ == "__main__":
    main()
