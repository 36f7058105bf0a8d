"""Sizes as people read them."""

from __future__ import annotations


def format_bytes(nbytes: float) -> str:
    """A number of bytes with three digits and a decimal unit, such as ``2.44 MB``."""
    for unit in ("B", "kB", "MB"):
        if nbytes < 999.5:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:.3g} GB"
