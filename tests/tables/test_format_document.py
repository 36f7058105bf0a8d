"""What docs/format.md says is what is written, and its reader reads it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xxhash

import emcomp
from emcomp.tables import container
from emcomp.vocabulary.index import Vocabulary

DOCUMENT = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def document_code():
    names = {}
    for block in blocks("python"):
        exec(compile(block, "format.md", "exec"), names)  # noqa: S102
    return names


def test_example_is_what_is_written(tmp_path, document_code):
    path = tmp_path / "example.emcomp"
    codes = np.array([[0, 1, 2, 3, 4], [7, 6, 5, 4, 3], [5, 5, 0, 7, 2]])
    X = (codes - 3.5).astype(np.float32) / 2
    emcomp.compress(X, "uniform:3(clip=1.75)", words=["cat", "dog", "eel"]).save(path)

    (header,) = blocks("json")
    size, first_bytes, header_bytes, spaces = re.search(
        r"file has (\d+)\s+bytes\. The first eight are `([^`]+)`: the header has (\d+) bytes\."
        r"[^`]*?and (\d+) spaces",
        DOCUMENT,
    ).groups()
    example = bytearray(int(size))
    example[:8] = bytes.fromhex(first_bytes)
    example[8 : 8 + int(header_bytes)] = header.rstrip("\n").encode() + b" " * int(spaces)
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
@pytest.mark.parametrize("granularity", ["matrix", "row", "column", 5])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_reader_decodes_uniform_tables(tmp_path, document_code, bits, granularity, dtype):
    path = tmp_path / "table.emcomp"
    X = np.random.default_rng(bits).standard_normal((4, 13)).astype(np.float32)
    table = emcomp.compress(X, emcomp.codecs.Uniform(bits, granularity, step_dtype=dtype))
    table.save(path)
    reader = document_code["Reader"](path)
    decoded = np.array([reader.row(row) for row in range(4)], np.float32)
    np.testing.assert_array_equal(decoded, table.decode())


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
