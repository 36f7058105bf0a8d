"""Training the direction-aware autoencoder against the same model in torch, in one run.

Both sides train with the published settings on the same rows; the figures are medians of the time
of a step, in alternating pieces of an epoch. Needs torch. With ``--npy`` the published training is
run to its end on real rows, for several seeds, and what is lost is compared with ``svd`` and
``direction`` of the same k.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from harness import medians, power_law_table

import emcomp
from emcomp import _core

COSINE, POWERED = 0.1995, 0.0025


class TorchTraining:
    """The model, its loss and its optimizer as published (Bałazy et al. 2021)."""

    def __init__(self, X: np.ndarray, k: int, batch: int, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.rows = torch.from_numpy(X)
        self.batch = batch
        self.encoder = torch.nn.Linear(X.shape[1], k)
        self.decoder = torch.nn.Linear(k, X.shape[1])
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, 1e-3)
        self.order = torch.randperm(len(X))
        self.at = 0

    def steps(self, count: int, power: float) -> None:
        for _ in range(count):
            if self.at >= len(self.rows):
                self.order = torch.randperm(len(self.rows))
                self.at = 0
            rows = self.rows[self.order[self.at : self.at + self.batch]]
            self.at += self.batch
            outputs = self.decoder(self.encoder(rows))
            cosines = torch.nn.functional.cosine_similarity(outputs, rows, eps=1e-6)
            powered = ((outputs - rows).abs() + 1e-10).pow(power).mean()
            self.optimizer.zero_grad()
            (COSINE * (1 - cosines).mean() + POWERED * powered).backward()
            self.optimizer.step()


def speed(X: np.ndarray, k: int, power: float, repeats: int) -> None:
    """Seconds of an epoch at two batch sizes, on one and two threads."""
    objective = _core.AutoencoderObjective(COSINE, 0.0, POWERED, power)
    print(f"{len(X)} x {X.shape[1]}, k = {k}, power {power}: seconds of an epoch")
    for batch in (32, 256):
        for threads in (1, 2):
            peer = TorchTraining(X, k, batch, threads)
            ours = _core.AutoencoderTrainer(X, k, False, batch, 0)
            steps = max(1, 4096 // batch)

            def step_ours(ours=ours, steps=steps, threads=threads):
                return ours.train(steps, objective, 1e-3, threads)

            def step_torch(peer=peer, steps=steps):
                return peer.steps(steps, power)

            seconds = medians({"emcomp": step_ours, "torch": step_torch}, repeats)
            epoch = {name: s * ours.steps_per_epoch / steps for name, s in seconds.items()}
            print(
                f"  batch {batch:3}, {threads} threads: emcomp {epoch['emcomp']:.3f}, torch "
                f"{epoch['torch']:.3f}: {epoch['torch'] / epoch['emcomp']:.2f} times faster"
            )


def quality(X: np.ndarray, sizes: list[int], seeds: int, threads: int) -> None:
    """Mean cosine distance, squared error and lengths of published training, and of its rivals."""
    lengths = np.linalg.norm(X.astype(np.float64), axis=1)
    total = np.square(lengths).sum()
    print(f"\n{len(X)} x {X.shape[1]}: cosine distance, squared error, lengths over the originals'")
    for k in sizes:
        codecs = [f"autoencoder:{k}(seed={seed})" for seed in range(seeds)]
        codecs += [f"autoencoder:{k}(start=svd)", f"direction:{k}", f"svd:{k}"]
        for codec in codecs:
            begin = time.perf_counter()
            rows = emcomp.compress(X, codec, threads=threads).decode().astype(np.float64)
            seconds = time.perf_counter() - begin
            found = np.linalg.norm(rows, axis=1)
            cosines = np.einsum("ij,ij->i", X, rows) / lengths / found
            ratio = found / lengths
            print(
                f"  {codec:28} {1 - cosines.mean():.5f} {np.square(X - rows).sum() / total:.4f} "
                f"{ratio.mean():.3f} +- {ratio.std():.3f}  {seconds:.1f} s"
            )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_522)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--power", type=float, default=0.55, help="of errors, while timing")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--npy", help="rows to train on to the end")
    parser.add_argument("--sizes", type=int, nargs="+", default=[38, 75])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of training to the end")
    options = parser.parse_args()
    table = power_law_table(options.rows, options.dim)
    speed(table, options.k, options.power, options.repeats)
    if options.npy:
        X = np.load(options.npy).astype(np.float32)
        quality(X, options.sizes, options.seeds, options.threads)


if __name__ == "__main__":
    main()
