"""What docs/format.md says of a file, written plainly: whether a reader takes it.

Slow, and nothing of emcomp is used: the core must come to the same verdict.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xxhash

BEGIN = rb'{"__metadata__":{"emcomp":"{\"format\":'
NUMPY = {"U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I64": "<i8", "F16": "<f2",
         "BF16": "<u2", "F32": "<f4", "F64": "<f8"}  # fmt: skip


class NotATableError(Exception):
    """No emcomp file, one of another format, or one whose parts make no table."""


class DamagedError(Exception):
    """An emcomp file that does not follow the format."""


class Tensor(NamedTuple):
    dtype: str
    shape: list[int]
    array: Any


def verdict(data: bytes) -> str:
    """``"read"``, or ``"not a table"`` or ``"damaged"``."""
    try:
        description, tensors = container(data)
        table(description, tensors)
    except NotATableError:
        return "not a table"
    except DamagedError:
        return "damaged"
    return "read"


def need(good: object, error: type[Exception] = DamagedError) -> None:
    if not good:
        raise error


# ---- The layout


def parsed(text: bytes) -> Any:
    """JSON within the limits."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs) <= 10_000)
        return dict(pairs)

    def number(digits: str) -> float:
        need(len(digits) <= 100 and math.isfinite(float(digits)))
        whole = re.fullmatch("[0-9]+|-[1-9][0-9]*", digits)
        return int(digits) if whole else float(digits)

    depth = deepest = 0
    for character in re.sub(rb'"(\\.|[^"\\])*"', b"", text):
        depth += (character in b"[{") - (character in b"]}")
        deepest = max(depth, deepest)
    need(text.isascii() and deepest <= 32)
    try:
        return json.loads(
            text, object_pairs_hook=unique, parse_int=number, parse_float=number,
            parse_constant=lambda _: need(False),
        )  # fmt: skip
    except ValueError as error:
        raise DamagedError from error


def are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(s) is int and 0 <= s < 2**63 for s in value)


def container(data: bytes) -> tuple[Any, dict[str, Tensor]]:
    need(data[8:].startswith(BEGIN), NotATableError)
    begin = 8 + int.from_bytes(data[:8], "little")
    need(8 + len(BEGIN) <= begin <= min(len(data), 8 + 2**24))
    header = data[:begin]
    seal = re.compile(rb'([0-9]{1,9}),\\"header_checksum\\":\\"([0-9a-f]{16})').match(
        header, 8 + len(BEGIN)
    )
    need(seal)
    assert seal
    blank = header[: seal.start(2)] + b"0" * 16 + header[seal.end(2) :]
    need(xxhash.xxh64(blank).hexdigest().encode() == seal[2])
    need(int(seal[1]) == 1, NotATableError)
    entries = parsed(header[8:])
    metadata = entries.pop("__metadata__")
    need(isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()))
    text = metadata["emcomp"].encode("utf-8", "surrogatepass")
    about = parsed(text)
    need(isinstance(about, dict))
    checksums, description = about.get("tensor_checksums"), about.get("table")
    need(isinstance(description, dict) and isinstance(checksums, dict))
    need(len(json.dumps(description, separators=(",", ":"))) <= 1 << 20)
    places = []
    for name, entry in entries.items():
        need(re.fullmatch("[a-z][a-z0-9_.]*", name))
        need(isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"})
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        need(isinstance(dtype, str) and dtype in NUMPY and are_sizes(shape) and are_sizes(offsets))
        need(len(shape) <= 64 and len(offsets) == 2)
        size = np.dtype(NUMPY[dtype]).itemsize
        need(math.prod(max(s, 1) for s in shape) * size < 2**63)
        need(math.prod(shape) * size == offsets[1] - offsets[0])
        places.append((offsets, name, dtype, shape))
    end = begin
    tensors = {}
    for offsets, name, dtype, shape in sorted(places):
        need(begin + offsets[0] == end)
        end = begin + offsets[1]
        bytes_ = data[begin + offsets[0] : end]
        need(end <= len(data))
        if name.startswith("padding."):
            need(dtype == "U8" and len(bytes_) < 64 and not any(bytes_) and name not in checksums)
            continue
        need((begin + offsets[0]) % 64 == 0)
        if len(bytes_) <= 64 << 10:
            need(checksums.get(name) == xxhash.xxh64(bytes_).hexdigest())
        array = np.frombuffer(bytes_, NUMPY[dtype]).reshape(shape)
        tensors[name] = Tensor(dtype, shape, array)
    need(end == len(data) and checksums.keys() == tensors.keys())
    return description, tensors


# ---- The table


def table(description: Any, tensors: dict[str, Tensor]) -> None:
    shape = description.get("shape")
    good = isinstance(description.get("codec"), str) and isinstance(description.get("info"), dict)
    need(good and are_sizes(shape) and len(shape) == 2, NotATableError)
    rows, dim = shape
    words = {name: t for name, t in tensors.items() if name.startswith("vocabulary.")}
    if words:
        types = {"vocabulary.bytes": "U8", "vocabulary.offsets": "U64", "vocabulary.index": "U32"}
        need({name: tensor.dtype for name, tensor in words.items()} == types)
        need(all(len(tensor.shape) == 1 for tensor in words.values()))
        count = words["vocabulary.offsets"].shape[0] - 1
        slots = 1
        while slots < count / 0.6:
            slots *= 2
        need(count >= 0 and words["vocabulary.index"].shape[0] == slots)
        need(count == rows, NotATableError)
    need(rows >= 1 and 1 <= dim <= 2**26, NotATableError)
    used: set[str] = set()
    decoded(stages_of(description["codec"]), rows, dim, "transform.", tensors, used)
    need(used == tensors.keys() - words.keys(), NotATableError)


class Stage(NamedTuple):
    name: str
    sizes: list[str]
    options: Mapping[str, str]

    def whole(self, count: int) -> list[int]:
        good = len(self.sizes) == count and all(re.fullmatch("[0-9]{1,18}", s) for s in self.sizes)
        need(good, NotATableError)
        return [int(size) for size in self.sizes]

    def choice(self, key: str, *values: str) -> str:
        value = self.options.get(key, values[0])
        need(value in values, NotATableError)
        return value


def stages_of(text: str) -> list[Stage]:
    option = r"(?:[a-z_]+=)?[!-'*-~]+"
    stage = re.compile(rf"([a-z_]+)(?::([0-9.]+(?:x[0-9.]+)*))?(?:\(({option})\))?", re.ASCII)
    parts = re.split(r"\+(?![^()]*\))", text) if len(text) <= 4096 else []
    need(1 <= len(parts) <= 16, NotATableError)
    stages = []
    for part in parts:
        match = stage.fullmatch(part)
        need(match, NotATableError)
        assert match
        options: dict[str, str] = {}
        for number, each in enumerate(match[3].split(",") if match[3] else []):
            key, equals, value = each.partition("=")
            key, value = (key, value) if equals else ("", each)
            named = re.fullmatch("[a-z_]+", key) if equals else number == 0
            need(named and value and key not in options, NotATableError)
            options[key] = value
        sizes = match[2].split("x") if match[2] else []
        need(all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", size) for size in sizes), NotATableError)
        stages.append(Stage(match[1], sizes, options))
    return stages


def decoded(
    stages: list[Stage], rows: int, dim: int, prefix: str, tensors: dict[str, Tensor],
    used: set[str],
) -> None:  # fmt: skip
    """Check what rows of ``dim`` entries are made of."""
    stage, *rest = stages or [Stage("float", ["32"], {})]

    def has(name: str, dtypes: str, *shape: int, shared: bool = False) -> Any:
        tensor = tensors.get(name)
        need(tensor and tensor.dtype in dtypes.split() and tensor.shape == [*shape], NotATableError)
        assert tensor
        need(not shared or np.isfinite(tensor.array).all(), NotATableError)
        used.add(name)
        return tensor.array

    def bits_of(text: str, most: int) -> int:
        need(1 <= int(text) <= most, NotATableError)
        return int(text)

    def scalar_codes(name: str, columns: int, bits: int) -> None:
        has(name, "U8", rows, -(-columns * bits // 8))

    transforms = {"svd": 1, "direction": 1, "autoencoder": 1, "pca": 1, "whiten": 0}
    transforms |= {"principal": 0, "rotate": 0}
    if stage.name in transforms:
        count = transforms[stage.name]
        latents = stage.whole(count)[0] if count else (stage.whole(0), dim)[1]
        need(prefix + "map" in tensors or stage.name in ("pca", "rotate"), NotATableError)
        in_bytes = stage.name not in ("pca", "rotate") and tensors[prefix + "map"].dtype == "U8"
        if in_bytes and stage.name in ("whiten", "principal") and tensors[prefix + "map"].shape:
            latents = tensors[prefix + "map"].shape[0]
        need(1 <= latents <= dim and (stage.name != "pca" or latents == dim), NotATableError)
        if in_bytes:
            steps = has(prefix + "steps", "F32", latents, shared=True)
            entries = has(prefix + "map", "U8", latents, dim).view(np.int8).astype(np.float32)
            with np.errstate(all="ignore"):
                need(np.isfinite(entries * steps[:, None]).all(), NotATableError)
        elif stage.name not in ("pca", "rotate"):
            has(prefix + "map", "F16 F32", latents, dim, shared=True)
        if stage.name == "autoencoder":
            stage.choice("activation", "linear", "elu")
            has(prefix + "offset", "F32", dim, shared=True)
        if stage.name == "rotate":
            seed = stage.options.get("seed", "0")
            need(re.fullmatch("[0-9]+", seed) and int(seed) < 2**64, NotATableError)
            if stage.choice("scales", "none", "row") == "row":
                has(prefix + "scales", "F16", rows)
                has(prefix + "gain", "F32", 1, shared=True)
        if stage.name in ("whiten", "principal"):
            if stage.choice("centre", "mean", "none") == "mean":
                has(prefix + "offset", "F32", dim, shared=True)
            if stage.choice("scales", "row", "none") == "row":
                has(prefix + "scales", "F16", rows)
        decoded(rest, rows, latents, prefix + "transform.", tensors, used)
        return
    need(not rest, NotATableError)
    granularity = stage.options.get("granularity", "matrix")
    group = int(granularity) if re.fullmatch("[0-9]{1,18}", granularity) else 0
    if stage.name == "uniform":
        scalar_codes("codes", dim, bits_of(str(stage.whole(1)[0]), 8))
        shapes = {"matrix": [1], "row": [rows], "column": [dim]}
        need(granularity in shapes or 1 <= group <= dim, NotATableError)
        shape = shapes.get(granularity) or [rows, -(-dim // group)]
        has("steps", "F16 F32", *shape, shared=granularity in ("matrix", "column"))
    elif stage.name == "kmeans":
        bits = bits_of(str(stage.whole(1)[0]), 8)
        need(granularity == "matrix" or 1 <= group <= dim, NotATableError)
        groups = 1 if granularity == "matrix" else -(-dim // group)
        has("levels", "F32", groups, 2**bits, shared=True)
        scalar_codes("codes", dim, bits)
    elif stage.name == "float":
        has("values", {16: "F16", 32: "F32"}.get(stage.whole(1)[0], ""), rows, dim)
    elif stage.name in ("pq", "opq"):
        parts, bits = stage.whole(2)
        need(1 <= parts <= dim and 1 <= bits <= 12, NotATableError)
        has("codebook", "F32", 2**bits, dim, shared=True)
        scalar_codes("codes", parts, bits)
        if stage.name == "opq":
            has("map", "F16 F32", dim, dim, shared=True)
    elif stage.name == "rq":
        count, bits = stage.whole(2)
        need(count >= 1 and 1 <= bits <= 12, NotATableError)
        has("codebooks", "F32", count, 2**bits, dim, shared=True)
        scalar_codes("codes", count, bits)
    elif stage.name == "dccl":
        need("codebooks" in tensors and len(tensors["codebooks"].shape) == 3, NotATableError)
        count, words, _ = tensors["codebooks"].shape
        need(count >= 1 and words in [2**bits for bits in range(1, 9)], NotATableError)
        if len(stage.sizes) == 1:
            bits_of(str(stage.whole(1)[0]), 8)
        else:
            need(stage.whole(2) == [count, words], NotATableError)
        has("codebooks", "F32", count, words, dim, shared=True)
        scalar_codes("codes", count, words.bit_length() - 1)
    elif stage.name == "allocate":
        need(len(stage.sizes) == 1 and 0 < float(stage.sizes[0]) <= 8, NotATableError)
        widths = has("widths", "U8", dim)
        scales = has("scales", "F32", dim, shared=True)
        has("levels", "F32", 510, shared=True)
        need(1 <= widths.max() <= 8 and scales.min() >= 0, NotATableError)
        for bits in sorted({int(width) for width in widths} - {0}):
            scalar_codes(f"codes{bits}", int((widths == bits).sum()), bits)
    elif stage.name == "trellis":
        need(len(stage.sizes) == 1 and 0 < float(stage.sizes[0]) <= 8, NotATableError)
        need("tables" in tensors and len(tensors["tables"].shape) == 2, NotATableError)
        half = tensors["tables"].shape[1]
        need(half in [2**bits for bits in range(12)], NotATableError)
        has("tables", "U8", 4, half)
        has("wide_tables", "F16", 4, half, shared=True)
        steps = has("steps", "F32", 4, shared=True)
        if stage.choice("centre", "mean", "none") == "mean":
            has("offset", "F32", dim, shared=True)
        need("widths" in tensors and len(tensors["widths"].shape) == 2, NotATableError)
        classes = tensors["widths"].shape[0]
        need(1 <= classes <= 16, NotATableError)
        widths = has("widths", "U8", classes, dim).astype(int)
        scales = has("scales", "U8", classes, dim).astype(int)
        low, step, base = (int(number) for number in has("grid", "I64", 3))
        window = half.bit_length()
        row_bytes = -(-widths.sum(axis=1) // 8)
        need(widths.max() <= min(8, window), NotATableError)
        without = (row_bytes == 0) & (classes > 1)
        need(np.all(without | (8 * row_bytes >= window)), NotATableError)
        if classes == 1:
            has("codes", "U8", rows, 1 + int(row_bytes[0]))
        else:
            for name in ("codes", "unused"):
                need(name in tensors and len(tensors[name].shape) == 1, NotATableError)
                found = has(name, "U8", *tensors[name].shape)
            need(not found.any(), NotATableError)
            has("places", "U8", -(-rows // 112), 64)
        need(max(abs(low), abs(base), step) < 2**16 and step >= 0, NotATableError)
        need(low + 254 * step < 64 * 128, NotATableError)
        with np.errstate(all="ignore"):
            factors = np.exp2((base + scales) / 16).astype(np.float32)
            factors *= np.append(steps, np.ones(4, np.float32))[np.maximum(widths, 1) - 1]
        used_factors = factors[scales > 0]
        need(np.all(np.isfinite(used_factors) & (used_factors >= 0)), NotATableError)
    else:
        raise NotATableError
