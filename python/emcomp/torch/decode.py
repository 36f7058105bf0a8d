"""Decoding in plain torch operations, for devices that the native core does not read.

Numbers are those of the native core, bit for bit, for scalar, product and additive codes. After a
linear transform they agree to rounding: the products of a row and the decoder are added in the
order of the device's matrix multiplication.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, singledispatch
from typing import TypeAlias

import numpy as np
import torch

from emcomp.codecs.base import Codec
from emcomp.codecs.compositional import DeepCompositionalCodes
from emcomp.codecs.floats import Float
from emcomp.codecs.product import ProductQuantization
from emcomp.codecs.residual import ResidualQuantization
from emcomp.codecs.scalar_kmeans import KMeans
from emcomp.codecs.trellis import Trellis
from emcomp.codecs.uniform import Uniform
from emcomp.errors import InputError
from emcomp.torch.decode_trellis import decode_trellis
from emcomp.transforms.linear import LinearTransform, Transformed, split_tensors
from emcomp.transforms.optimized_product import OptimizedProductQuantization

Tensors: TypeAlias = Mapping[str, torch.Tensor]


def select_rows(tensor: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Rows of ids, array (ids, ...); ids beyond the table raise."""
    return torch.index_select(tensor, 0, ids)


def unpack(packed: torch.Tensor, count: int, bits: int) -> torch.Tensor:
    """Codes, int64 (rows, count), of packed rows, uint8 (rows, row_bytes).

    Code j is bits [j * bits, (j + 1) * bits) of a row's little-endian bit string.
    """
    first_bit = torch.arange(count, device=packed.device) * bits
    first_byte = first_bit // 8
    bytes_touched = 1 if 8 % bits == 0 else (bits + 14) // 8
    word = torch.zeros(packed.shape[0], count, dtype=torch.int64, device=packed.device)
    for index in range(bytes_touched):
        # Past the row's last byte nothing is needed, and anything may be read.
        at = (first_byte + index).clamp(max=packed.shape[1] - 1)
        word |= packed[:, at].to(torch.int64) << (8 * index)
    return (word >> first_bit % 8) & ((1 << bits) - 1)


@singledispatch
def decode(
    codec: Codec,
    shape: tuple[int, int],  # noqa: ARG001
    tensors: Tensors,  # noqa: ARG001
    ids: torch.Tensor,  # noqa: ARG001
) -> torch.Tensor:
    """Rows of ids, float32 (ids, dim), on the tensors' device.

    Args:
        codec: how the table is encoded.
        shape: of the table.
        tensors: of the table, by the codec's names for them.
        ids: int64 (ids,) or int32, in [0, rows).

    Raises:
        InputError: if tables of this codec are read by the native core only.
        IndexError: for an id out of range, on devices that check.
    """
    raise InputError(f"tables of codec {codec} can be read on the CPU only")


@decode.register
def _(codec: Uniform, shape: tuple[int, int], tensors: Tensors, ids: torch.Tensor) -> torch.Tensor:
    dim = shape[1]
    codes = unpack(select_rows(tensors["codes"], ids), dim, codec.bits)
    steps = tensors["steps"]
    steps = (select_rows(steps, ids) if codec.by_row else steps[None]).to(torch.float32)
    steps = steps.reshape(steps.shape[0], -1)
    if steps.shape[1] > 1:
        steps = steps[:, torch.arange(dim, device=ids.device) // codec.group(dim)]
    return (codes.to(torch.float32) - (2**codec.bits - 1) / 2) * steps


@decode.register
def _(codec: KMeans, shape: tuple[int, int], tensors: Tensors, ids: torch.Tensor) -> torch.Tensor:
    dim = shape[1]
    codes = unpack(select_rows(tensors["codes"], ids), dim, codec.bits)
    group = torch.arange(dim, device=ids.device) // codec.group(dim)
    return tensors["levels"][group, codes]


@decode.register(ProductQuantization)
def _decode_product(
    codec: ProductQuantization, shape: tuple[int, int], tensors: Tensors, ids: torch.Tensor
) -> torch.Tensor:
    dim = shape[1]
    codes = unpack(select_rows(tensors["codes"], ids), codec.parts, codec.bits)
    width, wider = divmod(dim, codec.parts)  # the first parts have a column more
    columns = torch.arange(dim, device=ids.device)
    in_wider = wider * (width + 1)
    part = torch.where(
        columns < in_wider, columns // (width + 1), wider + (columns - in_wider) // width
    )
    return tensors["codebook"][codes[:, part], columns]


@decode.register
def _(
    codec: OptimizedProductQuantization,
    shape: tuple[int, int],
    tensors: Tensors,
    ids: torch.Tensor,
) -> torch.Tensor:
    rotated = _decode_product(codec, shape, tensors, ids)
    return rotated @ tensors["map"].to(torch.float32)


@decode.register
def _(
    codec: ResidualQuantization,
    shape: tuple[int, int],  # noqa: ARG001
    tensors: Tensors,
    ids: torch.Tensor,
) -> torch.Tensor:
    return _add_codewords(tensors, codec.bits, ids)


@decode.register
def _(
    codec: DeepCompositionalCodes, shape: tuple[int, int], tensors: Tensors, ids: torch.Tensor
) -> torch.Tensor:
    return _add_codewords(tensors, codec.layout(shape).width, ids)


def _add_codewords(tensors: Tensors, bits: int, ids: torch.Tensor) -> torch.Tensor:
    codebooks = tensors["codebooks"]
    codes = unpack(select_rows(tensors["codes"], ids), len(codebooks), bits)
    rows = codebooks[0][codes[:, 0]]
    for stage in range(1, len(codebooks)):
        rows += codebooks[stage][codes[:, stage]]
    return rows


@decode.register
def _(
    codec: Trellis,  # noqa: ARG001
    shape: tuple[int, int],  # noqa: ARG001
    tensors: Tensors,
    ids: torch.Tensor,
) -> torch.Tensor:
    return decode_trellis(tensors, ids)


@decode.register
def _(
    codec: Float,  # noqa: ARG001
    shape: tuple[int, int],  # noqa: ARG001
    tensors: Tensors,
    ids: torch.Tensor,
) -> torch.Tensor:
    return select_rows(tensors["values"], ids).to(torch.float32)


@decode.register
def _(
    codec: Transformed, shape: tuple[int, int], tensors: Tensors, ids: torch.Tensor
) -> torch.Tensor:
    rows, dim = shape
    own, inner = split_tensors(tensors)
    size = len(own["map"]) if "map" in own else codec.transform.latent_dim(dim)
    latents = decode(codec.latents, (rows, size), inner, ids)
    decoder = _decoder(codec.transform, dim, own, ids.device)
    if decoder is None:
        return latents
    found = latents @ decoder
    if "scales" in own:
        scales = select_rows(own["scales"], ids).to(torch.float32)
        found *= (scales * own["gain"] if "gain" in own else scales)[:, None]
    if "offset" in own:
        found = found + own["offset"]
    if codec.transform.elu:
        found = torch.nn.functional.elu(found.to(torch.float64)).to(torch.float32)
    return found


def _decoder(
    transform: LinearTransform, dim: int, own: Tensors, device: torch.device
) -> torch.Tensor | None:
    """The matrix (latents, dim), float32; None where latents are what is read."""
    if "steps" in own:
        return own["map"].view(torch.int8).to(torch.float32) * own["steps"][:, None]
    if "map" in own:
        return own["map"].to(torch.float32)
    return _drawn_decoder(transform, dim, device)


@lru_cache(maxsize=16)
def _drawn_decoder(
    transform: LinearTransform, dim: int, device: torch.device
) -> torch.Tensor | None:
    """A decoder of which nothing is stored, because a seed draws it."""
    decoder = transform.drawn_decoder(dim)
    if decoder is None:
        return None
    matrix = decoder.apply(np.eye(decoder.inputs, dtype=np.float32))
    return torch.from_numpy(matrix).to(device)
