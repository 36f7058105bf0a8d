"""Compress embedding tables, know what it costs downstream, serve rows from the packed bits."""

from __future__ import annotations

from emcomp import _native
from emcomp.errors import CorruptFileError, EmcompError, FormatError, InputError

__version__ = _native.VERSION

__all__ = ["CorruptFileError", "EmcompError", "FormatError", "InputError", "__version__"]
