"""``torch.nn.EmbeddingBag`` on a compressed table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from emcomp.codecs.base import Codec
from emcomp.errors import InputError
from emcomp.torch import operators
from emcomp.torch.table_module import TableModule, check_ids, refuse

if TYPE_CHECKING:
    from typing_extensions import Self


class EmbeddingBag(TableModule):
    """Sums, means or maxima of bags of rows, as `torch.nn.EmbeddingBag`, in a compressed table.

    Arguments are those of `torch.nn.EmbeddingBag`, and the codec. Rows of ``padding_idx`` are left
    out of the bags; an empty bag is zeros.

    Args:
        num_embeddings: rows.
        embedding_dim: entries of a row.
        max_norm: refused.
        norm_type: has no meaning without ``max_norm``.
        scale_grad_by_freq: refused.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        sparse: refused.
        include_last_offset: whether offsets end with the number of ids.
        padding_idx: the row to leave out.
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
        max_norm: float | None = None,
        norm_type: float = 2.0,  # noqa: ARG002
        scale_grad_by_freq: bool = False,
        mode: Literal["sum", "mean", "max"] = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        codec: str | Codec = "uniform:4",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        refuse({"max_norm": max_norm, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse})
        if mode not in ("sum", "mean", "max"):
            raise InputError(f"mode must be 'sum', 'mean' or 'max', not {mode!r}")
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, codec=codec, device=device, dtype=dtype
        )
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: torch.Tensor,
        freeze: bool = True,
        *,
        padding_idx: int | None = None,
        codec: str | Codec = "uniform:4",
        threads: int | None = None,
        **options: Any,
    ) -> Self:
        """Compress a weight (rows, dim) of any float type; options as for the class.

        Rows come out in the weight's type, on its device.

        Raises:
            InputError: for ``freeze=False``, and as the class.
        """
        return cls._from_weight(embeddings, freeze, padding_idx, codec, threads, options)

    @classmethod
    def from_module(
        cls,
        module: nn.EmbeddingBag,
        *,
        codec: str | Codec = "uniform:4",
        threads: int | None = None,
    ) -> Self:
        """Compress a `torch.nn.EmbeddingBag`.

        Raises:
            InputError: as the class, for the module's options.
        """
        made = cls.from_pretrained(
            module.weight,
            padding_idx=module.padding_idx,
            max_norm=module.max_norm,
            norm_type=module.norm_type,
            scale_grad_by_freq=module.scale_grad_by_freq,
            mode=module.mode,
            sparse=module.sparse,
            include_last_offset=module.include_last_offset,
            codec=codec,
            threads=threads,
        )
        return made.train(module.training)

    def extra_repr(self) -> str:
        """Shape, codec and mode."""
        return f"{super().extra_repr()}, mode={self.mode!r}"

    def forward(
        self,
        input: torch.Tensor,  # noqa: A002
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """An array (bags, embedding_dim).

        Args:
            input: ids, int64 or int32: one-dimensional with ``offsets``, or (bags, ids of a bag).
            offsets: where each bag starts in ``input``; ascending, the first one 0.
            per_sample_weights: one for each id, for ``mode="sum"``; no gradients flow to them.

        Raises:
            IndexError: for an id out of range, and for offsets that do not ascend.
            InputError: for arguments that do not fit together, or weights that require gradients.
        """
        check_ids(input)
        if input.dim() not in (1, 2):
            raise InputError(f"ids must have 1 or 2 dimensions, not {input.dim()}")
        if (offsets is None) != (input.dim() == 2):
            raise InputError("ids of 1 dimension need offsets, ids of 2 dimensions have none")
        if offsets is not None and (offsets.dim() != 1 or offsets.is_floating_point()):
            raise InputError("offsets must be integers of 1 dimension")
        if per_sample_weights is not None:
            self._check_weights(input, per_sample_weights)
        padding = -1 if self.padding_idx is None else self.padding_idx
        found = operators.bag(
            input,
            offsets,
            per_sample_weights,
            *self.table_arguments(),
            padding,
            self.include_last_offset and offsets is not None,
            self.mode,
        )
        return found.to(self.dtype)

    def _check_weights(self, ids: torch.Tensor, weights: torch.Tensor) -> None:
        if self.mode != "sum":
            raise InputError(f"per_sample_weights need mode='sum', not {self.mode!r}")
        if weights.shape != ids.shape:
            raise InputError(
                f"per_sample_weights of shape {tuple(weights.shape)} do not fit ids of shape "
                f"{tuple(ids.shape)}"
            )
        if weights.requires_grad and torch.is_grad_enabled():
            raise InputError(
                "per_sample_weights require gradients, which compressed bags do not give; "
                "detach them"
            )
