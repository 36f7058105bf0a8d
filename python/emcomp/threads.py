"""How many threads a call uses."""

from __future__ import annotations

from emcomp import _core
from emcomp.errors import InputError


def resolve_threads(threads: int | None = None) -> int:
    """Threads for a call: the argument, else ``EMCOMP_NUM_THREADS``, else OpenMP's default.

    Raises:
        InputError: if the number is not a positive integer.
    """
    if threads is None:
        return _core.default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a positive whole number or None, not {threads!r}")
    return threads
