"""Emcomp files with something odd about them and, as far as that can be, right checksums.

Nothing of emcomp's own writer or reader is used, but for the tables to start from.
"""

from __future__ import annotations

import copy
import json
import math
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

import emcomp

WORDS = ["cat", "dog", "", "straße", b"\xff\xfe", *(f"word{i}" for i in range(35))]
CODECS = [
    "uniform:3(granularity=8,clip=max)",
    "uniform:4(granularity=column,step_dtype=float16)",
    "uniform:2(granularity=row)",
    "uniform:5",
    "kmeans:3(granularity=4)",
    "pq:3x4(iterations=2)",
    "opq:2x3(rotations=1)",
    "rq:2x3(refine=0)",
    "dccl:2x4(epochs=1)",
    "allocate:2.5",
    "trellis:1.5(rounds=0,widths=column)",
    "trellis:2(rounds=0,classes=3)",
    "principal(0.0,scales=none,map_dtype=int8)+trellis:1(rounds=0,classes=2)",
    "whiten(map_dtype=int8)+kmeans:2",
    "rotate+trellis:2(rounds=0,window=10,centre=none)",
    "float:16",
    "svd:4+rotate(scales=row)+pq:2x3",
    "whiten(0.25)+kmeans:2",
    "principal(centre=none,scales=none)+allocate:1",
    "autoencoder:3(epochs=1,activation=elu)",
    "direction:5+uniform:6",
    "pca:5+uniform:4",
]


class Raw(str):
    """JSON text that is put in as it is."""


class Pairs(list):
    """Members of an object, which may have a key twice."""


@dataclass
class Tensor:
    dtype: str
    shape: Any
    data: bytes


@dataclass
class Parts:
    """What a file is built of."""

    tensors: dict[str, Tensor]
    table: Any
    about: dict[str, Any] = field(default_factory=dict)
    """Changes of the metadata."""
    entries: dict[str, Any] = field(default_factory=dict)
    """Changes of the header."""
    paddings: dict[int, bytes] = field(default_factory=dict)
    """The bytes of some paddings."""


def dump(value: Any) -> str:
    if isinstance(value, Raw):
        return value
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(k)}:{dump(v)}" for k, v in value) + "}"
    if isinstance(value, dict):
        return dump(Pairs(sorted(value.items())))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def sealed(header: bytes) -> bytes:
    """A header with its own checksum put in."""
    mark = rb"\"header_checksum\":\""
    at = header.find(mark) + len(mark)
    if at < len(mark) or len(header) < at + 16:
        return header
    digits = xxhash.xxh64(header[:at] + b"0" * 16 + header[at + 16 :]).hexdigest()
    return header[:at] + digits.encode() + header[at + 16 :]


def build(parts: Parts, edit: Callable[[bytes], bytes] = lambda text: text) -> bytes:
    """The file of some parts; ``edit`` changes the text of the header."""
    entries: dict[str, Any] = {}
    data = b""
    number = 0
    for name, tensor in parts.tensors.items():
        if len(data) % 64:
            padding = parts.paddings.get(number, bytes(-len(data) % 64))
            places = [len(data), len(data) + len(padding)]
            shape = [len(padding)]
            entries[f"padding.{number}"] = {"dtype": "U8", "shape": shape, "data_offsets": places}
            data += padding
            number += 1
        places = [len(data), len(data) + len(tensor.data)]
        entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": places}
        data += tensor.data
    checksums = {n: xxhash.xxh64(t.data).hexdigest() for n, t in parts.tensors.items()}
    about = {"format": 1, "header_checksum": "0" * 16, "table": parts.table}
    about |= {"tensor_checksums": checksums} | parts.about
    header = {"__metadata__": {"emcomp": dump(about)}, **entries, **parts.entries}
    text = edit(dump(header).encode("utf-8"))
    text += b" " * (-(8 + len(text)) % 64)
    return sealed(struct.pack("<Q", len(text)) + text) + data


def parts_of(file: bytes) -> Parts:
    """The parts of a good file."""
    begin = 8 + int.from_bytes(file[:8], "little")
    entries = json.loads(file[8:begin])
    about = json.loads(entries.pop("__metadata__")["emcomp"])
    found = sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
    tensors = {
        name: Tensor(entry["dtype"], entry["shape"], file[begin:][slice(*entry["data_offsets"])])
        for name, entry in found
        if not name.startswith("padding.")
    }
    return Parts(tensors, about["table"])


def tables(folder: Path) -> list[Parts]:
    """Small tables of all codecs, every other one with words."""
    rng = np.random.default_rng(3)
    X = (rng.standard_normal((40, 9)) @ rng.standard_normal((9, 9))).astype(np.float32)
    found = []
    for number, codec in enumerate(CODECS):
        path = folder / "original.emcomp"
        emcomp.compress(X, codec, words=WORDS if number % 2 == 0 else None).save(path)
        found.append(parts_of(path.read_bytes()))
    return found


VALUES = [
    "0", "-0", "1", "-1", "1.0", "40.0", "4e1", "1e400", "-1e400", "1e-400", "01", "+1", "true",
    "false", "null", "NaN", "Infinity", "-Infinity", '""', '"x"', '"40"', "[]", "{}", "[40]",
    "[40,9,1]", "[9,40]", "[40.0,9]", "[true,9]", '["40","9"]', "[40,-9]", "[0,9]", "[40,0]",
    str(2**31), str(2**32), str(2**53 + 1), str(2**63 - 1), str(2**63), str(2**64), str(10**30),
    "9" * 99, "9" * 101, "9" * 5000, "[" * 31 + "]" * 31, "[" * 40 + "]" * 40,
    "[" * 100_000 + "]" * 100_000, r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', r'"\u00e4"',
    r'"\x"', '"', "[1,]", '{"a":1,"a":2}', '{"a":{"b":[1,2,{"c":null}]}}', "", " 5 ", "5 5",
    "[[],[],[]]", '{"\\u0061":1,"a":1}', '"uniform:4"', '"F32"', '"U8"', '"I8"', '"f32"',
]  # fmt: skip
CODEC_EDITS: list[Callable[[str], str]] = [
    lambda c: " " + c, lambda c: c + " ", lambda c: c.replace("+", " + "), lambda c: c + "+",
    lambda c: "+" + c, lambda c: c.replace("+", "++"), lambda c: c.replace(":", ": "),
    lambda c: c.replace(":", ":0"), lambda c: c.replace(":", ":+"), lambda c: c.replace(":", ":-"),
    lambda c: c.replace(":", "::"), lambda c: c.replace(":", ":" + "0" * 20), lambda c: c.upper(),
    lambda c: c.replace(":", ":1x"), lambda c: c.partition("(")[0] + "x", lambda c: c + "()",
    lambda c: c.partition("(")[0] + "()", lambda c: c.partition("(")[0],
    lambda c: c.partition("(")[0] + "(,)", lambda c: c.partition("(")[0] + "(5)",
    lambda c: c.partition("(")[0] + "(unheard=5)", lambda c: c.partition("(")[0] + "(clip=foo)",
    lambda c: c.partition("(")[0] + "(seed=1,seed=1)", lambda c: c.partition("(")[0] + "(seed=-1)",
    lambda c: c.partition("(")[0] + "(seed=1.5)", lambda c: c.partition("(")[0] + "(seed=)",
    lambda c: c.partition("(")[0] + "(seed=٣)", lambda c: c.partition("(")[0] + "(=1)",
    lambda c: c.partition("(")[0] + "(sample=0)", lambda c: c.partition("(")[0] + "(beam=9999)",
    lambda c: c.partition("(")[0] + "(centre=none)", lambda c: c.partition("(")[0] + "(centre=x)",
    lambda c: c.partition("(")[0] + "(scales=row)", lambda c: c.partition("(")[0] + "(scales=x)",
    lambda c: c.partition("(")[0] + "(granularity=row)",
    lambda c: c.partition("(")[0] + "(granularity=column)",
    lambda c: c.partition("(")[0] + "(granularity=08)",
    lambda c: c.partition("(")[0] + "(granularity=8.0)",
    lambda c: c.partition("(")[0] + "(granularity=99)",
    lambda c: c.partition("(")[0] + "(activation=relu)",
    lambda c: c.partition("(")[0] + "(map_dtype=float64)",
    lambda c: c.partition("(")[0] + "(step_dtype=float16)", lambda c: c.replace("(", "(("),
    lambda c: c.replace(")", "))"), lambda c: c.replace("(", "(\n"), lambda c: c[:-1],
    lambda c: c.replace(",", ", "), lambda c: c.replace("=", " = "), lambda c: "rotate+" + c,
    lambda c: "rotate:9+" + c, lambda c: "pca:9+" + c, lambda c: "pca:8+" + c, lambda c: c + "+pca:9",
    lambda c: "pca:9+" * 15 + c, lambda c: "pca:9+" * 16 + c, lambda c: "pca:09+" * 600 + c,
    lambda c: c + "(" + "a" * 5000 + ")", lambda c: c + "+float:32", lambda c: c + "+uniform:4",
    lambda c: "float:32", lambda c: "float:64", lambda c: "float", lambda c: "uniform:4",
    lambda c: "uniform", lambda c: "uniform:8", lambda c: "uniform:0", lambda c: "uniform:9",
    lambda c: "uniform:4x4", lambda c: "uniform:4.0", lambda c: "allocate:.5", lambda c: "dccl",
    lambda c: "dccl:3", lambda c: "dccl:9", lambda c: "dccl:2x4x1", lambda c: "dccl:4x2",
    lambda c: "", lambda c: "+", lambda c: "unheard:4", lambda c: "whiten:9+" + c, lambda c: "pca:5",
    lambda c: "svd:5+" + c, lambda c: c.replace("svd:4", "svd:5"), lambda c: "ünïform:4",
    lambda c: c.replace("direction:5", "svd:5"), lambda c: c.replace("direction:5", "svd:4"),
    lambda c: c.replace("whiten", "principal"), lambda c: c.replace("autoencoder", "svd"),
    lambda c: c.replace("pq:3x4", "pq:3x5"), lambda c: c.replace("pq:3x4", "pq:4x4"),
]  # fmt: skip
NAMES = [
    "codes",
    "Codes",
    "codes ",
    "",
    "_codes",
    "0",
    "padding.x",
    "paddin",
    "é",
    "a" * 300,
    "x.y",
]
DTYPES = ["U8", "U16", "U32", "U64", "I64", "F16", "BF16", "F32", "F64", "I8", "BOOL", "", "F128"]
SIZES = {"U8": 1, "U16": 2, "F16": 2, "BF16": 2, "U32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}


def bytes_of_tensors(parts: Parts, rng: random.Random) -> bytes:
    """Some bytes of a tensor changed."""
    tensor = rng.choice(list(parts.tensors.values()))
    data = bytearray(tensor.data)
    for _ in range(rng.choice([1, 1, 4])):
        width = rng.choice([1, 2, 4, 8])
        at = rng.randrange(len(data) or 1) // width * width
        odd = [0, 1, 255, 0x7F800000, 0xFFC00000, 0x7C00, 2**31, 2**64 - 1, rng.randrange(2**64)]
        number = (rng.choice(odd) % 2 ** (8 * width)).to_bytes(width, "little")
        data[at : at + width] = number[: len(data) - at]
    tensor.data = bytes(data)
    return build(parts)


def value_of_description(parts: Parts, rng: random.Random) -> bytes:
    """A value of the table's description changed, taken out, or put in."""
    key = rng.choice(["codec", "shape", "info", "shape", "other"])
    if rng.random() < 0.1:
        parts.table.pop(key, None)
    else:
        parts.table[key] = Raw(rng.choice(VALUES))
    return build(parts)


def shape_of_description(parts: Parts, rng: random.Random) -> bytes:
    """A size of the table changed."""
    sizes: list[Any] = list(parts.table["shape"])
    which = rng.randrange(2)
    near = [sizes[which] + step for step in (-1, 1, 2**32, 2**63)]
    sizes[which] = rng.choice([*near, *map(Raw, VALUES)])
    parts.table["shape"] = sizes
    return build(parts)


def codec_string(parts: Parts, rng: random.Random) -> bytes:
    """Another string for the codec."""
    parts.table["codec"] = rng.choice(CODEC_EDITS)(parts.table["codec"])
    return build(parts)


def value_of_metadata(parts: Parts, rng: random.Random) -> bytes:
    """A value of the metadata or of a tensor's entry changed."""
    value = Raw(rng.choice(VALUES))
    kind = rng.randrange(4)
    name = rng.choice(list(parts.tensors))
    tensor = parts.tensors[name]
    if kind == 0:
        parts.about[rng.choice(["format", "table", "tensor_checksums", "other"])] = value
    elif kind == 1:
        setattr(tensor, rng.choice(["dtype", "shape"]), value)
    elif kind == 2:
        sums = {n: xxhash.xxh64(t.data).hexdigest() for n, t in parts.tensors.items()}
        odd = [value, sums[name].upper(), "0" * 16, sums[name][1:], sums[name] + "0"]
        sums[rng.choice([name, name, "more"])] = rng.choice(odd)
        parts.about["tensor_checksums"] = sums
    else:
        parts.entries[rng.choice([name, "more", "__metadata__"])] = value
    return build(parts)


def tensors_changed(parts: Parts, rng: random.Random) -> bytes:
    """A tensor renamed, retyped, reshaped, taken out, doubled, or moved."""
    name = rng.choice(list(parts.tensors))
    tensor = parts.tensors[name]
    kind = rng.randrange(7)
    if kind == 0:
        new = rng.choice([*NAMES, *parts.tensors, "transform." + name, "vocabulary." + name])
        parts.tensors = {new if n == name else n: t for n, t in parts.tensors.items()}
    elif kind == 1:
        tensor.dtype = rng.choice(DTYPES)
        if rng.random() < 0.7 and tensor.dtype in SIZES:
            tensor.shape = [len(tensor.data) // SIZES[tensor.dtype]]
    elif kind == 2:
        entries = math.prod(tensor.shape)
        shapes = [[], [1], tensor.shape[::-1], [*tensor.shape, 1], [1, *tensor.shape], [entries]]
        tensor.shape = rng.choice([*shapes, [entries, 1], [0], [1] * 64, [1] * 65])
    elif kind == 3:
        del parts.tensors[name]
    elif kind == 4:
        extra = Tensor("F64", rng.choice([[], [1]]), bytes(8))
        parts.tensors[rng.choice(["extra", "values", "transform.scales", "vocabulary.x"])] = extra
    elif kind == 5:
        items = list(parts.tensors.items())
        rng.shuffle(items)
        parts.tensors = dict(items)
    else:
        item = SIZES[tensor.dtype]
        tensor.data, tensor.shape = tensor.data[:item], rng.choice([[], [1], [1, 1]])
    return build(parts)


def words_changed(parts: Parts, rng: random.Random) -> bytes:
    """Words that do not fit their table, or are out of order."""
    rows = parts.table["shape"][0]
    count = rng.choice([rows, rows, rows + 1, rows - 1, 0, 1])
    offsets = np.arange(count + 1, dtype=np.uint64) * 2
    slots = np.full(rng.choice([128, 64, 0, 1]), 0xFFFFFFFF, np.uint32)
    slots[: rng.choice([0, 1, slots.size])] = rng.choice([0, count, 2**31])
    if rng.random() < 0.3:
        offsets[rng.randrange(offsets.size)] = rng.choice([0, 2**63, 2**64 - 1])
    data = bytes(rng.choice([2 * count, 0]))
    new = {"bytes": ("U8", data), "offsets": ("U64", offsets), "index": ("U32", slots)}
    for part, (dtype, array) in new.items():
        size = len(array)
        parts.tensors[f"vocabulary.{part}"] = Tensor(dtype, [size], bytes(array))
    if rng.random() < 0.3:
        del parts.tensors["vocabulary." + rng.choice(list(new))]
    return build(parts)


def json_text(parts: Parts, rng: random.Random) -> bytes:
    """JSON that says the same in another way, or says two things."""
    name = next(iter(parts.tensors)).encode()
    size = parts.table["shape"][0]
    edits: list[Callable[[bytes], bytes]] = [
        lambda t: t.replace(b'"' + name + b'"', b'"\\u%04x' % name[0] + name[1:] + b'"'),
        lambda t: t.replace(b'"dtype":', b'"dtype" : '), lambda t: t.replace(b"[", b"[\n\t"),
        lambda t: t.replace(b'"dtype":', b'"dtype":"U8","dtype":', 1), lambda t: t + b"}",
        lambda t: t.replace(b'"dtype":', b'"d\\u0074ype":', 1), lambda t: t + b"\0",
        lambda t: t.replace(b'"dtype":', b'"extra":0,"dtype":', 1), lambda t: t[:-1],
        lambda t: t.replace(b'"dtype":', b'"\xc3\xa4":0,"dtype":', 1), lambda t: t + b"\n",
        lambda t: t.replace(b'"dtype":', b'"\xff":0,"dtype":', 1), lambda t: t + b" {}",
        lambda t: t.replace(rb"\"table\":", rb"\"table\":{},\"table\":", 1),
        lambda t: t.replace(rb"\"table\":", rb"\"t\\u0061ble\":", 1),
        lambda t: t.replace(rb"\"table\":", rb" \"table\" : ", 1),
        lambda t: t.replace(rb"\"shape\":", rb"\"shape\":[1,1],\"shape\":", 1),
        lambda t: t.replace(rb"\"shape\":", rb"\"sh\\u0061pe\":", 1),
        lambda t: t.replace(rb"\"info\":{", rb"\"info\":{\"x\":\u00e4,", 1),
        lambda t: t.replace(rb"\"info\":{", rb"\"info\":{\"x\":\"\u00e4\",", 1),
        lambda t: t.replace(rb"\"info\":{", rb"\"info\":{\"x\":1e400,", 1),
        lambda t: t.replace(rb"\"info\":{", rb"\"info\":{\"x\":1e-400,", 1),
        lambda t: t.replace(rb"\"info\":{", rb"\"info\":{\"x\":-0.0,", 1),
        lambda t: t.replace(b'"__metadata__":{', b'"__metadata__":{"a":"b",', 1),
        lambda t: t.replace(b'"},"', b'","other":"x"},"', 1),
        lambda t: t.replace(b'"},"', b'","other":1},"', 1),
        lambda t: t.replace(rb"\"shape\":[%d" % size, rb"\"shape\":[ %d " % size, 1),
        lambda t: t.replace(rb"\"shape\":[%d" % size, rb"\"shape\":[%d.0" % size, 1),
        lambda t: t.replace(rb"\"shape\":[%d" % size, rb"\"shape\":[0%d" % size, 1),
        lambda t: t.replace(rb"\"format\":1", rb"\"format\":01", 1),
        lambda t: t.replace(rb"\"format\":1", rb"\"format\":2", 1),
        lambda t: t.replace(rb"\"format\":1", rb"\"format\":4294967297", 1),
        lambda t: t.replace(rb"\"format\":1", rb"\"format\":1,\"format\":1", 1),
        lambda t: t.replace(b'"data_offsets":[0,', b'"data_offsets":[-0,', 1),
        lambda t: t.replace(b'"data_offsets":[0,', b'"data_offsets":[0.0,', 1),
        lambda t: t.replace(b'"data_offsets":[0,', b'"data_offsets":[00,', 1),
        lambda t: t.replace(b'"data_offsets":[0,', b'"data_offsets":[0e0,', 1),
    ]  # fmt: skip
    return build(parts, rng.choice(edits))


def padding_changed(parts: Parts, rng: random.Random) -> bytes:
    """Padding that is not zero, too long or too short."""
    for number in range(len(parts.tensors)):
        if rng.random() < 0.5:
            odd = [b"\0" * 63 + b"\1", bytes(64), bytes(128), bytes(1), b"\1", b"", bytes(65)]
            parts.paddings[number] = rng.choice(odd)
    return build(parts)


def file_cut(parts: Parts, rng: random.Random) -> bytes:
    """A file that ends early, goes on, or has a wrong length of its header."""
    data = build(parts)
    length = int.from_bytes(data[:8], "little")
    odd = [0, 1, 39, length - 64, length - 1, length + 64, 2**24, 2**24 + 1, 2**63, 2**64 - 1]
    return rng.choice([
        data[: rng.randrange(len(data))], data + bytes(rng.choice([1, 64])), data[8:],
        struct.pack("<Q", rng.choice(odd)) + data[8:],
    ])  # fmt: skip


def bytes_of_file(parts: Parts, rng: random.Random) -> bytes:
    """A few bytes of the header changed, its checksum right or not."""
    data = bytearray(build(parts))
    end = 8 + int.from_bytes(data[:8], "little")
    for _ in range(rng.choice([1, 1, 2, 5])):
        data[rng.randrange(8, end)] = rng.choice([*b'0123456789{}[],:"\\ex+-. ', 0, 255])
    return (sealed(bytes(data[:end])) if rng.random() < 0.8 else bytes(data[:end])) + data[end:]


KINDS = [
    bytes_of_tensors, value_of_description, shape_of_description, codec_string, codec_string,
    value_of_metadata, tensors_changed, tensors_changed, words_changed, json_text, padding_changed,
    file_cut, bytes_of_file,
]  # fmt: skip


def odd_files(originals: list[Parts], seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Files, and what is odd about each."""
    for number in range(count):
        rng = random.Random(seed << 32 | number)
        kind = KINDS[number % len(KINDS)]
        parts = copy.deepcopy(rng.choice(originals))
        yield f"{kind.__name__} {number} of {parts.table['codec']}", kind(parts, rng)
