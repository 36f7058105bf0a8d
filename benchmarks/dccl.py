"""Training deep compositional codes against the same in torch, and what refinement adds, in one run.

Both sides train with the published settings (clipping included) on the same rows; seconds of an
epoch are medians of alternating epochs, and the errors are those of hard codes after equal epochs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import emcomp
from emcomp import _core


class TorchCodes(torch.nn.Module):
    """Shu & Nakayama 2018, section 4."""

    def __init__(self, dim, codes, codewords):
        super().__init__()
        logits = codes * codewords
        self.codes = codes
        self.hidden = torch.nn.Linear(dim, logits // 2)
        self.logits = torch.nn.Linear(logits // 2, logits)
        self.codebooks = torch.nn.Parameter(torch.empty(logits, dim))
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -0.01, 0.01)

    def scores(self, rows):
        logits = torch.nn.functional.softplus(self.logits(torch.tanh(self.hidden(rows))))
        return torch.log(logits + 1e-8).view(len(rows), self.codes, -1)

    def loss(self, rows):
        scores = self.scores(rows)
        uniform = torch.rand_like(scores)
        gumbel = -torch.log(-torch.log(uniform + 1e-20) + 1e-20)
        soft = torch.softmax(scores + gumbel, dim=2).flatten(1)
        return 0.5 * (soft @ self.codebooks - rows).square().sum() / len(rows)

    @torch.no_grad()
    def decoded(self, rows):
        best = self.scores(rows).argmax(dim=2)
        first = torch.arange(self.codes) * (len(self.codebooks) // self.codes)
        return self.codebooks[best + first].sum(dim=1)


def torch_epoch(model, optimizer, rows, batch, clip_norm):
    order = torch.randperm(len(rows))
    for first in range(0, len(rows) - batch + 1, batch):
        optimizer.zero_grad()
        model.loss(rows[order[first : first + batch]]).backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()


def emcomp_decoded(trainer, X, codes, threads):
    found = np.empty((len(X), codes), np.uint8)
    codewords = len(trainer.parameters[4]) // codes
    encoder = _core.CompositionalEncoder(trainer.parameters, codes, codewords)
    encoder.encode(X, found, threads)
    codebooks = trainer.parameters[4].reshape(codes, -1, X.shape[1])
    return sum(codebook[found[:, m]] for m, codebook in enumerate(codebooks))


def relative_error(X, approximation):
    difference = X.astype(np.float64) - approximation
    return (difference**2).sum() / (X.astype(np.float64) ** 2).sum()


def power_law_table(rows, dim, seed=0):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    spectrum = np.arange(1, dim + 1) ** -0.5
    norms = np.exp(0.3 * rng.standard_normal((rows, 1)))
    return (norms * ((rng.standard_normal((rows, dim)) * spectrum) @ basis.T)).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_400)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--codes", type=int, default=32)
    parser.add_argument("--codewords", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--clip-norm", type=float, default=0.001)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--npy", help="rows from a .npy file instead of the synthetic ones")
    options = parser.parse_args()
    if options.npy:
        X = np.load(options.npy)[: options.rows].astype(np.float32)
    else:
        X = power_law_table(options.rows, options.dim)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = torch.from_numpy(X)
    model = TorchCodes(X.shape[1], options.codes, options.codewords)
    optimizer = torch.optim.Adam(model.parameters(), options.learning_rate)
    settings = (options.batch, options.learning_rate, options.clip_norm, False, 0)
    trainer = _core.CompositionalTrainer(X, options.codes, options.codewords, *settings)

    seconds = {"torch": [], "emcomp": []}
    for _ in range(options.epochs):
        start = time.perf_counter()
        torch_epoch(model, optimizer, rows, options.batch, options.clip_norm)
        middle = time.perf_counter()
        trainer.train(trainer.steps_per_epoch, options.threads)
        seconds["torch"].append(middle - start)
        seconds["emcomp"].append(time.perf_counter() - middle)
    errors = {
        "torch": relative_error(X, model.decoded(rows).numpy()),
        "emcomp": relative_error(X, emcomp_decoded(trainer, X, options.codes, options.threads)),
    }
    print(
        f"{len(X)} x {X.shape[1]}, dccl:{options.codes}x{options.codewords}, batch "
        f"{options.batch}, {options.epochs} epochs, {options.threads} threads"
    )
    for name, times in seconds.items():
        each = np.median(times)
        print(
            f"{name:7} {each:7.3f} s an epoch  {1 / each:6.2f} epochs/s  error {errors[name]:.4f}"
        )
    print(
        f"emcomp is {np.median(seconds['torch']) / np.median(seconds['emcomp']):.2f} times faster"
    )

    start = time.perf_counter()
    found = emcomp.compress(X, f"dccl:{options.codes}x{options.codewords}", threads=options.threads)
    total = time.perf_counter() - start
    print(f"default preset, refined: {total:.1f} s, error {relative_error(X, found.decode()):.4f}")


if __name__ == "__main__":
    main()
