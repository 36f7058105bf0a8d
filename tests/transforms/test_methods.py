"""What each transform promises: closed forms and invariances, against plain NumPy."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import emcomp
from emcomp import InputError, _core
from emcomp.engine.base import Engine
from emcomp.io.sources.base import as_source
from emcomp.measures import eos
from emcomp.transforms import Direction, Svd
from emcomp.transforms.direction import best_projection
from tests.helpers import reference


def table(rows: int = 500, dim: int = 24, decay: float = 0.7) -> NDArray[np.float32]:
    rng = np.random.default_rng(11)
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    X = rng.standard_normal((rows, dim)) * np.arange(1, dim + 1) ** -decay
    lengths = np.exp(rng.standard_normal((rows, 1)))
    return np.asarray(lengths * X @ basis, np.float32)


def squared_error(X: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> float:
    return float(np.sum((X.astype(float) - rebuilt) ** 2) / np.sum(X.astype(float) ** 2))


def cosines_of(X: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> NDArray[np.float64]:
    a, b = X.astype(float), rebuilt.astype(float)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.sum(a * b, axis=1) / np.maximum(norms, 1e-30))


def mean_cosine(X: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> float:
    return float(np.mean(cosines_of(X, rebuilt)))


# Maps


@pytest.mark.parametrize("level", emcomp._native.available_levels())
@pytest.mark.parametrize(
    ("inputs", "outputs"), [(1, 1), (7, 65), (64, 15), (33, 16), (9, 257), (40, 63)]
)
def test_products_are_summed_in_order_on_every_instruction_set(
    level: str, inputs: int, outputs: int
) -> None:
    rng = np.random.default_rng(1)
    core = importlib.import_module(f"emcomp._core_{level}")
    rows = rng.standard_normal((11, inputs)).astype(np.float32)
    matrix = rng.standard_normal((inputs, outputs)).astype(np.float32)
    expected = np.zeros((11, outputs), np.float32)
    for i in range(inputs):
        expected = expected + rows[:, i : i + 1] * matrix[i]
    dense = core.dense_map(matrix)
    np.testing.assert_array_equal(dense.apply(rows), expected)
    np.testing.assert_array_equal(dense.apply(rows[3:4]), expected[3:4])


@pytest.mark.parametrize("level", emcomp._native.available_levels())
@pytest.mark.parametrize("dim", [1, 5, 64, 100])
def test_rotations_are_as_the_format_says_on_every_instruction_set(level: str, dim: int) -> None:
    rng = np.random.default_rng(1)
    core = importlib.import_module(f"emcomp._core_{level}")
    size = 1 << (dim.bit_length() - 1)
    rounds = 2 if size == dim else 4
    numbers = [reference.philox((i, 0, 0, 0x726F7461), (5, 0))[0] for i in range(rounds * size)]
    signs = np.where([n & 1 for n in numbers], -1, 1) / np.float32(math.sqrt(size))
    rows = rng.standard_normal((3, dim)).astype(np.float32)
    expected = rows.astype(float)
    for r in range(rounds):
        part = slice(0, size) if r % 2 == 0 else slice(dim - size, dim)
        matrix = np.ones((1, 1))
        while len(matrix) < size:
            matrix = np.block([[matrix, matrix], [matrix, -matrix]])
        expected[:, part] = (expected[:, part] * signs[r * size : (r + 1) * size]) @ matrix
    rotated = core.rotation(dim, 5, False).apply(rows)
    np.testing.assert_allclose(rotated, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(rotated, _core.rotation(dim, 5, False).apply(rows))


# Factorizations


@pytest.mark.parametrize("k", [1, 5, 23, 24])
def test_svd_is_the_best_approximation_of_its_rank(k: int) -> None:
    X = table()
    s = np.linalg.svd(X.astype(float), compute_uv=False)
    compressed = emcomp.compress(X, f"svd:{k}")
    assert squared_error(X, compressed.decode()) == pytest.approx(
        (s[k:] ** 2).sum() / (s**2).sum(), rel=1e-6, abs=1e-12
    )
    assert compressed.info["rank_error"] == pytest.approx((s[k:] ** 2).sum() / (s**2).sum())
    map_ = compressed.tensors["transform.map"]
    np.testing.assert_allclose(map_ @ map_.T, np.eye(k), atol=1e-6)
    assert (map_[np.arange(k), np.abs(map_).argmax(axis=1)] > 0).all()


def test_svd_finds_weak_axes_that_a_gram_matrix_loses() -> None:
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((400, 6)))[0]
    right = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    X = (basis * [1.0, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10]) @ right.T
    map_ = emcomp.compress(X, "svd:6").tensors["transform.map"].astype(float)
    for axis in range(6):
        assert abs(map_[axis] @ right[:, axis]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_svd_of_less_rank_than_asked_for_is_exact(rows: int) -> None:
    rng = np.random.default_rng(1)
    X = np.asarray(rng.standard_normal((rows, 2)) @ rng.standard_normal((2, 9)), np.float32)
    compressed = emcomp.compress(X, "svd:5")
    np.testing.assert_allclose(compressed.decode(), X, atol=1e-5)
    map_ = compressed.tensors["transform.map"]
    np.testing.assert_allclose(map_ @ map_.T, np.eye(5), atol=1e-6)


@pytest.mark.parametrize(("ratio", "k"), [(2.5, 299), (5, 149), (10, 74)])
def test_the_papers_ratios_give_the_papers_ranks(ratio: float, k: int) -> None:
    shape = (30_522, 768)
    assert Svd.for_ratio(shape, ratio) == Svd(k)
    assert Direction.for_ratio(shape, ratio) == Direction(k)
    assert 4 * shape[0] * shape[1] / emcomp.parse_codec(f"svd:{k}").nbytes(shape) >= ratio


@pytest.mark.parametrize("ratio", [0, -1, 1e9, float("nan")])
def test_ratios_that_leave_nothing_are_refused(ratio: float) -> None:
    with pytest.raises(InputError, match="cannot be factorized"):
        Svd.for_ratio((100, 10), ratio)


def test_pca_rows_are_the_singular_values_and_left_vectors(tmp_path: object) -> None:
    X = table()
    compressed = emcomp.compress(X, "pca:4")
    assert compressed.shape == (500, 4)
    u, s, _ = np.linalg.svd(X.astype(float), full_matrices=False)
    np.testing.assert_allclose(np.abs(compressed.decode()), np.abs(u[:, :4] * s[:4]), atol=1e-4)
    assert eos(X, compressed) == pytest.approx(4 / 24, abs=1e-6)
    compressed.save(f"{tmp_path}/pca.emcomp")
    np.testing.assert_array_equal(
        emcomp.open(f"{tmp_path}/pca.emcomp").decode(), compressed.decode()
    )
    assert emcomp.compress(X, "pca:4+uniform:8").shape == (500, 4)


# Rotation


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 24, 63, 64, 65, 257, 300])
def test_a_rotation_is_orthogonal_and_its_inverse_undoes_it(dim: int) -> None:
    eye = np.eye(dim, dtype=np.float32)
    forward = _core.rotation(dim, 3, inverse=False).apply(eye)
    back = _core.rotation(dim, 3, inverse=True).apply(eye)
    np.testing.assert_allclose(forward @ forward.T, eye, atol=1e-5)
    np.testing.assert_allclose(forward.T, back, atol=1e-6)
    if dim > 1:
        other = _core.rotation(dim, 4, inverse=False).apply(eye)
        assert dim < 8 or not np.allclose(forward, other)


def test_a_rotation_spreads_each_entry_over_the_row() -> None:
    for dim in (64, 100, 300):
        forward = _core.rotation(dim, 0, inverse=False).apply(np.eye(dim, dtype=np.float32))
        assert np.abs(forward).max() < 0.75


@pytest.mark.parametrize("codec", ["rotate", "rotate(scales=row)"])
def test_a_rotation_alone_changes_nothing(codec: str) -> None:
    X = table()
    compressed = emcomp.compress(X, codec)
    np.testing.assert_allclose(compressed.decode(), X, rtol=1e-4, atol=1e-5)
    assert eos(X, compressed) == pytest.approx(1.0, abs=1e-10)


def test_rotating_helps_where_columns_differ() -> None:
    rng = np.random.default_rng(1)
    X = np.asarray(rng.standard_normal((2000, 64)) * np.logspace(0, -2, 64), np.float32)
    errors = {
        codec: squared_error(X, emcomp.compress(X, codec).decode())
        for codec in ("uniform:3", "rotate+uniform:3")
    }
    assert errors["rotate+uniform:3"] < 0.5 * errors["uniform:3"]


def test_row_scales_serve_rows_of_all_lengths() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((1000, 32)).astype(np.float32)
    X *= np.logspace(-3, 3, 1000, dtype=np.float32)[:, None]
    rebuilt = emcomp.compress(X, "rotate(scales=row)+uniform:4").decode()
    errors = np.linalg.norm(X - rebuilt, axis=1) / np.linalg.norm(X, axis=1)
    assert errors.max() < 0.3
    X[7] = 0
    assert not emcomp.compress(X, "rotate(scales=row)+float:16").decode()[7].any()


# Whitening


@pytest.mark.parametrize("centre", ["mean", "none"])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_latents_have_the_powers_second_moments(power: float, centre: str) -> None:
    X = table(2000, 8) + np.float32(0.5)
    codec = f"whiten({power},centre={centre},scales=none,map_dtype=float32)"
    compressed = emcomp.compress(X, codec)
    latents = compressed.tensors["values"].astype(float)
    moments = np.linalg.eigvalsh(latents.T @ latents / len(X))[::-1]
    rows = X.astype(float) - (X.astype(float).mean(axis=0) if centre == "mean" else 0)
    expected = np.linalg.eigvalsh(rows.T @ rows)[::-1] ** (1 - power)
    np.testing.assert_allclose(moments, expected / expected.mean(), rtol=1e-4)
    np.testing.assert_allclose(compressed.decode(), X, atol=1e-4)
    if centre == "mean":
        offset = compressed.tensors["transform.offset"]
        np.testing.assert_allclose(offset, X.astype(float).mean(axis=0), atol=1e-5)


def test_whitening_improves_overlap_and_squared_error() -> None:
    X = table(3000, 24, decay=1.0)
    scores = {}
    for codec in ("uniform:4", "whiten(0.5)+uniform:4", "whiten(1)+uniform:4"):
        compressed = emcomp.compress(X, codec)
        scores[codec] = 1 - eos(X, compressed), squared_error(X, compressed.decode())
    plain, half, full = scores.values()
    assert half[0] < plain[0]
    assert half[1] < plain[1]
    assert full[0] < half[0]


def test_whitening_a_table_without_full_rank_is_finite() -> None:
    rng = np.random.default_rng(1)
    X = np.asarray(rng.standard_normal((300, 3)) @ rng.standard_normal((3, 9)), np.float32)
    rebuilt = emcomp.compress(X, "whiten(1)+float:32").decode()
    np.testing.assert_allclose(rebuilt, X, atol=2e-2)


def test_maps_that_float16_cannot_hold_are_refused() -> None:
    with pytest.raises(InputError, match="use map_dtype=float32"):
        emcomp.compress(table() * np.float32(1e-9), "whiten+uniform:4")


# Direction


@pytest.mark.parametrize("latents", ["float:32", "float:16"])
@pytest.mark.parametrize("map_dtype", ["float32", "float16"])
def test_direction_keeps_lengths(latents: str, map_dtype: str) -> None:
    X = table()
    X[3] = 0
    rebuilt = emcomp.compress(X, f"direction:6(map_dtype={map_dtype})+{latents}").decode()
    tolerance = 1e-6 if latents == "float:32" else 1e-3
    np.testing.assert_allclose(
        np.linalg.norm(rebuilt.astype(float), axis=1),
        np.linalg.norm(X.astype(float), axis=1),
        rtol=tolerance,
    )


@pytest.mark.parametrize("k", [1, 6, 12])
def test_direction_keeps_directions_better_than_svd(k: int) -> None:
    X = table()
    compressed = emcomp.compress(X, f"direction:{k}")
    kept = mean_cosine(X, compressed.decode())
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    right = np.linalg.svd(unit.astype(float), full_matrices=False)[2][:k]
    assert kept == pytest.approx(compressed.info["mean_cosine"], abs=1e-5)
    assert kept >= mean_cosine(X, emcomp.compress(X, f"svd:{k}").decode())
    assert kept >= np.linalg.norm(unit @ right.T, axis=1).mean() - 1e-7


def test_direction_of_all_dimensions_is_exact() -> None:
    X = table()
    np.testing.assert_allclose(emcomp.compress(X, "direction:24").decode(), X, atol=1e-5)


def test_direction_of_one_dimension_finds_the_best_axis() -> None:
    # Rows along two axes: the mean cosine is largest along the axis with more rows, while squared
    # error would follow the few long ones.
    X = np.zeros((100, 3), np.float32)
    X[:70, 0] = 1
    X[70:, 1] = 50
    map_ = emcomp.compress(X, "direction:1").tensors["transform.map"]
    np.testing.assert_allclose(np.abs(map_), [[1, 0, 0]], atol=1e-6)


def test_weights_of_rows_count_as_repeated_rows() -> None:
    rng = np.random.default_rng(1)
    X = table(200, 8)
    counts = rng.integers(0, 4, 200)
    weighted, cosine = best_projection(
        as_source(X), 3, Engine(2), weights=counts.astype(np.float32)
    )
    repeated, other = best_projection(as_source(np.repeat(X, counts, axis=0)), 3, Engine(2))
    assert cosine == pytest.approx(other, rel=1e-6)
    np.testing.assert_allclose(weighted @ weighted.T, repeated @ repeated.T, atol=1e-3)


def test_weights_make_a_codec_keep_the_rows_that_count() -> None:
    rng = np.random.default_rng(1)
    X = table(400, 12, decay=0.2)
    counts = rng.pareto(0.5, 400)
    ranks = np.arange(1, 401)
    for weights, shares in (
        (counts, counts),
        ("zipf", 1 / ranks),
        ((5 / ranks).tolist(), 1 / ranks),
    ):
        weighted = emcomp.compress(X, emcomp.transforms.Direction(3, weights=weights).then(None))
        cosines = [
            np.average(cosines_of(X, t.decode()), weights=shares)
            for t in (weighted, emcomp.compress(X, "direction:3"))
        ]
        assert cosines[0] > cosines[1] + 1e-3
        np.testing.assert_allclose(weighted.info["mean_cosine"], cosines[0], rtol=1e-5)


def test_equal_weights_change_nothing_and_files_say_that_there_were_some(tmp_path: Path) -> None:
    X = table()
    given = emcomp.transforms.Direction(5, weights=np.full(500, 3.0)).then(None)
    compressed = emcomp.compress(X, given)
    np.testing.assert_array_equal(compressed.decode(), emcomp.compress(X, "direction:5").decode())
    compressed.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    assert str(opened.codec) == "direction:5(weights=given)"
    np.testing.assert_array_equal(opened.decode(), compressed.decode())
    with pytest.raises(InputError, match="weights as an array"):
        emcomp.compress(X, opened.codec)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("rank", "'zipf'"),
        ([1.0, -1.0], "negative"),
        ([[1.0, 2.0]], "list"),
        ([np.nan, 1.0], "finite"),
        ([0.0, 0.0], "all be zero"),
        (np.ones(499), "499 weights for a table of 500 rows"),
    ],
)
def test_other_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        emcomp.compress(table(), emcomp.transforms.Direction(5, weights=weights).then(None))


# Floats


@pytest.mark.parametrize("dim", [1, 7, 8, 15, 16, 17, 65])
def test_floats_are_rounded_to_the_nearest(dim: int) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((33, dim))
    np.testing.assert_array_equal(emcomp.compress(X, "float:32").decode(), X.astype(np.float32))
    half = emcomp.compress(X.astype(np.float32), "float:16")
    np.testing.assert_array_equal(half.decode(), X.astype(np.float32).astype(np.float16))
    np.testing.assert_array_equal(half[-1], half.decode()[-1])


def test_what_float16_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match="use float:32"):
        emcomp.compress(np.full((3, 3), 7e4), "float:16")


def test_a_codec_may_follow_as_a_string() -> None:
    codec = emcomp.transforms.Direction(5, weights=np.full(500, 3.0)).then(
        "rotate(scales=row)+uniform:4"
    )
    assert str(codec) == "direction:5(weights=given)+rotate(scales=row)+uniform:4"
    assert emcomp.compress(table(), codec).codec == codec
