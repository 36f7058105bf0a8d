"""Codecs that quantize rows as they are: settings as frozen dataclasses.

A codec fits to a source (`Codec.fit`), and the `FittedCodec` encodes blocks of rows. Each has a
string, such as ``uniform:4``, which `emcomp.parse_codec` reads. `emcomp.transforms` has those that
turn the rows first.
"""

from __future__ import annotations

from emcomp.codecs.allocation import Allocate
from emcomp.codecs.base import Codec, FittedCodec
from emcomp.codecs.compositional import DeepCompositionalCodes
from emcomp.codecs.floats import Float
from emcomp.codecs.product import ProductQuantization
from emcomp.codecs.residual import ResidualQuantization
from emcomp.codecs.scalar_kmeans import KMeans
from emcomp.codecs.trellis import Trellis
from emcomp.codecs.uniform import Uniform

__all__ = [
    "Allocate",
    "Codec",
    "DeepCompositionalCodes",
    "FittedCodec",
    "Float",
    "KMeans",
    "ProductQuantization",
    "ResidualQuantization",
    "Trellis",
    "Uniform",
]
