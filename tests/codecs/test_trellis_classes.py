"""Trellis codes whose rows fall into classes: widths, places, shards, and what is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp import CorruptFileError, parse_codec
from emcomp.io.sources.base import Block
from tests.helpers.reference import cores
from tests.helpers.trellis_reference import (
    Code,
    codec,
    core_code,
    decode_classes,
    fitted,
    places,
    relative_error,
    row_lengths,
    table,
)

CLASSES = [
    (1, 20, codec(2, classes=2)),
    (300, 37, codec(2, classes=2)),
    (300, 24, codec(1, classes=5, widths="column")),
    (500, 16, codec(1.3, classes="auto", window=10)),
    (700, 33, codec(3, classes=16, centre="none", weight=0)),
    (250, 9, codec(0.2, classes=3)),
    (113, 65, codec(0.1, classes=4, widths="column")),
]


@pytest.mark.parametrize(("rows", "dim", "text"), CLASSES)
def test_rows_of_classes_are_what_the_format_says(
    rows: int, dim: int, text: str, tmp_path: Path
) -> None:
    X = table(rows, dim, decay=0.5)
    compressed = emcomp.compress(X, text)
    tensors = compressed.tensors
    expected = decode_classes(tensors, rows)
    np.testing.assert_array_equal(compressed.decode(), expected)
    assert compressed.nbytes == compressed.codec.nbytes(X.shape)
    first, row_class = places(tensors, rows)[-1]
    assert tensors["codes"].size == first + row_lengths(tensors)[row_class]
    ids = np.random.default_rng(0).integers(0, rows, 200)
    np.testing.assert_array_equal(compressed.lookup(ids, threads=2), expected[ids])
    compressed.save(tmp_path / "table.emcomp")
    np.testing.assert_array_equal(emcomp.open(tmp_path / "table.emcomp").decode(), expected)
    for level, core in cores().items():
        reader = core.codec_reader(text, rows, dim, dict(tensors))
        decoded = np.empty_like(expected)
        reader.read(0, decoded, 2)
        np.testing.assert_array_equal(decoded, expected, level)


@pytest.mark.parametrize(("rows", "dim", "text"), CLASSES)
def test_rows_of_classes_are_coded_as_by_hand_at_every_level(
    rows: int, dim: int, text: str
) -> None:
    X = table(rows, dim, decay=0.5)[:20]
    found = fitted(table(rows, dim, decay=0.5), text)
    tensors = found.shared_tensors
    energies = np.square((X - tensors.get("offset", np.float32(0))).astype(float))
    begins = np.append(0, found.tensors["class_ends"][:-1])
    grouped = np.add.reduceat(energies, begins, axis=1)
    costs = grouped @ found.tensors["class_prices"].T + found.tensors["class_costs"]
    chosen = costs.argmin(axis=1).astype(np.uint8)
    reach = parse_codec(text).reach
    coders = [Code(tensors, c) for c in range(len(tensors["widths"]))]
    packed = [
        coders[c].encode(row[None], reach)[0] if coders[c].bits else np.zeros(0, np.uint8)
        for row, c in zip(X, chosen, strict=True)
    ]
    expected = np.concatenate(packed)
    encoded = found.encode_rows(Block(0, X), 1)
    np.testing.assert_array_equal(encoded["codes"], expected)
    assert [c for _, c in places({**tensors, **encoded}, len(X))] == chosen.tolist()
    for level, core in cores().items():
        names = ("class_ends", "class_prices", "class_costs")
        chooser = core.TrellisClasses(*(found.tensors[name] for name in names))
        classes = chooser.choose(X, tensors.get("offset"), 2)
        np.testing.assert_array_equal(classes, chosen, level)
        codes = np.empty_like(expected)
        core_code(core, tensors).encode(X, classes, reach, codes, 2)
        np.testing.assert_array_equal(codes, expected, level)


def test_long_rows_get_more_bits_and_all_rows_lose_less() -> None:
    X = table(3000, 32, decay=0.3)
    X *= np.exp(np.random.default_rng(1).standard_normal((3000, 1))).astype(np.float32)
    errors = {}
    for text in ("trellis:2", "trellis:2(classes=8,weight=0)", "trellis:2(classes=8)"):
        compressed = emcomp.compress(X, text)
        errors[text] = relative_error(X, compressed.decode())
    assert errors["trellis:2(classes=8,weight=0)"] < 0.7 * errors["trellis:2"]
    assert errors["trellis:2(classes=8)"] < 0.95 * errors["trellis:2"]
    lengths = np.array(row_lengths(compressed.tensors))
    chosen = np.array([c for _, c in places(compressed.tensors, len(X))])
    norms = np.linalg.norm(X - X.mean(axis=0), axis=1)
    longest, shortest = np.argsort(-norms)[:300], np.argsort(norms)[:300]
    assert lengths[chosen[longest]].mean() > 1.5 * lengths[chosen[shortest]].mean()


@pytest.mark.parametrize("text", [text for _, dim, text in CLASSES if dim < 40])
def test_shards_of_classes_make_the_same_table(text: str, tmp_path: Path) -> None:
    X = table(1000, 20, decay=0.5)
    whole = emcomp.compress(X, text)
    sharded = emcomp.compress(X, text, out=tmp_path / "folder", shard_rows=333)
    np.testing.assert_array_equal(sharded.decode(), whole.decode())
    for name, tensor in whole.tensors.items():
        np.testing.assert_array_equal(sharded.tensors[name], tensor)
    sharded.save(tmp_path / "joined.emcomp")
    whole.save(tmp_path / "whole.emcomp")
    streamed = emcomp.compress(X, text, out=tmp_path / "streamed.emcomp")
    assert (tmp_path / "joined.emcomp").read_bytes() == (tmp_path / "whole.emcomp").read_bytes()
    assert (tmp_path / "streamed.emcomp").read_bytes() == (tmp_path / "whole.emcomp").read_bytes()
    assert streamed.read(100, 50).shape == (50, 20)


def test_places_that_lead_nowhere_are_refused_when_they_are_read() -> None:
    compressed = emcomp.compress(table(300, 20), codec(2, classes=3))
    for change in (
        lambda t: t["places"][1].__setitem__(slice(0, 8), 255),
        lambda t: t["places"][0].__setitem__(9, 255),
        lambda t: t["places"][2].__setitem__(0, t["places"][2, 0] ^ 128),
    ):
        tensors = {name: tensor.copy() for name, tensor in compressed.tensors.items()}
        change(tensors)
        reader = compressed.codec.reader(compressed.shape, tensors)
        rows = np.empty((300, 20), np.float32)
        with pytest.raises(CorruptFileError, match="are not where tensor 'places' says"):
            reader.read(0, rows, 2)
