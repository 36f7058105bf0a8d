"""Transforms: stages that turn rows into latents before a quantizer, and back after it.

A row comes back as ``scale * latents @ map + offset``, where scale and offset are optional.
"""

from __future__ import annotations

from emcomp.transforms.autoencoder import Autoencoder
from emcomp.transforms.direction import Direction
from emcomp.transforms.factorization import Pca, Svd
from emcomp.transforms.linear import Transformed
from emcomp.transforms.optimized_product import OptimizedProductQuantization
from emcomp.transforms.principal import Principal
from emcomp.transforms.rotation import Rotate
from emcomp.transforms.whitening import Whiten

__all__ = [
    "Autoencoder",
    "Direction",
    "OptimizedProductQuantization",
    "Pca",
    "Principal",
    "Rotate",
    "Svd",
    "Transformed",
    "Whiten",
]
