"""How much of a training loop one native call does."""

from __future__ import annotations

_CALL_FLOPS = 2e10  # floating-point operations of one native call: a fraction of a second


def steps_at_once(parameters: int, batch: int) -> int:
    """Steps for one native call, so that an interruption is soon noticed.

    Args:
        parameters: weights of the network.
        batch: rows of a step.
    """
    return max(1, int(_CALL_FLOPS / (6 * parameters * batch)))
