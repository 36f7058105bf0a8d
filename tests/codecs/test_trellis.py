"""Trellis codes: rows and codes against NumPy, how bits are shared out, what a file may hold."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import emcomp
from emcomp import FormatError, InputError, parse_codec
from emcomp.codecs.trellis_layout import even_widths, water_rates, widths_of_rates
from emcomp.codecs.trellis_tables import start_tables
from tests.helpers.reference import cores
from tests.helpers.trellis_reference import (
    Code,
    codec,
    core_code,
    fitted,
    relative_error,
    table,
)

# Rows


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 64, 65, 100, 257])
@pytest.mark.parametrize(
    "bits", ["0.01", "0.3", "1", "1.5", "2", "3", "3.3", "4", "5", "6", "7", "8"]
)
def test_rows_are_what_the_format_says(dim: int, bits: str, tmp_path: Path) -> None:
    X = table(70, dim)
    compressed = emcomp.compress(X, codec(bits))
    expected = Code(compressed.tensors).decode(compressed.tensors["codes"])
    np.testing.assert_array_equal(compressed.decode(), expected)
    assert compressed.tensors["codes"].shape[1] == 1 + math.ceil(dim * Fraction(bits) / 8)
    assert compressed.nbytes == compressed.codec.nbytes(X.shape)
    compressed.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    np.testing.assert_array_equal(opened.decode(), expected)
    np.testing.assert_array_equal(opened.lookup([3, -1, 3]), expected[[3, -1, 3]])
    np.testing.assert_array_equal(opened[-2], expected[-2])


@pytest.mark.parametrize("window", [8, 10, 12])
@pytest.mark.parametrize("centre", ["mean", "none"])
@pytest.mark.parametrize("bits", [0.2, 0.7, 1, 2, 3.5, 5.5, 7.5])
def test_columns_of_different_widths_are_what_the_format_says(
    window: int, centre: str, bits: float
) -> None:
    X = table(60, 67, decay=1.5)
    compressed = emcomp.compress(X, codec(bits, window=window, centre=centre, widths="column"))
    assert np.unique(compressed.tensors["widths"]).size > 2
    code = Code(compressed.tensors)
    assert code.window == window
    expected = code.decode(compressed.tensors["codes"])
    np.testing.assert_array_equal(compressed.decode(), expected)
    ids = np.random.default_rng(1).integers(0, 60, 33)
    by_hand = np.zeros(67, np.float32)
    for row in ids:
        by_hand += expected[row]
    np.testing.assert_array_equal(compressed.bag(ids, [0])[0], by_hand)
    np.testing.assert_array_equal(
        compressed.bag(ids, [0], mode="max")[0], expected[ids].max(axis=0)
    )
    query = X[5] + 1
    cosines = expected @ query / np.linalg.norm(expected, axis=1) / np.linalg.norm(query)
    rows, found = zip(*compressed.similar(query, 5), strict=True)
    np.testing.assert_allclose(found, cosines[list(rows)], rtol=1e-5)
    np.testing.assert_allclose(found, np.sort(cosines)[:-6:-1], rtol=1e-5)


CODES = [
    (5, codec(3, window=8)),
    (8, codec(2, window=10)),
    (16, codec(1, window=12)),
    (37, codec(1, window=8)),
    (37, codec(2.5, window=10, reach=1)),
    (21, codec(4, window=12, reach=9)),
    (19, codec(7, window=8)),
    (9, codec(6, window=10)),
    (40, codec(0.4, window=8, widths="column", centre="none")),
    (40, codec(2, window=10, widths="column", reach=1000)),
    (23, codec(5.5, window=12, widths="column")),
    (30, codec(8, window=8, widths="column")),
    (30, codec(7.9, window=10, widths="column")),
]


@pytest.mark.parametrize(("dim", "text"), CODES)
def test_codes_are_those_of_a_plain_search_at_every_level(dim: int, text: str) -> None:
    X = table(12, dim, decay=1.0 if "column" in text else 0.0)
    X[3] = 0
    X[4] *= 1e-6
    tensors = fitted(X, text).shared_tensors
    reach = parse_codec(text).reach
    expected = Code(tensors).encode(X, reach)
    for level, core in cores().items():
        packed = np.empty_like(expected)
        core_code(core, tensors).encode(X, None, reach, packed, 2)
        np.testing.assert_array_equal(packed, expected, level)


@pytest.mark.parametrize(("dim", "text"), CODES)
def test_rows_are_the_same_at_every_level(dim: int, text: str) -> None:
    X = table(50, dim, decay=1.0 if "column" in text else 0.0)
    compressed = emcomp.compress(X, text)
    expected = compressed.decode()
    for level, core in cores().items():
        reader = core.codec_reader(text, 50, dim, dict(compressed.tensors))
        rows = np.empty_like(expected)
        reader.read(0, rows, 1)
        np.testing.assert_array_equal(rows, expected, level)
        for row in (0, 49):  # whose bytes end with the buffer's
            np.testing.assert_array_equal(reader.row(row), expected[row], level)


@pytest.mark.parametrize(("dim", "bits"), [(8, 2), (5, 3), (16, 1), (4, 4), (3, 5)])
def test_few_codes_are_better_than_those_found(dim: int, bits: int) -> None:
    X = table(40, dim)
    found = fitted(X, codec(bits, reach=1000))
    code = Code(found.shared_tensors)
    assert code.bits == 16
    packed = np.empty((40, 3), np.uint8)
    found.encode(emcomp.io.sources.base.Block(0, X), {"codes": packed}, 1)
    every = np.arange(1 << 16).astype("<u2").view(np.uint8).reshape(-1, 2)
    every = np.concatenate([np.ones((len(every), 1), np.uint8), every], axis=1)
    unscaled = code.unscaled(code.windows(every)).astype(float) * code.factors
    errors, least = [], []
    for row, own in zip((X - code.offset).astype(float), packed, strict=True):
        gain = float(code.gains[own[0]])
        least.append(np.square(row - gain * unscaled).sum(axis=1).min())
        errors.append(np.square(row - code.decode(own[None])[0] + code.offset).sum())
    assert np.all(np.array(errors) >= np.array(least) * (1 - 1e-5))
    # On so short a circle the search does not always find the best way round.
    assert np.sum(errors) <= 2.0 * np.sum(least)
    assert np.median(np.array(errors) / least) <= 1.1


LAYOUTS = {
    "float16": lambda X: X.astype(np.float16),
    "float64": lambda X: X.astype(np.float64),
    "big-endian": lambda X: X.astype(">f4"),
    "bfloat16": lambda X: X.astype(ml_dtypes.bfloat16),
    "columns": np.asfortranarray,
    "reversed": lambda X: X[::-1, ::-1][::-1, ::-1],
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_types_and_layouts_do_not_matter(layout: str) -> None:
    X = LAYOUTS[layout](table(300, 20))
    text = codec(2, widths="column")
    compressed = emcomp.compress(X, text)
    plain = emcomp.compress(np.ascontiguousarray(X, np.float32), text)
    for name, tensor in plain.tensors.items():
        np.testing.assert_array_equal(compressed.tensors[name], tensor)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 70),
    st.floats(0.05, 8),
    st.sampled_from([8, 10, 12]),
    st.sampled_from(["auto", "even", "column"]),
    st.integers(1, 60),
    st.floats(0, 2),
    st.integers(-40, 40),
)
def test_any_table_is_the_same_for_any_threads_and_scaled_by_powers_of_two(
    dim: int, bits: float, window: int, widths: str, rows: int, decay: float, power: int
) -> None:
    X = table(rows, dim, decay, seed=rows)
    text = codec(f"{bits:.6f}", window=window, widths=widths)
    one = emcomp.compress(X, text, threads=1)
    other = emcomp.compress(X * np.float32(2.0**power), text, threads=3)
    np.testing.assert_array_equal(one.tensors["codes"], other.tensors["codes"])
    np.testing.assert_array_equal(one.decode() * np.float32(2.0**power), other.decode())
    np.testing.assert_array_equal(one.decode(), Code(one.tensors).decode(one.tensors["codes"]))
    assert one.nbytes == parse_codec(text).nbytes(X.shape)


@pytest.mark.parametrize("block", [64, 100, 256])
def test_blocks_do_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X = table(700, 12)
    text = codec(2, widths="column")
    whole = emcomp.compress(X, text)
    found = fitted(X, text)
    codes = np.empty_like(whole.tensors["codes"])
    for first in range(0, 700, block):
        rows = emcomp.io.sources.base.Block(first, X[first : first + block])
        found.encode(rows, {"codes": codes[first : first + block]}, 2)
    np.testing.assert_array_equal(codes, whole.tensors["codes"])


# What it is for


@pytest.mark.parametrize(
    ("bits", "window", "most"),
    [
        (1, 8, 1.16),
        (1, 10, 1.14),
        (2, 8, 1.25),
        (2, 10, 1.20),
        (2, 12, 1.16),
        (3, 8, 1.32),
        (4, 8, 1.46),
    ],
)
def test_the_error_of_gaussian_rows_is_near_the_least_possible(
    bits: int, window: int, most: float
) -> None:
    X = np.random.default_rng(3).standard_normal((400, 256)).astype(np.float32)
    compressed = emcomp.compress(X, f"trellis:{bits}(window={window},rounds=2)")
    error = relative_error(X, compressed.decode()) * 4.0**bits
    assert 1.0 < error < most


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_less_is_lost_than_by_scalar_codes(bits: int) -> None:
    X = table(500, 64)
    trellis = relative_error(X, emcomp.compress(X, f"trellis:{bits}").decode())
    scalar = relative_error(X, emcomp.compress(X, f"rotate(scales=row)+kmeans:{bits}").decode())
    assert trellis < 0.8 * scalar


def test_columns_that_differ_get_widths_of_their_own_where_that_pays() -> None:
    X = table(400, 48, decay=1.0)
    even = emcomp.compress(X, codec(2, widths="even"))
    column = emcomp.compress(X, codec(2, widths="column"))
    auto = emcomp.compress(X, codec(2))
    np.testing.assert_array_equal(auto.tensors["codes"], column.tensors["codes"])
    assert relative_error(X, column.decode()) < 0.6 * relative_error(X, even.decode())
    alike = table(400, 48)
    assert np.unique(emcomp.compress(alike, codec(2)).tensors["widths"]).size == 1


def test_longer_windows_and_learned_tables_lose_less() -> None:
    random = np.random.default_rng(0)
    X = random.laplace(size=(1500, 64)).astype(np.float32)
    errors = [
        relative_error(X, emcomp.compress(X, f"trellis:2({options})").decode())
        for options in ("rounds=0", "rounds=10", "window=10", "window=12")
    ]
    assert errors == sorted(errors, reverse=True)


# Bits, scales, tables


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300), st.floats(0.001, 1), st.floats(0, 5), st.floats(0, 1), st.integers(0, 999)
)
def test_widths_follow_rates_and_use_all_bits(
    dim: int, part: float, spread: float, zero: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    mean_squares = np.exp(spread * random.standard_normal(dim))
    mean_squares[random.random(dim) < zero] = 0
    mean_squares[random.integers(dim)] = 1
    bits = 8 * math.ceil(part * dim)
    rates = water_rates(mean_squares, bits)
    assert rates.min() >= 0
    assert rates.max() <= 8
    np.testing.assert_allclose(rates.sum(), bits, rtol=1e-9)
    ordered = rates[np.argsort(mean_squares)]
    assert (np.diff(ordered) >= -1e-9).all()
    widths = widths_of_rates(rates, bits)
    assert widths.astype(int).sum() == bits
    assert widths.max() <= 8
    if bits < 8 * dim / 2 and not zero and rates.max() < 8:
        assert np.abs(np.cumsum(widths.astype(int)) - np.cumsum(rates)).max() < 1.01


@given(st.integers(1, 400), st.floats(0.01, 8))
def test_even_widths_are_even(dim: int, bits: float) -> None:
    row = 8 * math.ceil(dim * bits / 8)
    widths = even_widths(dim, row).astype(int)
    assert widths.sum() == row
    assert widths.max() - widths.min() <= 1


@pytest.mark.parametrize("window", [8, 10, 12])
def test_start_tables_are_antisymmetric_and_spread(window: int) -> None:
    tables = start_tables(window)
    np.testing.assert_array_equal(tables, -tables[:, ::-1])
    for width, values in enumerate(tables, 1):
        branches = values.reshape(-1, 2**width)  # windows that can follow the same window
        assert np.all(np.diff(np.sort(branches, axis=1), axis=1) > 0)
        followers = values.reshape(2**width, -1)  # windows that the same windows can follow
        assert np.all(np.diff(np.sort(followers, axis=0), axis=0) > 0)


@pytest.mark.parametrize("bits", [1, 2, 5])
@pytest.mark.parametrize("options", ["centre=mean", "centre=none"])
def test_rows_without_anything_come_back_exactly(bits: int, options: str) -> None:
    X = table(50, 24)
    X -= X.mean(axis=0)
    X[7] = 0
    compressed = emcomp.compress(X, f"trellis:{bits}({options})")
    if options == "centre=none":
        assert not compressed[7].any()
    constant = np.full((9, 24), 0.1, np.float32)
    for values in (constant, np.zeros_like(constant)):
        rebuilt = emcomp.compress(values, f"trellis:{bits}({options})").decode()
        np.testing.assert_allclose(rebuilt, values, atol=0 if options == "centre=mean" else 0.05)


def test_a_column_without_variance_is_left_out() -> None:
    X = table(100, 30, decay=1.0)
    X[:, 11] = 2.5
    compressed = emcomp.compress(X, codec(1.5, widths="column"))
    assert compressed.tensors["scales"][0, 11] == 0
    np.testing.assert_array_equal(compressed.decode()[:, 11], np.float32(2.5))
    single = np.zeros((40, 30), np.float32)
    single[:, 3] = X[:40, 3]
    rebuilt = emcomp.compress(single, codec(2, widths="column")).decode()
    np.testing.assert_allclose(rebuilt, single, atol=0.02 * np.abs(single).max())


def test_rows_of_extreme_lengths_are_coded() -> None:
    X = table(3000, 16)
    X[5] *= 1e6
    X[6] *= 1e-6
    compressed = emcomp.compress(X, codec(4, centre="none"))
    rebuilt = compressed.decode()
    for row in (5, 7):
        error = np.linalg.norm(rebuilt[row] - X[row]) / np.linalg.norm(X[row])
        assert error < 0.25
    assert np.linalg.norm(rebuilt[6]) <= np.linalg.norm(X[:5], axis=1).min()


def test_clipped_entries_are_counted() -> None:
    X = table(300, 16)
    found = fitted(X, codec(4))
    assert found.clipped(X, 1) == 0
    assert found.clipped(X * 1000, 1) > 0.9 * X.size


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trellis:0", "bits must be a number above 0"),
        ("trellis:8.5", "bits must be a number above 0 and up to 8"),
        ("trellis:2(window=9)", "window must be 8, 10 or 12, not 9"),
        ("trellis:2(widths=odd)", "widths must be"),
        ("trellis:2(centre=median)", "centre must be"),
        ("trellis:2(rounds=-1)", "rounds"),
        ("trellis:2(sample=0)", "sample"),
        ("trellis:2(reach=0)", "reach"),
        ("trellis:2(seed=-1)", "seed"),
        ("trellis:2(classes=0)", "classes"),
        ("trellis:2(classes=17)", "classes"),
        ("trellis:2(classes=few)", "classes"),
        ("trellis:2(weight=-1)", "weight must be"),
    ],
)
def test_settings_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_codec(text)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(value: float) -> None:
    X = table(20, 6)
    X[4, 2] = value
    with pytest.raises(InputError, match="row 4, column 2"):
        emcomp.compress(X, "trellis:2")


def spoiled(tensor: NDArray[Any], value: Any, place: int = 0) -> NDArray[Any]:
    changed = tensor.copy()
    changed.reshape(-1)[place] = value
    return changed


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("widths", lambda t: spoiled(t, 9), "widths"),
        ("widths", lambda t: t * 0, "a window's bits"),
        ("widths", lambda t: t + 1, "codes"),
        ("widths", lambda t: t[:, 1:], "expected"),
        ("widths", lambda t: t[0], "two dimensions"),
        ("widths", lambda t: np.tile(t, (17, 1)), "scales"),
        ("grid", lambda t: spoiled(t, 2**60), "out of range"),
        ("grid", lambda t: spoiled(t, -(2**63)), "out of range"),
        ("grid", lambda t: spoiled(t, -1, 1), "out of range"),
        ("grid", lambda t: spoiled(t, 9000, 0), "finite"),
        ("grid", lambda t: spoiled(t, 5000, 2), "finite"),
        ("steps", lambda t: spoiled(t, np.inf, 1), "finite"),
        ("steps", lambda t: -t, "finite"),
        ("offset", lambda t: spoiled(t, np.nan), "finite"),
        ("wide_tables", lambda t: spoiled(t, np.inf, 7), "finite"),
        ("tables", lambda t: t[:, ::2].copy(), "expected"),
        ("codes", lambda t: t[:, 1:].copy(), "expected"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, change: Any, message: str) -> None:
    compressed = emcomp.compress(table(20, 24), codec(2))
    tensors = {**compressed.tensors, name: change(compressed.tensors[name])}
    with pytest.raises(FormatError, match=message):
        compressed.codec.reader(compressed.shape, tensors)


def test_bits_of_all_columns_are_checked_whatever_they_are() -> None:
    compressed = emcomp.compress(table(20, 24), codec(2, widths="column"))
    for widths in itertools.islice(itertools.product([0, 8], repeat=3), 1, None):
        changed = np.resize(np.array(widths, np.uint8), (1, 24))
        if int(changed.astype(int).sum()) == 48:
            continue
        with pytest.raises(FormatError):
            compressed.codec.reader(compressed.shape, {**compressed.tensors, "widths": changed})
