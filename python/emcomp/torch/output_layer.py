"""Output layers that share a compressed table with an embedding."""

from __future__ import annotations

import torch
from torch import nn

from emcomp.torch.embedding import Embedding
from emcomp.torch.products import project
from emcomp.torch.table_module import NO_WEIGHT


class OutputLayer(nn.Module):
    """``x @ table.T + bias``, computed from the packed codes, some rows of the table at a time.

    What `torch.nn.Linear` is with an embedding's weight: gradients flow to ``x`` and the bias. The
    table belongs to the embedding: it is in the state of that module alone, and moves with it.

    Args:
        embedding: the table.
        bias: of the outputs, if there is one.
    """

    def __init__(self, embedding: Embedding, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self._shared = (embedding,)  # in a tuple it is not a part of this module
        self.register_parameter("bias", bias)

    @property
    def embedding(self) -> Embedding:
        """The module that has the table."""
        return self._shared[0]

    @property
    def in_features(self) -> int:
        """Entries of an input."""
        return self.embedding.embedding_dim

    @property
    def out_features(self) -> int:
        """Rows of the table."""
        return self.embedding.num_embeddings

    def __getattr__(self, name: str) -> torch.Tensor | nn.Module:
        if name == "weight":
            raise AttributeError(NO_WEIGHT)
        return super().__getattr__(name)

    def extra_repr(self) -> str:
        """Sizes, and whose table it is."""
        return f"{self.in_features}, {self.out_features}, codec={str(self.embedding.codec)!r}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (..., rows) of inputs (..., dim), in the inputs' type."""
        *table, _ = self.embedding._lookup_arguments()
        found = project(x, *table)
        return found if self.bias is None else found + self.bias
