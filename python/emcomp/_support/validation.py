"""What training loops share: checks of their settings, and how much one native call does."""

from __future__ import annotations

from emcomp.errors import InputError

_CALL_FLOPS = 2e10  # floating-point operations of one native call: a fraction of a second


def steps_at_once(parameters: int, batch: int) -> int:
    """Steps for one native call, so that an interruption is soon noticed.

    Args:
        parameters: weights of the network.
        batch: rows of a step.
    """
    return max(1, int(_CALL_FLOPS / (6 * parameters * batch)))


def check_number(name: str, value: object, least: float, most: float = 1e6) -> None:
    """Raise InputError unless a setting is a number from ``least`` to ``most``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # type: ignore[operator]
        raise InputError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")
