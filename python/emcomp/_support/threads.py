"""How many threads a call uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from emcomp import _core
from emcomp.errors import InputError

_DEFAULT: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def default_threads(threads: int) -> Iterator[None]:
    """Make this the number of threads of calls that are not told one, in this thread."""
    token = _DEFAULT.set(threads)
    try:
        yield
    finally:
        _DEFAULT.reset(token)


def resolve_threads(threads: int | None = None) -> int:
    """Threads for a call: the argument, else ``EMCOMP_NUM_THREADS``, else OpenMP's default.

    On workers the default is what they were sent with.

    Raises:
        InputError: if the number is not a positive integer.
    """
    if threads is None:
        return _DEFAULT.get() or _core.default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a positive whole number or None, not {threads!r}")
    return threads
