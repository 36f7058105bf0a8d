"""Native readers over the buffers of torch modules, kept as long as they stay true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.multiprocessing.reductions import StorageWeakRef

from emcomp.codecs.base import parse_codec

if TYPE_CHECKING:
    from emcomp import _core


class _Entry(NamedTuple):
    codec: str
    shape: tuple[int, int]
    state: tuple[int, ...]
    """Of each tensor its storage, address and version, which every in-place change counts up."""
    storages: tuple[StorageWeakRef, ...]
    """As long as they are here, no other storage can have the same identity."""
    reader: _core.Reader


_entries: dict[tuple[int, int], _Entry] = {}
"""By storage and address of the codes."""


def as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """The memory of a dense CPU tensor; bfloat16 as its bits."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()


class _Borrowed:
    """An array's memory without the array, which would keep it alive."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.__array_interface__ = array.__array_interface__


def _borrowed_array(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor's memory as an array that does not keep it alive; a copy where it is not dense."""
    dense = tensor.detach().contiguous()
    array = as_array(dense)
    return np.asarray(_Borrowed(array)) if dense.data_ptr() == tensor.data_ptr() else array


def reader_of(codec: str, shape: tuple[int, int], tensors: Sequence[torch.Tensor]) -> _core.Reader:
    """The reader of a table's tensors, in the order of the codec's `tensor_layout`.

    A reader copies small tensors when it is made, so one is used again only while all tensors are
    the same, unchanged, at the same place. Changes that torch does not count, made through
    ``tensor.data`` or NumPy, are not seen.
    """
    if any(tensor.is_inference() for tensor in tensors):  # their changes are not counted
        return _make_reader(codec, shape, tensors)
    state: list[int] = []
    for tensor in tensors:
        state += (tensor.untyped_storage()._cdata, tensor.data_ptr(), tensor._version)
    key = (state[0], state[1])
    entry = _entries.get(key)
    found = tuple(state)
    if entry is not None and (entry.state, entry.codec, entry.shape) == (found, codec, shape):
        return entry.reader
    for old, other in list(_entries.items()):
        if any(storage.expired() for storage in other.storages):
            _entries.pop(old, None)
    storages = tuple(StorageWeakRef(tensor.untyped_storage()) for tensor in tensors)
    reader = _make_reader(codec, shape, tensors)
    _entries[key] = _Entry(codec, shape, found, storages, reader)
    return reader


def _make_reader(
    codec: str, shape: tuple[int, int], tensors: Sequence[torch.Tensor]
) -> _core.Reader:
    parsed = parse_codec(codec)
    names = parsed.tensor_layout(shape)
    arrays = map(_borrowed_array, tensors)
    return parsed.reader(shape, dict(zip(names, arrays, strict=True)))
