"""The operators ``torch.ops.emcomp.lookup`` and ``torch.ops.emcomp.bag``.

On the CPU they are the native kernels, elsewhere torch operations. Each takes a table as the list of
its tensors, in the order of the codec's `tensor_layout`, with the codec's string and the table's
shape. They are opaque to ``torch.compile`` and ``torch.export``, which know the shapes of what they
return.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from emcomp.codecs.base import parse_codec
from emcomp.errors import InputError
from emcomp.torch.decode import decode
from emcomp.torch.readers import as_array, reader_of

TensorList = Sequence[torch.Tensor]

library = torch.library.Library("emcomp", "DEF")
TABLE = "Tensor[] tensors, str codec, SymInt rows, SymInt dim"
library.define(
    f"lookup(Tensor ids, {TABLE}, Tensor? padding_row, int padding_idx, ScalarType dtype) -> Tensor"
)
library.define(
    "bag(Tensor ids, Tensor? offsets, Tensor? weights, "
    f"{TABLE}, int padding_idx, bool include_last_offset, str mode) -> Tensor"
)


def _checked_ids(ids: torch.Tensor) -> NDArray[np.int64]:
    """Ids as the core takes them. Raises IndexError for negative ones, as torch does."""
    array = ids.numpy() if ids.dtype == torch.int64 else ids.to(torch.int64).numpy()
    if array.size and array.min() < 0:
        raise IndexError(f"id {array.min()} is out of range: a row number is not negative")
    return np.ascontiguousarray(array)


def decode_ids(
    codec: str, shape: tuple[int, int], tensors: TensorList, ids: torch.Tensor
) -> torch.Tensor:
    """Rows of ids, float32 (ids, dim), by torch operations on any device."""
    parsed = parse_codec(codec)
    names = parsed.tensor_layout(shape)
    return decode(parsed, shape, dict(zip(names, tensors, strict=True)), ids)


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
    found = decode_ids(codec, (rows, dim), tensors, ids.reshape(-1))
    if padding_row is not None:
        found = torch.where((ids.reshape(-1) == padding_idx)[:, None], padding_row, found)
    return found.to(dtype).view(*ids.shape, dim)


@torch.library.register_fake("emcomp::lookup", lib=library)
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
    bag, found = bag[kept], decode_ids(codec, (rows, dim), tensors, flat[kept])
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


@torch.library.register_fake("emcomp::bag", lib=library)
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


library.impl("lookup", _lookup_cpu, "CPU")
library.impl("lookup", _lookup_anywhere, "CompositeExplicitAutograd")
library.impl("bag", _bag_cpu, "CPU")
library.impl("bag", _bag_anywhere, "CompositeExplicitAutograd")

lookup = torch.ops.emcomp.lookup.default
bag = torch.ops.emcomp.bag.default
