"""Checks of settings that codecs share."""

from __future__ import annotations

from emcomp._support.validation import is_whole
from emcomp.errors import InputError


def check_bits(bits: object) -> None:
    """Raise InputError unless codes can have this width."""
    if not (isinstance(bits, int) and is_whole(bits) and 1 <= bits <= 8):
        raise InputError(f"bits must be a whole number from 1 to 8, not {bits!r}")


def check_group(group: object, dim: int, instead: str) -> None:
    """Raise InputError for a group of columns wider than a table; ``instead`` says what to use."""
    if isinstance(group, int) and group > dim:
        raise InputError(
            f"a group of {group} columns is wider than the table's {dim}; use {instead}"
        )
