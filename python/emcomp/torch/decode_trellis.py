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


def decode_trellis(tensors: Mapping[str, torch.Tensor], packed: torch.Tensor) -> torch.Tensor:
    """Rows (count, dim), float32, of packed ones, uint8 (count, row_bytes).

    Args:
        tensors: what all rows share.
        packed: gains and codes.
    """
    widths = tensors["widths"].to(torch.int64)
    low, step, scale_low = tensors["grid"].unbind()
    codes = torch.arange(_GAINS, device=packed.device)
    gains = torch.nn.functional.pad(_power_of_two(low + step * codes), (1, 0))

    half = tensors["tables"].shape[1]
    windows = _windows(packed[:, 1:], widths, 2 * half)
    narrow = tensors["tables"].view(torch.int8).to(torch.float32)
    stored = torch.cat([narrow, tensors["wide_tables"].to(torch.float32)])
    tables = torch.cat([stored, -stored.flip(1)], dim=1)
    table = widths.clamp(min=1) - 1
    steps = torch.ones(len(stored), device=packed.device)
    steps[: len(narrow)] = tensors["steps"]

    scale_codes = tensors["scales"].to(torch.int64)
    scales = _power_of_two(_STEPS_OF_SCALE * (scale_low + scale_codes))
    factors = torch.where(scale_codes > 0, steps[table] * scales, 0.0)
    rows = tables[table, windows] * (factors * gains[packed[:, 0].to(torch.int64)][:, None])
    return rows + tensors["offset"] if "offset" in tensors else rows


def _windows(codes: torch.Tensor, widths: torch.Tensor, states: int) -> torch.Tensor:
    """Places in the tables, int64 (count, dim), from the circular string of bits of each row."""
    first = widths.cumsum(0) - widths
    word = torch.zeros(len(codes), len(widths), dtype=torch.int64, device=codes.device)
    for byte in range(_BYTES_OF_WINDOW):
        at = (first // 8 + byte) % codes.shape[1]
        word |= codes[:, at].to(torch.int64) << (8 * byte)
    columns = torch.arange(len(widths), device=codes.device)
    flips = torch.where(widths == 0, 1 + columns * 613 % (states - 1), 0)
    return ((word >> first % 8) & (states - 1)) ^ flips
