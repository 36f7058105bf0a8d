"""The operators ``torch.ops.emcomp.project`` and ``project_back``: products with a whole table.

The rows are decoded some at a time; gradients flow to the other factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from emcomp.torch.operators import TABLE, TensorList, decode_ids, library
from emcomp.torch.readers import reader_of

_BLOCK_ENTRIES = 1 << 20
"""Of the rows that are decoded at once."""

library.define(f"project(Tensor x, {TABLE}, Tensor? padding_row, int padding_idx) -> Tensor")
library.define(f"project_back(Tensor x, {TABLE}, Tensor? padding_row, int padding_idx) -> Tensor")


def _blocks(
    tensors: TensorList,
    codec: str,
    shape: tuple[int, int],
    padding_row: torch.Tensor | None,
    padding_idx: int,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """The table's rows, float32, a block at a time."""
    rows, dim = shape
    codes = tensors[0]
    count = max(1, _BLOCK_ENTRIES // dim)
    buffer = torch.empty(min(count, rows), dim) if codes.device.type == "cpu" else None
    for first in range(0, rows, count):
        last = min(first + count, rows)
        if buffer is not None:
            block = buffer[: last - first]
            reader = reader_of(codec, shape, tensors)
            reader.read(first, block.numpy(), torch.get_num_threads())
        else:
            block = decode_ids(
                codec, shape, tensors, torch.arange(first, last, device=codes.device)
            )
        if padding_row is not None and first <= padding_idx < last:
            block[padding_idx - first] = padding_row
        yield slice(first, last), block


def _project(
    x: torch.Tensor,
    tensors: TensorList,
    codec: str,
    rows: int,
    dim: int,
    padding_row: torch.Tensor | None,
    padding_idx: int,
) -> torch.Tensor:
    flat = x.reshape(-1, dim)
    out = x.new_empty((flat.shape[0], rows))
    for part, block in _blocks(tensors, codec, (rows, dim), padding_row, padding_idx):
        out[:, part] = flat @ block.to(x.dtype).T
    return out.view(*x.shape[:-1], rows)


def _project_back(
    x: torch.Tensor,
    tensors: TensorList,
    codec: str,
    rows: int,
    dim: int,
    padding_row: torch.Tensor | None,
    padding_idx: int,
) -> torch.Tensor:
    flat = x.reshape(-1, rows)
    out = x.new_zeros((flat.shape[0], dim))
    for part, block in _blocks(tensors, codec, (rows, dim), padding_row, padding_idx):
        out += flat[:, part] @ block.to(x.dtype)
    return out.view(*x.shape[:-1], dim)


@torch.library.register_fake("emcomp::project", lib=library)
def _(x: torch.Tensor, tensors: TensorList, codec: str, rows: int, *_: Any) -> torch.Tensor:  # noqa: ARG001
    return x.new_empty((*x.shape[:-1], rows))


@torch.library.register_fake("emcomp::project_back", lib=library)
def _(
    x: torch.Tensor,
    tensors: TensorList,  # noqa: ARG001
    codec: str,  # noqa: ARG001
    rows: int,  # noqa: ARG001
    dim: int,
    *_: Any,
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], dim))


def _keep_table(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG001
    _, tensors, codec, rows, dim, padding_row, padding_idx = inputs
    padding = () if padding_row is None else (padding_row,)
    ctx.save_for_backward(*tensors, *padding)
    ctx.table = codec, rows, dim, len(tensors), padding_idx


def _gradient_of_input(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    codec, rows, dim, count, padding_idx = ctx.table
    saved = ctx.saved_tensors
    padding_row = saved[count] if len(saved) > count else None
    back = torch.ops.emcomp.project_back(
        gradient, saved[:count], codec, rows, dim, padding_row, padding_idx
    )
    return back, [None] * count, None, None, None, None, None  # type: ignore[return-value]


torch.library.register_autograd(
    "emcomp::project", _gradient_of_input, setup_context=_keep_table, lib=library
)

library.impl("project", _project, "CompositeExplicitAutograd")
library.impl("project_back", _project_back, "CompositeExplicitAutograd")

project = torch.ops.emcomp.project.default
