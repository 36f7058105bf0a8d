"""Choose the build of the compiled core that suits this processor.

The core is compiled once for each instruction-set level. The best level that this processor runs
is taken; ``EMCOMP_ISA`` names another one. The chosen module is importable as ``emcomp._core``.
"""

from __future__ import annotations

import importlib
import os
import sys

from emcomp import _isa

VERSION: str = _isa.version
COMPILER: str = _isa.compiler


def available_levels() -> list[str]:
    """Instruction-set levels in this build that this processor runs, lowest first."""
    return _isa.available_levels()


def _choose_level() -> str:
    available = available_levels()
    wanted = os.environ.get("EMCOMP_ISA", "")
    if not wanted:
        return available[-1]
    if wanted not in available:
        raise ImportError(
            f"EMCOMP_ISA={wanted!r} is not available: this processor and build offer "
            f"{', '.join(available)}. Unset EMCOMP_ISA to let emcomp choose."
        )
    return wanted


LEVEL: str = _choose_level()
sys.modules["emcomp._core"] = importlib.import_module(f"emcomp._core_{LEVEL}")
