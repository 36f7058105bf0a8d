"""Theorems 1 and 2 of May et al. (2019) in numbers, on real tables.

Theorem 1: what linear regression on a compressed table costs, against what its EOS says. Theorem 2:
the loss of EOS under b bits, with the bound and with the estimate that the package makes beforehand.
Points are kept in ``docs/evidence/theory.json``.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import emcomp
from experiments.data import DOCS, EMBEDDINGS, GLOVE, MINILM, load_table
from experiments.points import Points

POINTS = DOCS / "evidence" / "theory.json"
KEY = ("theorem", "table", "rows", "codec")
REGRESSED = (
    *(f"uniform:{bits}" for bits in (1, 2, 3, 4, 6, 8)),
    *(f"whiten+kmeans:{bits}" for bits in (1, 2, 4)),
    "rotate(scales=row)+kmeans:2",
    "pq:24x8",
    *(f"pca:{k}" for k in (12, 50, 90)),
)
NOISE_VARIANCE = 0.5
DRAWS = 64
QUICK_ROWS = 2000
"""Rows of the tiny slice."""


def span(X: NDArray[Any]) -> NDArray[np.float64]:
    """An orthonormal basis (n, d) of the columns' span; they must be independent."""
    return np.linalg.qr(X.astype(np.float64)).Q


def regression(U: NDArray[Any], codec: str, X: NDArray[Any], rank_label: NDArray[Any]) -> Any:
    """Theorem 1 for one codec: predicted and measured risk, and a label that is not random."""
    table = emcomp.compress(X, codec, threads=1)
    basis = span(table.decode(threads=1))
    random = np.random.default_rng(1)
    clean = U @ random.standard_normal((U.shape[1], DRAWS))
    noise = random.standard_normal(clean.shape) * np.sqrt(NOISE_VARIANCE)
    risk = {}
    for name, Q in (("X", U), ("Xq", basis)):
        fitted = Q @ (Q.T @ (clean + noise))
        risk[name] = np.square(fitted - clean).mean(axis=0)
    gaps = risk["Xq"] - risk["X"]
    eos = emcomp.eos(X, table, threads=1)
    n, (d, k) = len(X), (X.shape[1], table.dim)
    return {
        "overlap_lost": 1 - eos,
        "predicted_gap": emcomp.theory.expected_risk_gap(eos, n, d, k, NOISE_VARIANCE),
        "measured_gap": float(gaps.mean()),
        "standard_error": float(gaps.std(ddof=1) / np.sqrt(DRAWS)),
        "explained_by_X": explained(U, rank_label),
        "explained_by_Xq": explained(basis, rank_label),
    }


def explained(basis: NDArray[Any], label: NDArray[Any]) -> float:
    """Share of a label's variance that linear regression explains."""
    centred = label - label.mean()
    return float(np.square(basis.T @ centred).sum() / np.square(centred).sum())


def bound(X: NDArray[Any], bits: int) -> dict[str, float]:
    """Theorem 2 at one width: the bound, what it bounds, and the estimate for our quantizer."""
    a = emcomp.theory.bound_conditioning(
        float(emcomp.measures.spectrum(X, threads=1).singular_values[-1]),
        float(np.abs(X).max()),
        len(X),
    )
    stochastic = emcomp.compress(X, f"uniform:{bits}(clip=max,rounding=stochastic)", threads=1)
    ours = emcomp.compress(X, f"uniform:{bits}", threads=1)
    return {
        "bits": bits,
        "a": a,
        "bound": emcomp.theory.uniform_eos_bound(bits, a),
        "stochastic": 1 - emcomp.eos(X, stochastic, threads=1),
        "ours": 1 - emcomp.eos(X, ours, threads=1),
        "estimate": 1 - emcomp.measures.predict_uniform_eos(X, [bits], threads=1)[bits],
    }


def even_table(rows: int, dim: int, decay: float) -> NDArray[np.float32]:
    """Uniformly random entries, columns scaled by 1 down to 10^-decay: the theorem's own case."""
    X = np.random.default_rng(0).uniform(-1, 1, (rows, dim)) / np.sqrt(dim)
    scaled: NDArray[np.float32] = (X * np.logspace(0, -decay, dim)).astype(np.float32)
    return scaled


def run(points: Points, names: list[str], rows: int | None) -> None:
    """Measure what is missing."""
    for name in names:
        X = load_table(name, rows).astype(np.float32)
        rank_label = np.log(np.arange(1, len(X) + 1))
        U = span(X)
        for codec in REGRESSED:
            points.get(
                {"theorem": 1, "table": name, "rows": len(X), "codec": codec},
                partial(regression, U, codec, X, rank_label),
            )
    tables = {EMBEDDINGS[name]: (name, load_table(name, rows)) for name in names}
    size = (min(rows or 10_000, 10_000), 100)
    tables["even"] = ("even", even_table(*size, 0))
    tables["decaying"] = ("decaying", even_table(*size, 1))
    for name, X in tables.values():
        for bits in range(1, 9):
            points.get(
                {"theorem": 2, "table": name, "rows": len(X), "codec": f"uniform:{bits}"},
                partial(bound, X, bits),
            )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[GLOVE, MINILM], metavar="name")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    if arguments.quick:
        run(Points(POINTS, KEY, kept=False), arguments.names[:1], QUICK_ROWS)
        return
    run(Points(POINTS, KEY), arguments.names, None)


if __name__ == "__main__":
    main()
