"""What all modules on a compressed table share: its tensors as buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from emcomp.codecs.base import Codec, parse_codec
from emcomp.compression.compressing import compress
from emcomp.errors import InputError
from emcomp.tables.opening import open as open_table
from emcomp.tables.table import CompressedEmbedding
from emcomp.torch import operators
from emcomp.torch.readers import as_array

if TYPE_CHECKING:
    from typing_extensions import Self

NO_WEIGHT = (
    "a compressed table has no weight, and cannot be resized but before compressing; "
    "module.decode() gives a float copy of it. A layer tied to "
    "the weight takes an option of its own: see emcomp.torch.compress_(tied=...)"
)


def compress_weight(
    weight: torch.Tensor, codec: str | Codec, threads: int | None = None
) -> CompressedEmbedding:
    """A table of a weight (rows, dim) of any float type, on any device.

    Raises:
        InputError: if codec or weight cannot be used.
    """
    if weight.dim() != 2 or not weight.is_floating_point():
        raise InputError(
            f"an embedding weight is a floating-point matrix, not {weight.dtype} of shape "
            f"{tuple(weight.shape)}"
        )
    array = as_array(weight.detach().cpu())
    dtype = "bfloat16" if weight.dtype == torch.bfloat16 else None
    return compress(array, codec, dtype=dtype, threads=threads)


def normalized_padding(padding_idx: int | None, rows: int) -> int | None:
    """The padding row, counted from the start. Raises InputError if the table has no such row."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise InputError(f"padding_idx {padding_idx} is out of range for a table of {rows} rows")
    return padding_idx % rows


def refuse(options: Mapping[str, Any]) -> None:
    """Raise InputError for an option of torch's embeddings that changes or trains the table."""
    reasons = {
        "max_norm": "rows of a compressed table cannot be renormalized; clip them before",
        "scale_grad_by_freq": "gradients stop at a compressed table",
        "sparse": "gradients stop at a compressed table",
    }
    for name, reason in reasons.items():
        if options.get(name):
            raise InputError(f"{name}={options[name]!r} is not supported: {reason}")


class TableModule(nn.Module):
    """Buffers with a compressed table, and what moves, casts, saves and loads them.

    The tensors of the table are buffers, named as in the file with ``_`` for ``.``, beside
    ``codec_name``, the codec's string as bytes. Casts leave them as they are and change the type
    of the rows that come out. There are no parameters and no gradients: the table is fixed.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        *,
        codec: str | Codec,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.codec = parse_codec(codec)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = normalized_padding(padding_idx, num_embeddings)
        if self.codec.table_dim(embedding_dim) != embedding_dim:
            raise InputError(
                f"codec {self.codec} makes rows of {self.codec.table_dim(embedding_dim)} entries; "
                f"give that for embedding_dim, not {embedding_dim}"
            )
        self.codec.check(self.shape)
        self._codec_string = str(self.codec)
        self._names: dict[str, str] = {}
        for name, (dtype_of_tensor, shape) in self.codec.tensor_layout(self.shape).items():
            own_name = name.replace(".", "_")
            kind = getattr(torch, np.dtype(dtype_of_tensor).name)
            self.register_buffer(own_name, torch.zeros(shape, dtype=kind, device=device))
            self._names[name] = own_name
        code = list(self._codec_string.encode())
        self.register_buffer("codec_name", torch.tensor(code, dtype=torch.uint8, device=device))
        # Nothing but a type and a device, which casts and moves change.
        like = torch.empty(0, dtype=dtype or torch.get_default_dtype(), device=device)
        self.register_buffer("_like", like, persistent=False)

    @classmethod
    def from_table(
        cls, table: CompressedEmbedding | str | Path, padding_idx: int | None = None, **options: Any
    ) -> Self:
        """A module with a copy of a compressed table's tensors.

        Args:
            table: the table, or the path of its file.
            padding_idx: the row of padding, if there is one.
            options: as for the class.

        Raises:
            FormatError: if the path is no emcomp file.
        """
        if not isinstance(table, CompressedEmbedding):
            table = open_table(table)
        device = options.pop("device", None) or torch.get_default_device()
        module = cls(
            *table.shape, padding_idx=padding_idx, codec=table.codec, device="cpu", **options
        )
        for name, tensor in table.tensors.items():
            np.copyto(getattr(module, module._names[name]).numpy(), tensor)
        return module.to(device)

    @classmethod
    def _from_weight(
        cls,
        weight: torch.Tensor,
        freeze: bool,
        padding_idx: int | None,
        codec: str | Codec,
        threads: int | None,
        options: Mapping[str, Any],
    ) -> Self:
        """A module with a weight, compressed; rows come out in its type, on its device."""
        if not freeze:
            raise InputError("freeze=False: gradients stop at a compressed table")
        refuse(options)
        table = compress_weight(weight, codec, threads)
        made = {"dtype": weight.dtype, "device": weight.device, **options}
        return cls.from_table(table, padding_idx, **made)

    # What it is

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimension."""
        return self.num_embeddings, self.embedding_dim

    @property
    def dtype(self) -> torch.dtype:
        """Type of the rows that come out."""
        return self._like.dtype

    @property
    def device(self) -> torch.device:
        """Where the table is."""
        return self._like.device

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(buffer.nbytes for buffer in self.buffers())

    @property
    def padding_row(self) -> torch.Tensor | None:
        """The row of padding, where it is kept exactly."""
        return self._buffers.get("padding")

    def decode(self) -> torch.Tensor:
        """All rows as a new float matrix (num_embeddings, embedding_dim)."""
        ids = torch.arange(self.num_embeddings, device=self.device)
        return operators.lookup(ids, *self._lookup_arguments())

    def to_table(self) -> CompressedEmbedding:
        """The compressed table, with copies of the tensors: to be saved, searched, measured."""
        tensors = {
            name: getattr(self, own).detach().cpu().numpy().copy()
            for name, own in self._names.items()
        }
        return CompressedEmbedding(self.codec, self.shape, tensors)

    def extra_repr(self) -> str:
        """Shape and codec."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}, codec={self._codec_string!r}"

    def table_arguments(self) -> tuple[list[torch.Tensor], str, int, int]:
        """The table as the operators take it."""
        buffers: dict[str, Any] = self._buffers  # attributes of modules are slow to look up
        tensors = [buffers[own] for own in self._names.values()]
        return tensors, self._codec_string, self.num_embeddings, self.embedding_dim

    def _lookup_arguments(self) -> tuple[Any, ...]:
        buffers: dict[str, Any] = self._buffers
        padding = -1 if self.padding_idx is None else self.padding_idx
        return *self.table_arguments(), buffers.get("padding"), padding, buffers["_like"].dtype

    # What torch does to modules

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Refused for True: the table is fixed."""
        if requires_grad:
            raise InputError("gradients stop at a compressed table: it cannot require them")
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "weight":
            raise AttributeError(NO_WEIGHT)
        return super().__getattr__(name)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        like = self._like

        def apply(tensor: torch.Tensor) -> torch.Tensor:
            if tensor is like or not tensor.is_floating_point():
                return fn(tensor)
            as_bytes = tensor.view(torch.uint8)  # moved, but not cast
            moved = fn(as_bytes)
            return tensor if moved is as_bytes else moved.view(tensor.dtype)

        return super()._apply(apply, recurse)

    def _problem_of(self, state_dict: Mapping[str, Any], prefix: str) -> str | None:
        """What keeps a state from being loaded, beside shapes, which torch looks at."""
        for name in (*self._names.values(), "codec_name"):
            buffer = getattr(self, name)
            found = state_dict.get(prefix + name, buffer)
            if not isinstance(found, torch.Tensor):
                return f"has {type(found).__name__} for {name}, not a tensor"
            if found.dtype != buffer.dtype:
                return f"has {found.dtype} for {name}, expected {buffer.dtype}"
        codes = state_dict.get(prefix + "codec_name", self.codec_name)
        codec = _text_of(codes)
        if codec is None:
            return "has a codec_name that is not the string of a codec"
        if codec != self._codec_string:
            return f"is encoded as {codec!r:.100}; this module is built for {self._codec_string!r}"
        return None

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        problem = self._problem_of(state_dict, prefix)
        if problem is not None:
            error_msgs.append(f"{prefix.rstrip('.') or 'the table'} {problem}")
            return
        if prefix + "weight" in state_dict:
            error_msgs.append(
                f"{prefix}weight is a float matrix; load it into the float model and compress that"
            )
            return
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )


def _text_of(codes: torch.Tensor) -> str | None:
    """The string that a tensor of bytes holds; None if it holds none."""
    try:
        return bytes(codes.tolist()).decode() if codes.dim() == 1 else None
    except ValueError:
        return None


def check_ids(ids: torch.Tensor) -> None:
    """Raise InputError unless ids are of a type that torch's embeddings take."""
    if ids.dtype not in (torch.int64, torch.int32):
        raise InputError(f"ids must be int64 or int32, not {ids.dtype}")
