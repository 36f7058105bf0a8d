"""Uniform quantization and bit packing written plainly in NumPy: what the core must agree with."""

from __future__ import annotations

import importlib

import numpy as np

from emcomp import _isa

DIMS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 255, 256, 257, 300, 384, 768)
WIDTHS = range(1, 9)


def cores():
    """The compiled core at every instruction-set level that this machine runs."""
    return {
        level: importlib.import_module(f"emcomp._core_{level}") for level in _isa.available_levels()
    }


def as_float32(X):
    """A matrix of any accepted type as float32; uint16 holds bfloat16 bits."""
    if X.dtype == np.uint16:
        return (X.astype(np.uint32) << 16).view(np.float32)
    return X.astype(np.float32)


def uniform_codes(x, step, bits, random=None):
    """Codes of float32 entries, with steps that broadcast against them."""
    half = np.float32((2**bits - 1) / 2)
    step = np.broadcast_to(np.float32(step), x.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        position = np.minimum(np.maximum(x / step, -half), half) + half
    if random is None:
        codes = np.rint(position)
    else:
        below = np.floor(position)
        codes = below + (random < position - below)
    return np.where(step == 0, 2 ** (bits - 1), codes).astype(np.uint8)


def uniform_values(codes, step, bits):
    """The values of codes."""
    half = np.float32((2**bits - 1) / 2)
    return (codes.astype(np.float32) - half) * np.float32(step)


def pack(codes, bits):
    """Packed rows, bit by bit: bit j of the row is bit j % 8 of byte j // 8."""
    rows, dim = codes.shape
    bit_strings = (codes[:, :, None] >> np.arange(bits)) & 1
    flat = bit_strings.reshape(rows, dim * bits)
    padding = -flat.shape[1] % 8
    flat = np.pad(flat, ((0, 0), (0, padding))).reshape(rows, -1, 8)
    return (flat << np.arange(8)).sum(axis=2).astype(np.uint8)


def unpack(packed, dim, bits):
    """The reverse of `pack`."""
    every = np.unpackbits(packed, axis=1, count=dim * bits, bitorder="little")
    weights = 2 ** np.arange(bits)
    return (every.reshape(len(packed), dim, bits) @ weights).astype(np.uint8)


def squared_error(x, step, bits):
    """Squared error, in float64, of quantizing a vector."""
    half = (2**bits - 1) / 2
    levels = np.rint(np.clip(x / step, -half, half) + half) - half
    return float(((levels * step - x) ** 2).sum())


def best_error(x, bits, points=500):
    """The least squared error over a dense scan of ranges, refined once."""
    magnitudes = np.abs(x)
    top = magnitudes.max()
    ranges = np.append(np.geomspace(magnitudes.mean() * 0.9, top, points), top)
    scale = 2 / (2**bits - 1)
    errors = [squared_error(x, r * scale, bits) for r in ranges]
    around = ranges[int(np.argmin(errors))]
    fine = np.linspace(around * 0.995, min(around * 1.005, top), 200)
    return min(*errors, *(squared_error(x, r * scale, bits) for r in fine))


def philox(counter, key):
    """Philox 4x32-10, one block at a time in Python integers."""
    c, k, mask = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (second >> 32) ^ c[1] ^ k[0],
            second & mask,
            (first >> 32) ^ c[3] ^ k[1],
            first & mask,
        ]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def unit_random(seed, rows, dim):
    """The random numbers of stochastic rounding for rows 0 to rows - 1."""
    key = (seed & 0xFFFFFFFF, seed >> 32)
    groups = -(-dim // 4)
    numbers = [
        [n for g in range(groups) for n in philox((row & 0xFFFFFFFF, row >> 32, g, 0), key)]
        for row in range(rows)
    ]
    return ((np.array(numbers, np.uint64)[:, :dim] >> 8) * 2.0**-24).astype(np.float32)
