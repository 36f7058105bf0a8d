"""Checks of numbers that callers give."""

from __future__ import annotations

import numpy as np

from emcomp.errors import InputError


def is_whole(value: object) -> bool:
    """Whether a setting is a whole number; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_count(name: str, value: object, least: int, most: int | None) -> None:
    """Raise InputError unless ``value`` is a whole number from ``least`` to ``most``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        wanted = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise InputError(f"{name} must be a whole number {wanted}, not {value!r}")


def check_number(name: str, value: object, least: float, most: float = 1e6) -> None:
    """Raise InputError unless a setting is a number from ``least`` to ``most``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # type: ignore[operator]
        raise InputError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")
