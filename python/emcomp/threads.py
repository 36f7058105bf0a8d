"""How many threads a call uses."""

from __future__ import annotations

import os

from emcomp import _core
from emcomp.errors import InputError


def resolve_threads(threads: int | None = None) -> int:
    """Threads for a call: the argument, else ``EMCOMP_NUM_THREADS``, else OpenMP's default.

    Raises:
        InputError: if the number is not a positive integer.
    """
    if threads is None:
        text = os.environ.get("EMCOMP_NUM_THREADS", "")
        if not text:
            return _core.default_threads()
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"EMCOMP_NUM_THREADS={text!r} is not a positive whole number")
        return int(text)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a positive whole number or None, not {threads!r}")
    return threads
