"""Sizes as people say and read them."""

from __future__ import annotations

import operator
import re
from fractions import Fraction

from emcomp.errors import InputError

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_BUDGET = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_SLACK = Fraction(1, 1000)
"""What a ratio and bits per entry may be missed by: steps and codebooks that all rows share."""


def budget_bytes(budget: int | str, shape: tuple[int, int]) -> int:
    """The largest number of bytes that a table may take.

    Args:
        budget: bytes, as a number or with a unit (``"40MB"``, ``"64kB"``, ``"1.5GiB"``); how many
            times smaller than float32 (``"16x"``); or bits per entry (``"2.5bits"``). The last two
            are met to within a thousandth, so that the step or codebook of a large table, which
            all its rows share, does not keep ``uniform:2`` out of ``"2bits"``.
        shape: rows and dimension of the table.

    Raises:
        InputError: if the budget is none of these, or nothing.
    """
    entries = shape[0] * shape[1]
    allowed: Fraction | int | None = None
    if isinstance(budget, str):
        match = _BUDGET.fullmatch(budget.strip())
        number, unit = (Fraction(match[1]), match[2].lower()) if match else (Fraction(0), "")
        if unit in _UNITS:
            allowed = number * _UNITS[unit]
        elif unit == "x" and number:
            allowed = 4 * entries / number * (1 + _SLACK)
        elif unit in ("bit", "bits"):
            allowed = number * entries / 8 * (1 + _SLACK)
    elif not isinstance(budget, bool):
        try:
            allowed = operator.index(budget)
        except TypeError:
            allowed = None
    if allowed is None or allowed < 1:
        raise InputError(
            f"a budget is bytes such as 40000000 or '40MB', a ratio such as '16x' or bits per entry "
            f"such as '2.5bits', not {budget!r}"
        )
    return int(allowed)


def format_bytes(nbytes: float) -> str:
    """A number of bytes with three digits and a decimal unit, such as ``2.44 MB``."""
    for unit in ("B", "kB", "MB"):
        if nbytes < 999.5:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:.3g} GB"
