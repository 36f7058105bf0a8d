"""Compress embedding tables, know what it costs downstream, serve rows from the packed bits.

`compress` makes a table, `open` maps a saved one, `evaluate` and `eos` say what was lost, and
`select` finds the best table under a budget. The subpackages `codecs`, `transforms`, `measures`,
`selection` and `theory` have the rest.
"""

from __future__ import annotations

from emcomp import _native, codecs, measures, selection, theory, transforms
from emcomp.codecs.base import parse_codec
from emcomp.codecs.row_kmeans import kmeans
from emcomp.compression.appending import append
from emcomp.compression.compressing import compress, plan
from emcomp.config import show_config
from emcomp.errors import (
    CorruptFileError,
    EmcompError,
    EmcompWarning,
    FormatError,
    InputError,
    RankWarning,
    UndefinedError,
    UnknownWordError,
)
from emcomp.io.reading import WordVectors, read_vectors
from emcomp.io.sources.opening import open_source
from emcomp.io.writing import write_vectors, write_words
from emcomp.measures import eos, evaluate
from emcomp.selection import select
from emcomp.tables.opening import open  # noqa: A004
from emcomp.tables.table import CompressedEmbedding
from emcomp.tables.verification import verify

__version__ = _native.VERSION

__all__ = [
    "CompressedEmbedding",
    "CorruptFileError",
    "EmcompError",
    "EmcompWarning",
    "FormatError",
    "InputError",
    "RankWarning",
    "UndefinedError",
    "UnknownWordError",
    "WordVectors",
    "__version__",
    "append",
    "codecs",
    "compress",
    "eos",
    "evaluate",
    "kmeans",
    "measures",
    "open",
    "open_source",
    "parse_codec",
    "plan",
    "read_vectors",
    "select",
    "selection",
    "show_config",
    "theory",
    "transforms",
    "verify",
    "write_vectors",
    "write_words",
]


def __dir__() -> list[str]:
    """The public names; the rooms behind them are not listed."""
    return __all__
