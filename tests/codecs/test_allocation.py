"""Bits allocated to columns: ``allocate``, alone and after ``principal``."""

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
from emcomp import FormatError, InputError
from emcomp.codecs.allocation import _GAUSSIAN_ERROR, allocate_widths


def table(rows: int = 400, dim: int = 37, decay: float = 1.0) -> NDArray[np.float32]:
    """Columns of falling strength, in an order of their own."""
    rng = np.random.default_rng(11)
    strengths = rng.permutation(np.arange(1, dim + 1) ** -decay)
    return (rng.standard_normal((rows, dim)) * strengths).astype(np.float32)


def squared_error(X: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> float:
    return float(np.square(X.astype(float) - rebuilt).sum() / np.square(X, dtype=float).sum())


def row_bytes(widths: NDArray[np.uint8]) -> int:
    return sum(int(np.ceil(np.count_nonzero(widths == bits) * bits / 8)) for bits in range(1, 9))


def test_errors_of_gaussian_levels_are_those_of_lloyds_iteration() -> None:
    edges = np.linspace(-8, 8, 400_001)
    middles = (edges[1:] + edges[:-1]) / 2
    mass = np.exp(-(middles**2) / 2)
    mass /= mass.sum()
    moments = np.concatenate([[[0.0, 0.0]], np.cumsum([mass, mass * middles], axis=1).T])
    for bits in range(6):
        levels = np.sqrt(3) * np.linspace(-2, 2, 2**bits) if bits else np.zeros(1)
        for _ in range(3000):
            cuts = np.searchsorted(middles, (levels[1:] + levels[:-1]) / 2)
            parts = np.diff(moments[[0, *cuts, middles.size]], axis=0)
            levels = parts[:, 1] / parts[:, 0]
        error = 1.0 - float((parts[:, 0] * levels**2).sum())
        np.testing.assert_allclose(error, _GAUSSIAN_ERROR[bits], rtol=2e-3)


@pytest.mark.parametrize("budget", [1, 2, 3, 8, 17, 23, 24])
def test_no_other_widths_of_as_many_bytes_have_a_smaller_error(budget: int) -> None:
    rng = np.random.default_rng(1)
    mean_squares = rng.permutation(np.repeat([9.0, 1.0, 0.2], 8))
    widths = allocate_widths(mean_squares, budget)
    assert row_bytes(widths) == budget

    def error(bits: NDArray[np.int64]) -> float:
        return float((_GAUSSIAN_ERROR[bits] * [9.0, 1.0, 0.2]).sum())

    chosen = np.array([widths[mean_squares == m][0] for m in (9.0, 1.0, 0.2)], np.int64)
    every = (np.array(bits) for bits in itertools.product(range(9), repeat=3))
    assert error(chosen) <= min(error(bits) for bits in every if bits.sum() == budget) + 1e-12


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 70), st.floats(0, 1), st.floats(0, 4), st.integers(0, 2**32 - 1))
def test_no_other_widths_of_groups_have_a_smaller_error(
    dim: int, part: float, spread: float, seed: int
) -> None:
    mean_squares = np.exp(spread * np.random.default_rng(seed).standard_normal(dim))
    budget = 1 + round(part * (dim - 1))
    widths = allocate_widths(mean_squares, budget)
    assert row_bytes(widths) <= budget
    strongest_first = np.sort(mean_squares)[::-1]
    smallest = np.append(0.0, np.full(budget, np.inf))  # errors of all groups so far, by bytes
    for first in range(0, dim, 8):
        group = strongest_first[first : first + 8]
        every = []
        for bits in range(9):
            used = (group.size * bits + 7) // 8
            before = smallest[: max(0, budget + 1 - used)]
            shifted = np.append(np.full(min(used, budget + 1), np.inf), before)
            every.append(shifted + group.sum() * _GAUSSIAN_ERROR[bits])
        smallest = np.min(every, axis=0)
    error = float((mean_squares * _GAUSSIAN_ERROR[widths]).sum())
    np.testing.assert_allclose(error, smallest.min(), rtol=1e-9)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 300),
    st.floats(1e-3, 8),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.booleans(),
)
def test_widths_fill_their_bytes_and_strong_columns_have_more_bits(
    dim: int, bits: float, seed: int, zero: float, equal: bool
) -> None:
    random = np.random.default_rng(seed)
    mean_squares = np.exp(0 if equal else 3 * random.standard_normal(dim)) * np.ones(dim)
    mean_squares[random.random(dim) < zero] = 0
    budget = math.ceil(dim * bits / 8)
    widths = allocate_widths(mean_squares, budget)
    assert row_bytes(widths) == budget
    assert 1 <= widths.max() <= 8
    full = widths[np.argsort(-mean_squares, kind="stable")][: dim // 8 * 8].astype(int)
    assert (np.diff(full) <= 0).all()


def decoded_by_hand(compressed: emcomp.CompressedEmbedding) -> NDArray[np.float32]:
    """Rows as the format describes them."""
    tensors = compressed.tensors
    rows = np.zeros(compressed.shape, np.float32)
    for bits in range(1, 9):
        columns = [j for j, width in enumerate(tensors["widths"]) if width == bits]
        for i in range(len(rows)) if columns else ():
            stream = int.from_bytes(tensors[f"codes{bits}"][i].tobytes(), "little")
            for place, column in enumerate(columns):
                code = stream >> place * bits & (2**bits - 1)
                level = tensors["levels"][2**bits - 2 + code]
                rows[i, column] = level * tensors["scales"][column]
    return rows


@pytest.mark.parametrize("dim", [1, 7, 8, 9, 63, 64, 65, 257])
@pytest.mark.parametrize("bits", ["0.01", "0.25", "0.5", "0.85", "1", "1.5", "3", "3.3", "8"])
def test_rows_are_levels_times_scales(dim: int, bits: str, tmp_path: Path) -> None:
    X = table(50, dim)
    compressed = emcomp.compress(X, f"allocate:{bits}")
    expected = decoded_by_hand(compressed)
    np.testing.assert_array_equal(compressed.decode(), expected)
    codes = [tensor for name, tensor in compressed.tensors.items() if name.startswith("codes")]
    assert sum(tensor.shape[1] for tensor in codes) == math.ceil(dim * Fraction(bits) / 8)
    assert compressed.nbytes == compressed.codec.nbytes(X.shape)
    compressed.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    assert str(opened.codec) == f"allocate:{bits}"
    assert opened.nbytes == compressed.nbytes
    np.testing.assert_array_equal(opened.decode(), expected)


@pytest.mark.parametrize(
    ("bits", "dim", "row_bytes"),
    [
        (0.56, 100, 7),
        (0.57, 100, 8),
        (0.07, 800, 7),
        (0.0001, 257, 1),
        (5e-324, 9, 1),
        (1.1, 80, 11),
    ],
)
def test_bits_count_as_the_numbers_that_floats_are_rounded_from(
    bits: float, dim: int, row_bytes: int
) -> None:
    codec = emcomp.codecs.Allocate(bits)
    shape = (1000, dim)
    assert codec.nbytes(shape) == 1000 * row_bytes + 5 * dim + 4 * 510
    assert emcomp.parse_codec(f"principal+{codec}").nbytes(shape) == (
        1000 * (row_bytes + 2) + 9 * dim + 4 * 510 + 2 * dim * dim
    )


@given(st.integers(1, 5000), st.data())
def test_every_number_of_bytes_can_be_asked_for(dim: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, dim))
    codec = emcomp.codecs.Allocate(8 * wanted / dim)
    assert codec.row_bytes(dim) == wanted
    assert emcomp.parse_codec(str(codec)) == codec


@pytest.mark.parametrize("codec", ["allocate:{}", "principal(0.0,scales=none)+allocate:{}"])
def test_squared_error_falls_as_bits_grow(codec: str) -> None:
    X = table(1000, 63)
    lost = [
        squared_error(X, emcomp.compress(X, codec.format(bits)).decode())
        for bits in (0.1, 0.25, 0.5, 0.85, 1, 1.5, 2, 3.3, 5, 8)
    ]
    assert (np.diff(lost) < 0).all()


@pytest.mark.parametrize("bits", [0.5, 2.75])
def test_writing_it_as_it_is_made_gives_the_same_table(bits: float, tmp_path: Path) -> None:
    X = table(600, 20)
    np.save(tmp_path / "X.npy", X)
    whole = emcomp.compress(X, f"allocate:{bits}")
    out = tmp_path / "shards"
    emcomp.compress(tmp_path / "X.npy", f"allocate:{bits}", out=out, shard_rows=250)
    opened = emcomp.open(out)
    assert opened.nbytes == whole.nbytes
    np.testing.assert_array_equal(opened.decode(), whole.decode())


def test_lookups_bags_and_neighbours_agree_with_rows() -> None:
    rng = np.random.default_rng(1)
    compressed = emcomp.compress(table(), "allocate:2")
    rows = compressed.decode()
    assert (rows == 0).all(axis=0).any(), "weak columns are left out"
    ids = rng.integers(-400, 400, 300)
    np.testing.assert_array_equal(compressed.lookup(ids, threads=3), rows[ids])
    offsets = np.array([0, 0, 5, 150])
    bags = [ids[:0], ids[:5], ids[5:150], ids[150:]]
    for mode, reduce in (("sum", np.sum), ("mean", np.mean), ("max", np.max)):
        got = compressed.bag(ids, offsets, mode=mode)  # type: ignore[arg-type]
        for row, bag in zip(got, bags, strict=True):
            expected = reduce(rows[bag], axis=0) if bag.size else np.zeros(37)
            np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
    query = rng.standard_normal(37).astype(np.float32)
    cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose(
        [c for _, c in compressed.similar(query, 9)], np.sort(cosines)[:-10:-1], rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["<f2", ">f2", ">f4", "<f8", "bfloat16", "strided"])
def test_any_type_and_layout_gives_the_table_of_its_values(kind: str) -> None:
    X = table(300, 19)
    if kind == "strided":
        given: Any = np.repeat(X, 2, axis=1)[:, ::2]
    else:
        given = X.astype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
        X = given.astype(np.float32)
    np.testing.assert_array_equal(
        emcomp.compress(given, "allocate:3").decode(), emcomp.compress(X, "allocate:3").decode()
    )


@pytest.mark.parametrize("codec", ["allocate:3", "allocate:0.85"])
def test_rows_do_not_depend_on_threads(codec: str) -> None:
    X = table(9000, 13)
    expected = emcomp.compress(X, codec, threads=1).tensors
    for threads in (2, 3):
        got = emcomp.compress(X, codec, threads=threads).tensors
        for name, tensor in expected.items():
            np.testing.assert_array_equal(got[name], tensor)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_allocation_beats_equal_widths_where_columns_differ(bits: int) -> None:
    X = table(2000, 64)
    lost = {
        codec: squared_error(X, emcomp.compress(X, codec).decode())
        for codec in (f"allocate:{bits}", f"kmeans:{bits}(granularity=1)")
    }
    assert lost[f"allocate:{bits}"] < 0.7 * lost[f"kmeans:{bits}(granularity=1)"]


@pytest.mark.parametrize("bits", [2, 4])
def test_principal_axes_lose_less_than_whitening(bits: int) -> None:
    rng = np.random.default_rng(1)
    X = table(3000, 64) @ np.linalg.qr(rng.standard_normal((64, 64)))[0].astype(np.float32)
    X = X * np.exp(0.5 * rng.standard_normal((3000, 1))).astype(np.float32) + 0.1
    lost = {
        codec: squared_error(X, emcomp.compress(X, codec).decode())
        for codec in (f"principal+allocate:{bits}", f"whiten+kmeans:{bits}")
    }
    assert lost[f"principal+allocate:{bits}"] < 0.9 * lost[f"whiten+kmeans:{bits}"]


def test_more_power_trades_squared_error_for_overlap() -> None:
    rng = np.random.default_rng(1)
    X = table(3000, 64) @ np.linalg.qr(rng.standard_normal((64, 64)))[0].astype(np.float32)
    low, high = (emcomp.compress(X, f"principal({p})+allocate:3").decode() for p in (0.0, 0.75))
    assert squared_error(X, low) < squared_error(X, high)
    assert emcomp.eos(X, low) < emcomp.eos(X, high)


def test_row_scales_are_those_of_latents_of_equal_strength() -> None:
    X = table(500, 12)
    latents = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0] * np.sqrt(500)
    scales = emcomp.compress(X, "principal+float:32").tensors["transform.scales"]
    np.testing.assert_allclose(scales, np.sqrt(np.square(latents).mean(axis=1)), rtol=2e-3)


def test_zero_and_constant_columns() -> None:
    X = table(200, 16)
    X[:, 3] = 0.0
    X[:, 5] = 2.0
    rebuilt = emcomp.compress(X, "allocate:4").decode()
    assert (rebuilt[:, 3] == 0).all()
    np.testing.assert_allclose(rebuilt[:, 5], 2.0, rtol=0.2)
    assert (emcomp.compress(np.zeros((5, 4), np.float32), "allocate:1").decode() == 0).all()
    assert np.isfinite(emcomp.compress(X[:3], "principal+allocate:2").decode()).all()


@pytest.mark.parametrize("bits", [0, -0.5, 8.01, 9, True, np.nan, np.inf, "2", None])
def test_other_bits_are_refused(bits: Any) -> None:
    with pytest.raises(InputError, match="bits must be a number above 0 and up to 8"):
        emcomp.codecs.Allocate(bits)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("widths", lambda tensor: tensor + 7),
        ("widths", lambda tensor: tensor * 0),
        ("widths", lambda tensor: np.roll(tensor, 1)[:-1]),
        ("scales", lambda tensor: -tensor),
        ("scales", lambda tensor: tensor * np.nan),
        ("levels", lambda tensor: tensor * np.inf),
        ("levels", lambda tensor: tensor[:-1]),
        ("codes3", lambda tensor: tensor[:, :-1]),
        ("codes3", None),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_tensors_that_do_not_fit_are_refused(name: str, change: Any) -> None:
    whole = emcomp.compress(table(), "allocate:3")
    tensors = dict(whole.tensors)
    tensor = tensors.pop(name)
    if change is not None:
        tensors[name] = change(tensor)
    with pytest.raises(FormatError, match=name):
        emcomp.CompressedEmbedding(whole.codec, whole.shape, tensors)


def test_entries_that_are_not_finite_are_named() -> None:
    X = table()
    X[17, 3] = np.nan
    with pytest.raises(InputError, match=r"1 of .* row 17, column 3"):
        emcomp.compress(X, "allocate:4")
