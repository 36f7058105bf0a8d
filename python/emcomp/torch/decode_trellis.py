"""Decoding trellis codes in plain torch operations, the same bits as the native core's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch

_STEPS = 64
"""Steps of an octave."""
_STEPS_OF_SCALE = 4
_GAINS = 255
_BYTES_OF_WINDOW = 3
_ROWS = 112
"""Of a record of places."""
_PLACE_BYTES = 8


@lru_cache(maxsize=16)
def _fractions(device: torch.device) -> torch.Tensor:
    """2^(i / 64) for i in [0, 64), rounded to float32 and kept as float64."""
    found = torch.tensor([2.0 ** (i / _STEPS) for i in range(_STEPS)], dtype=torch.float32)
    return found.to(torch.float64).to(device)


def _power_of_two(steps: torch.Tensor) -> torch.Tensor:
    """2^(steps / 64) as float32, from int64."""
    octaves = torch.div(steps, _STEPS, rounding_mode="floor").clamp(-1000, 1000)
    factors = ((octaves + 1023) << 52).view(torch.float64)
    return (_fractions(steps.device)[steps % _STEPS] * factors).to(torch.float32)


def decode_trellis(tensors: Mapping[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """Rows of ids, float32 (ids, dim).

    Args:
        tensors: of the table.
        ids: int64 (ids,) or int32, in [0, rows).
    """
    widths = tensors["widths"].to(torch.int64)
    row_bytes = -(-widths.sum(dim=1) // 8)
    if "places" in tensors:
        first, classes = _places(tensors["places"], ids, row_bytes + (row_bytes > 0))
        codes = torch.nn.functional.pad(tensors["codes"], (0, 1))  # for rows without bytes
    else:
        classes = torch.zeros_like(ids, dtype=torch.int64)
        codes = torch.index_select(tensors["codes"], 0, ids).reshape(-1)
        first = torch.arange(len(ids), device=ids.device) * tensors["codes"].shape[1]
    low, step, scale_low = tensors["grid"].unbind()
    steps_of_gains = torch.arange(_GAINS, device=ids.device)
    gains = torch.nn.functional.pad(_power_of_two(low + step * steps_of_gains), (1, 0))
    gain = torch.where(row_bytes[classes] > 0, gains[codes[first].to(torch.int64)], 0.0)

    half = tensors["tables"].shape[1]
    windows = _windows(codes, first + 1, widths, row_bytes, classes, 2 * half)
    narrow = tensors["tables"].view(torch.int8).to(torch.float32)
    stored = torch.cat([narrow, tensors["wide_tables"].to(torch.float32)])
    tables = torch.cat([stored, -stored.flip(1)], dim=1)
    table = widths.clamp(min=1) - 1
    steps = torch.ones(len(stored), device=ids.device)
    steps[: len(narrow)] = tensors["steps"]

    scale_codes = tensors["scales"].to(torch.int64)
    scales = _power_of_two(_STEPS_OF_SCALE * (scale_low + scale_codes))
    factors = torch.where(scale_codes > 0, steps[table] * scales, 0.0)
    rows = tables[table[classes], windows] * (factors[classes] * gain[:, None])
    return rows + tensors["offset"] if "offset" in tensors else rows


def _places(
    places: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where rows begin in the codes, and their classes."""
    records = torch.index_select(places, 0, torch.div(ids, _ROWS, rounding_mode="floor"))
    powers = 8 * torch.arange(_PLACE_BYTES, device=ids.device)
    first = (records[:, :_PLACE_BYTES].to(torch.int64) << powers).sum(dim=1)
    pairs = records[:, _PLACE_BYTES:].to(torch.int64)
    classes = torch.stack([pairs & 15, pairs >> 4], dim=-1).reshape(len(ids), -1)
    row = (ids.to(torch.int64) % _ROWS)[:, None]
    padded = torch.nn.functional.pad(lengths, (0, 16 - len(lengths)))
    before = torch.arange(_ROWS, device=ids.device) < row
    first += torch.where(before, padded[classes], 0).sum(dim=1)
    return first, classes.gather(1, row)[:, 0]


def _windows(
    codes: torch.Tensor,
    begin: torch.Tensor,
    widths: torch.Tensor,
    row_bytes: torch.Tensor,
    classes: torch.Tensor,
    states: int,
) -> torch.Tensor:
    """Places in the tables, int64 (ids, dim), from the circular string of bits of each row."""
    first = widths.cumsum(1) - widths
    length = row_bytes.clamp(min=1)[:, None]
    word = torch.zeros(len(classes), widths.shape[1], dtype=torch.int64, device=codes.device)
    for byte in range(_BYTES_OF_WINDOW):
        at = begin[:, None] + ((first // 8 + byte) % length)[classes]
        word |= codes[at.clamp(max=len(codes) - 1)].to(torch.int64) << (8 * byte)
    columns = torch.arange(widths.shape[1], device=codes.device)
    flips = torch.where(widths == 0, 1 + columns * 613 % (states - 1), 0)
    return ((word >> (first % 8)[classes]) & (states - 1)) ^ flips[classes]
