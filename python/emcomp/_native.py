"""Choose the build of the compiled core that suits this processor.

The core is compiled once for each instruction-set level, or for the building machine's alone. The
best level that this processor runs is taken; ``EMCOMP_ISA`` names another one. The chosen module is
importable as ``emcomp._core``.
"""

from __future__ import annotations

import importlib
import os
import sys

from emcomp import _isa

VERSION: str = _isa.version
COMPILER: str = _isa.compiler


def built_levels() -> list[str]:
    """Instruction-set levels in this build, lowest first."""
    return _isa.built_levels()


def available_levels() -> list[str]:
    """Instruction-set levels in this build that this processor runs, lowest first."""
    return _isa.available_levels()


def choose_level(wanted: str, built: list[str], missing: dict[str, list[str]]) -> str:
    """The level to load.

    Args:
        wanted: the level that the environment names, or "" for the best.
        built: levels in this build, lowest first.
        missing: for each of them the features that the processor lacks.

    Raises:
        ImportError: if there is no such level, or none that the processor runs.
    """
    available = [level for level in built if not missing[level]]
    if not available:
        names = " and ".join(f"x86-64-{level}" for level in built)
        raise ImportError(
            f"emcomp was built for {names} only, and this processor lacks "
            f"{', '.join(missing[built[0]])}; rebuild it on this processor, or for all of them "
            "with EMCOMP_LEVELS=all pip install --no-cache-dir --force-reinstall"
        )
    if not wanted:
        return available[-1]
    if wanted not in available:
        raise ImportError(
            f"EMCOMP_ISA={wanted!r} is not available: this processor and build offer "
            f"{', '.join(available)}. Unset EMCOMP_ISA to let emcomp choose."
        )
    return wanted


LEVEL: str = choose_level(
    os.environ.get("EMCOMP_ISA", ""),
    built_levels(),
    {level: _isa.missing_features(level) for level in built_levels()},
)
sys.modules["emcomp._core"] = importlib.import_module(f"emcomp._core_{LEVEL}")
