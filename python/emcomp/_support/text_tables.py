"""Columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(lines: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of cells as columns two spaces apart.

    Args:
        lines: as many cells in each.
        left: columns aligned to the left; those after them are aligned to the right, and an empty
            heading makes its column one of text, to the left.
    """
    rows = [list(line) for line in lines]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    to_left = [at < left or not column[0] for at, column in enumerate(columns)]
    return [
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, to_left, strict=True)
        ).rstrip()
        for row in rows
    ]
