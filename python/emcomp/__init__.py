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
from emcomp.floats import Float
from emcomp.product import ProductQuantization
from emcomp.residual import ResidualQuantization
from emcomp.scalar_kmeans import KMeans
from emcomp.table import CompressedEmbedding, open  # noqa: A004
from emcomp.transforms import Direction, Pca, Rotate, Svd, Transformed, Whiten
from emcomp.uniform import Uniform
from emcomp.vector_kmeans import kmeans
from emcomp.vector_writers import write_vectors
from emcomp.vectors import WordVectors, read_vectors

__version__ = _native.VERSION

__all__ = [
    "Codec",
    "CompressedEmbedding",
    "CorruptFileError",
    "DeepCompositionalCodes",
    "Direction",
    "EmcompError",
    "Float",
    "FormatError",
    "InputError",
    "KMeans",
    "Pca",
    "ProductQuantization",
    "ResidualQuantization",
    "Rotate",
    "Svd",
    "Transformed",
    "Uniform",
    "UnknownWordError",
    "Whiten",
    "WordVectors",
    "__version__",
    "compress",
    "config",
    "kmeans",
    "open",
    "parse_codec",
    "read_vectors",
    "show_config",
    "write_vectors",
]
