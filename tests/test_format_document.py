"""What docs/format.md says is what is written, and its reader reads it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xxhash

from emcomp import container
from emcomp.vocabulary import Vocabulary

DOCUMENT = (Path(__file__).parents[1] / "docs" / "format.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def document_code():
    names = {}
    for block in blocks("python"):
        exec(compile(block, "format.md", "exec"), names)  # noqa: S102
    return names


def pack(codes, bits):
    numbers = [sum(int(code) << j * bits for j, code in enumerate(row)) for row in codes]
    row_bytes = -(-codes.shape[1] * bits // 8)
    data = b"".join(number.to_bytes(row_bytes, "little") for number in numbers)
    return np.frombuffer(data, np.uint8).reshape(len(codes), row_bytes)


def test_example_is_what_is_written(tmp_path, document_code):
    path = tmp_path / "example.emcomp"
    codes = np.array([[0, 1, 2, 3, 4], [7, 6, 5, 4, 3], [5, 5, 0, 7, 2]])
    tensors = {"codes": pack(codes, 3), "steps": np.array([0.5], np.float32)}
    tensors |= Vocabulary.from_words(["cat", "dog", "eel"]).tensors()
    table = {"codec": "uniform:3", "granularity": "matrix", "shape": [3, 5]}
    container.write(path, tensors, table)

    (header,) = blocks("json")
    example = bytearray(1312)
    example[:8] = bytes.fromhex("f8 03 00 00 00 00 00 00")
    example[8:1024] = header.rstrip("\n").encode() + b" " * 49
    for line in blocks("hexdump")[0].splitlines():
        place, data = line.split(maxsplit=1)
        example[int(place, 16) : int(place, 16) + 16] = bytes.fromhex(data)
    assert bytes(example) == path.read_bytes()

    reader = document_code["Reader"](path)
    rows = re.findall(r"^\| (\d) \| `(\w+)` \| [\d ]+ \| (.*) \|$", DOCUMENT, re.MULTILINE)
    assert len(rows) == 3
    for row, word, decoded in rows:
        assert reader.word(int(row)) == word
        assert reader.row(int(row)) == [float(value) for value in decoded.split()]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("granularity", ["matrix", "row", "column", "group"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_reader_decodes_uniform_tables(tmp_path, document_code, bits, granularity, dtype):
    path = tmp_path / "table.emcomp"
    rng = np.random.default_rng(bits)
    rows, dim, group_size = 4, 13, 5
    codes = rng.integers(0, 2**bits, (rows, dim))
    shape = {"matrix": (1,), "row": (rows,), "column": (dim,), "group": (rows, 3)}[granularity]
    steps = rng.lognormal(size=shape).astype(dtype)
    table = {"codec": f"uniform:{bits}", "granularity": granularity, "shape": [rows, dim]}
    if granularity == "group":
        table["group_size"] = group_size
    container.write(path, {"codes": pack(codes, bits), "steps": steps}, table)

    each = steps.astype(np.float32)
    if granularity == "row":
        each = each[:, None]
    if granularity == "group":
        each = np.repeat(each, group_size, axis=1)[:, :dim]
    expected = (codes - (2**bits - 1) / 2).astype(np.float32) * each
    reader = document_code["Reader"](path)
    decoded = np.array([reader.row(row) for row in range(rows)])
    np.testing.assert_array_equal(decoded, expected)


def test_reader_finds_words(tmp_path, document_code):
    path = tmp_path / "words.emcomp"
    words = ["", "straße", *(f"word{i}" for i in range(300))]
    container.write(
        path, Vocabulary.from_words(words).tensors(), {"codec": "uniform:4", "shape": [302, 0]}
    )
    reader = document_code["Reader"](path)

    def xxh64(data):
        return xxhash.xxh64(data).intdigest()

    for row, word in enumerate(words):
        assert document_code["find"](reader, word, xxh64) == row
    assert document_code["find"](reader, "missing", xxh64) is None
