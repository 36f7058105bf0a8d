"""Compressed tables in torch: modules in the place of ``torch.nn.Embedding`` and others.

Needs the extra ``emcomp[torch]``.
"""

from __future__ import annotations

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "emcomp.torch needs torch: pip install 'emcomp[torch]'", name=error.name
    ) from error

from emcomp.torch.embedding import Embedding
from emcomp.torch.embedding_bag import EmbeddingBag
from emcomp.torch.output_layer import OutputLayer
from emcomp.torch.replacement import compress_
from emcomp.torch.replacement_report import CompressionReport, Replacement

__all__ = [
    "CompressionReport",
    "Embedding",
    "EmbeddingBag",
    "OutputLayer",
    "Replacement",
    "compress_",
]
