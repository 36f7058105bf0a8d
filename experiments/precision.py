"""Dimension against precision: at one size, many columns of few bits or few columns of many.

Principal components of one table, kept to k columns of b bits each, judged as in `experiments.words`
(May et al. 2019 trained tables of each dimension instead). Points are kept in
``docs/evidence/precision.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from experiments.data import DOCS, SGNS, load_table
from experiments.points import Points
from experiments.words import KEY, Wanted, run

POINTS = DOCS / "evidence" / "precision.json"
WIDTHS = (1, 2, 4, 8, 32)
SHARES = (1, 2, 4, 8, 12)
"""Columns are all of the table's over these."""


def wanted(dim: int, quick: bool) -> Iterator[Wanted]:
    """Every number of columns with every width."""
    for share in SHARES[:2] if quick else SHARES:
        for width in WIDTHS[:2] if quick else WIDTHS:
            latents = f"uniform:{width}" if width < 32 else "float:32"
            k = dim // share
            yield Wanted(f"{k} columns", f"pca:{k}+{latents}", k * width / dim, 0)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[SGNS], metavar="name")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    if arguments.quick:
        name = arguments.names[0]
        columns = wanted(load_table(name).shape[1], True)
        run(Points(POINTS, KEY, kept=False), name, columns, 500)
        return
    for name in arguments.names:
        run(Points(POINTS, KEY), name, wanted(load_table(name).shape[1], False), None)


if __name__ == "__main__":
    main()
