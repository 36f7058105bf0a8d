"""Compress embedding tables, know what it costs downstream, serve rows from the packed bits."""

from __future__ import annotations

from emcomp import _native
from emcomp.codec import Codec, parse_codec
from emcomp.compress import compress
from emcomp.config import config, show_config
from emcomp.dccl import DeepCompositionalCodes
from emcomp.errors import (
    CorruptFileError,
    EmcompError,
    FormatError,
    InputError,
    UnknownWordError,
)
from emcomp.table import CompressedEmbedding, open  # noqa: A004
from emcomp.uniform import Uniform
from emcomp.vector_writers import write_vectors
from emcomp.vectors import WordVectors, read_vectors

__version__ = _native.VERSION

__all__ = [
    "Codec",
    "CompressedEmbedding",
    "CorruptFileError",
    "DeepCompositionalCodes",
    "EmcompError",
    "FormatError",
    "InputError",
    "Uniform",
    "UnknownWordError",
    "WordVectors",
    "__version__",
    "compress",
    "config",
    "open",
    "parse_codec",
    "read_vectors",
    "show_config",
    "write_vectors",
]
