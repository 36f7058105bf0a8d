"""``torch.nn.Embedding`` on a compressed table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from emcomp.codecs.base import Codec
from emcomp.tables.table import CompressedEmbedding
from emcomp.torch import operators
from emcomp.torch.table_module import TableModule, check_ids, refuse

if TYPE_CHECKING:
    from typing_extensions import Self


class Embedding(TableModule):
    """A lookup of rows, as `torch.nn.Embedding`, in a compressed table.

    Arguments are those of `torch.nn.Embedding`, and the codec. A module made by its class is empty,
    ready for ``load_state_dict``; `from_pretrained`, `from_module` and `from_table` fill one.

    Args:
        num_embeddings: rows.
        embedding_dim: entries of a row.
        padding_idx: a row that is kept exactly, as float32, beside the codes: padding that was
            zeros stays zeros.
        max_norm: refused.
        norm_type: has no meaning without ``max_norm``.
        scale_grad_by_freq: refused.
        sparse: refused.
        codec: how the table is encoded.
        device: of the buffers.
        dtype: of the rows that come out.

    Raises:
        InputError: for a codec that does not suit the shape, and for options that train the table.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,  # noqa: ARG002
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        codec: str | Codec = "uniform:4",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        refuse({"max_norm": max_norm, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse})
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, codec=codec, device=device, dtype=dtype
        )
        if self.padding_idx is not None:
            self.register_buffer("padding", torch.zeros(embedding_dim, device=device))

    @classmethod
    def from_pretrained(
        cls,
        embeddings: torch.Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        *,
        codec: str | Codec = "uniform:4",
        threads: int | None = None,
        **options: Any,
    ) -> Self:
        """Compress a weight (rows, dim) of any float type.

        Rows come out in the weight's type, on its device.

        Raises:
            InputError: for ``freeze=False``, and as the class.
        """
        module = cls._from_weight(embeddings, freeze, padding_idx, codec, threads, options)
        if module.padding_row is not None and module.embedding_dim == embeddings.shape[1]:
            module.padding_row.copy_(embeddings.detach()[module.padding_idx])
        return module

    @classmethod
    def from_module(
        cls,
        module: nn.Embedding,
        *,
        codec: str | Codec = "uniform:4",
        threads: int | None = None,
    ) -> Self:
        """Compress a `torch.nn.Embedding`.

        Raises:
            InputError: as the class, for the module's options.
        """
        made = cls.from_pretrained(
            module.weight,
            padding_idx=module.padding_idx,
            max_norm=module.max_norm,
            norm_type=module.norm_type,
            scale_grad_by_freq=module.scale_grad_by_freq,
            sparse=module.sparse,
            codec=codec,
            threads=threads,
        )
        return made.train(module.training)

    @classmethod
    def from_table(
        cls, table: CompressedEmbedding | str | Path, padding_idx: int | None = None, **options: Any
    ) -> Self:
        """A module with a copy of a compressed table's tensors.

        Args:
            table: the table, or the path of its file.
            padding_idx: the row of padding, if there is one; it is kept as it decodes.
            options: as for the class.

        Raises:
            FormatError: if the path is no emcomp file.
        """
        module = super().from_table(table, padding_idx, **options)
        if module.padding_row is not None:
            *arguments, _, _, _ = module._lookup_arguments()
            ids = torch.tensor([module.padding_idx], device=module.device)
            row = operators.lookup(ids, *arguments, None, -1, torch.float32)
            module.padding_row.copy_(row[0])
        return module

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Rows of ids, int64 or int32 of any shape, as an array (*input.shape, embedding_dim).

        Raises:
            IndexError: for an id out of range.
            InputError: for ids of another type.
        """
        check_ids(input)
        return operators.lookup(input, *self._lookup_arguments())
