"""What this installation of emcomp is made of."""

from __future__ import annotations

import sys

import numpy as np

from emcomp import _native
from emcomp.threads import resolve_threads


def config() -> dict[str, str | int | list[str]]:
    """Version, instruction-set levels, threads, NumPy, Python and compiler of this installation."""
    return {
        "emcomp": _native.VERSION,
        "level": _native.LEVEL,
        "levels built": _native.built_levels(),
        "levels available": _native.available_levels(),
        "threads": resolve_threads(),
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "compiler": _native.COMPILER,
    }


def show_config() -> None:
    """Print `config`, a line each."""
    for key, value in config().items():
        print(f"{key + ':':<18}{', '.join(value) if isinstance(value, list) else value}")
