"""The operators ``torch.ops.emcomp.*``: on the CPU the native kernels, elsewhere torch operations.

Each takes a table as the list of its tensors, in the order of the codec's `tensor_layout`, with the
codec's string and the table's shape. They are opaque to ``torch.compile`` and ``torch.export``,
which know the shapes of what they return.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emcomp.codec import Codec, parse_codec
from emcomp.errors import InputError
from emcomp.torch.decode import decode
from emcomp.torch.readers import as_array, reader_of

TensorList = Sequence[torch.Tensor]

_BLOCK_ENTRIES = 1 << 20
"""Of the rows that are decoded at once where all rows are needed."""

_library = torch.library.Library("emcomp", "DEF")
_TABLE = "Tensor[] tensors, str codec, SymInt rows, SymInt dim"
_library.define(
    f"lookup(Tensor ids, {_TABLE}, Tensor? padding_row, int padding_idx, ScalarType dtype) -> Tensor"
)
_library.define(
    "bag(Tensor ids, Tensor? offsets, Tensor? weights, "
    f"{_TABLE}, int padding_idx, bool include_last_offset, str mode) -> Tensor"
)
_library.define(f"project(Tensor x, {_TABLE}, Tensor? padding_row, int padding_idx) -> Tensor")
_library.define(f"project_back(Tensor x, {_TABLE}, Tensor? padding_row, int padding_idx) -> Tensor")


def _checked_ids(ids: torch.Tensor) -> NDArray[np.int64]:
    """Ids as the core takes them. Raises IndexError for negative ones, as torch does."""
    array = ids.numpy() if ids.dtype == torch.int64 else ids.to(torch.int64).numpy()
    if array.size and array.min() < 0:
        raise IndexError(f"id {array.min()} is out of range: a row number is not negative")
    return np.ascontiguousarray(array)


def _named(codec: Codec, shape: tuple[int, int], tensors: TensorList) -> dict[str, torch.Tensor]:
    return dict(zip(codec.tensor_layout(shape), tensors, strict=True))


def _decode(
    codec: str, shape: tuple[int, int], tensors: TensorList, ids: torch.Tensor
) -> torch.Tensor:
    parsed = parse_codec(codec)
    return decode(parsed, shape, _named(parsed, shape, tensors), ids)


# Lookup


def _lookup_cpu(
    ids: torch.Tensor,
    tensors: TensorList,
    codec: str,
    rows: int,
    dim: int,
    padding_row: torch.Tensor | None,
    padding_idx: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    wanted = _checked_ids(ids)
    out = torch.empty((*ids.shape, dim), dtype=dtype)
    reader = reader_of(codec, (rows, dim), tensors)
    reader.gather(wanted, as_array(out), torch.get_num_threads())
    if padding_row is not None:
        padding = np.flatnonzero(wanted == padding_idx)
        if padding.size:
            out.view(-1, dim)[torch.from_numpy(padding)] = padding_row.to(dtype)
    return out


def _lookup_anywhere(
    ids: torch.Tensor,
    tensors: TensorList,
    codec: str,
    rows: int,
    dim: int,
    padding_row: torch.Tensor | None,
    padding_idx: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    found = _decode(codec, (rows, dim), tensors, ids.reshape(-1))
    if padding_row is not None:
        found = torch.where((ids.reshape(-1) == padding_idx)[:, None], padding_row, found)
    return found.to(dtype).view(*ids.shape, dim)


@torch.library.register_fake("emcomp::lookup", lib=_library)
def _(
    ids: torch.Tensor,
    tensors: TensorList,
    codec: str,  # noqa: ARG001
    rows: int,  # noqa: ARG001
    dim: int,
    padding_row: torch.Tensor | None,  # noqa: ARG001
    padding_idx: int,  # noqa: ARG001
    dtype: torch.dtype,
) -> torch.Tensor:
    return tensors[0].new_empty((*ids.shape, dim), dtype=dtype)


# Bags


def _bag_cpu(
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    weights: torch.Tensor | None,
    tensors: TensorList,
    codec: str,
    rows: int,
    dim: int,
    padding_idx: int,
    include_last_offset: bool,
    mode: str,
) -> torch.Tensor:
    wanted = _checked_ids(ids).reshape(-1)
    scale = None if weights is None else weights.to(torch.float32).contiguous().view(-1).numpy()
    if offsets is None:
        starts = np.arange(ids.shape[0], dtype=np.int64) * ids.shape[1]
    else:
        starts = np.ascontiguousarray(offsets.to(torch.int64).numpy())
        _check_offsets(starts[:1].tolist(), wanted.size, include_last_offset)
        if include_last_offset:
            end, starts = int(starts[-1]), starts[:-1]
            if end > wanted.size:
                raise IndexError(f"the last offset is {end}, beyond the {wanted.size} ids")
            wanted = wanted[:end]
            scale = None if scale is None else scale[:end]
    if padding_idx >= 0 and (kept := wanted != padding_idx).sum() < wanted.size:
        before = np.concatenate(([0], np.cumsum(kept)))
        if starts.size and starts.max() > wanted.size:
            raise IndexError(f"offset {starts.max()} is beyond the {wanted.size} ids")
        wanted, starts = wanted[kept], before[starts]
        scale = None if scale is None else scale[kept]
    out = torch.empty((starts.size, dim))
    reader = reader_of(codec, (rows, dim), tensors)
    reader.bag(wanted, starts, scale, mode, out.numpy(), torch.get_num_threads())
    return out


def _check_offsets(first: list[int], ids: int, include_last_offset: bool) -> None:
    if first and first[0] != 0:
        raise InputError(f"the first offset must be 0, not {first[0]}")
    if not first and (ids or include_last_offset):
        raise InputError("there are no offsets")


def _bag_anywhere(
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    weights: torch.Tensor | None,
    tensors: TensorList,
    codec: str,
    rows: int,
    dim: int,
    padding_idx: int,
    include_last_offset: bool,
    mode: str,
) -> torch.Tensor:
    flat = ids.reshape(-1)
    positions = torch.arange(flat.numel(), device=flat.device)
    if offsets is None:
        bags = ids.shape[0]
        bag = positions // max(ids.shape[1], 1)
        kept = torch.ones_like(flat, dtype=torch.bool)
    else:
        _check_offsets(offsets[:1].tolist(), flat.numel(), include_last_offset)
        bags = offsets.numel() - include_last_offset
        bag = torch.searchsorted(offsets[:bags].to(torch.int64), positions, right=True) - 1
        kept = positions < (offsets[-1] if include_last_offset else flat.numel())
    if padding_idx >= 0:
        kept &= flat != padding_idx
    bag, found = bag[kept], _decode(codec, (rows, dim), tensors, flat[kept])
    if weights is not None:
        found *= weights.reshape(-1)[kept].to(torch.float32)[:, None]
    out = found.new_zeros(bags, dim)
    if mode == "max":
        index = bag[:, None].expand(-1, dim)
        return out.scatter_reduce_(0, index, found, "amax", include_self=False)
    out.index_add_(0, bag, found)
    if mode == "mean":
        out /= torch.bincount(bag, minlength=bags).clamp(min=1)[:, None]
    return out


@torch.library.register_fake("emcomp::bag", lib=_library)
def _(
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    weights: torch.Tensor | None,  # noqa: ARG001
    tensors: TensorList,
    codec: str,  # noqa: ARG001
    rows: int,  # noqa: ARG001
    dim: int,
    padding_idx: int,  # noqa: ARG001
    include_last_offset: bool,
    mode: str,  # noqa: ARG001
) -> torch.Tensor:
    bags = ids.shape[0] if offsets is None else offsets.shape[0] - include_last_offset
    return tensors[0].new_empty((bags, dim), dtype=torch.float32)


# Products with the whole table, for output layers


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
            block = _decode(codec, shape, tensors, torch.arange(first, last, device=codes.device))
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


@torch.library.register_fake("emcomp::project", lib=_library)
def _(x: torch.Tensor, tensors: TensorList, codec: str, rows: int, *_: Any) -> torch.Tensor:  # noqa: ARG001
    return x.new_empty((*x.shape[:-1], rows))


@torch.library.register_fake("emcomp::project_back", lib=_library)
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
    "emcomp::project", _gradient_of_input, setup_context=_keep_table, lib=_library
)

_library.impl("lookup", _lookup_cpu, "CPU")
_library.impl("lookup", _lookup_anywhere, "CompositeExplicitAutograd")
_library.impl("bag", _bag_cpu, "CPU")
_library.impl("bag", _bag_anywhere, "CompositeExplicitAutograd")
_library.impl("project", _project, "CompositeExplicitAutograd")
_library.impl("project_back", _project_back, "CompositeExplicitAutograd")

lookup = torch.ops.emcomp.lookup.default
bag = torch.ops.emcomp.bag.default
project = torch.ops.emcomp.project.default
