"""What this installation of emcomp is made of."""

from __future__ import annotations

import sys
from typing import Literal, overload

import numpy as np

from emcomp import _native
from emcomp._support.threads import resolve_threads
from emcomp.errors import InputError

Configuration = dict[str, str | int | list[str]]


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dict"]) -> Configuration: ...
def show_config(mode: str = "stdout") -> Configuration | None:
    """Show the version, instruction-set levels, threads, NumPy, Python and compiler in use.

    Args:
        mode: ``"stdout"`` to print them, a line each, or ``"dict"`` to return them.

    Returns:
        None, or the configuration by name.

    Raises:
        InputError: for another mode.

    Example:
        >>> emcomp.show_config("dict")["emcomp"]
        '0.1.0'
    """
    if mode not in ("stdout", "dict"):
        raise InputError(f"mode must be 'stdout' or 'dict', not {mode!r}")
    configuration: Configuration = {
        "emcomp": _native.VERSION,
        "level": _native.LEVEL,
        "levels built": _native.built_levels(),
        "levels available": _native.available_levels(),
        "threads": resolve_threads(),
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "compiler": _native.COMPILER,
    }
    if mode == "dict":
        return configuration
    for key, value in configuration.items():
        print(f"{key + ':':<18}{', '.join(value) if isinstance(value, list) else value}")
    return None
