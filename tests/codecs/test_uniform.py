"""Uniform quantization against plain NumPy: every width, dimension, layout and processor level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import emcomp
from emcomp import _core
from emcomp.codecs import Uniform
from tests.helpers import reference

ROWS = 5


def inputs(rows, dim, seed):
    """The same kind of matrix in every layout and type that is accepted."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, dim)).astype(np.float32)
    X[0] = 0
    yield X
    yield X.astype(np.float16)
    yield X.astype(np.float64)
    yield (X.view(np.uint32) >> 16).astype(np.uint16)
    yield X.astype(">f4")
    yield X.astype(">f2")
    yield np.asfortranarray(X)
    yield np.asfortranarray(X.astype(np.float64))
    yield np.repeat(X, 2, axis=1)[::-1, ::2]
    yield X[:, ::-1]


@pytest.mark.parametrize("granularity", ["matrix", "row", "column", 8, 5])
@pytest.mark.parametrize("bits", reference.WIDTHS)
def test_codes_and_rows_agree_with_numpy_everywhere(bits, granularity):
    levels = reference.cores()
    for dim in reference.DIMS:
        if granularity not in ("matrix", "row", "column") and granularity > dim:
            continue
        codec = Uniform(bits, granularity)
        group = codec.group(dim)
        for number, X in enumerate(inputs(ROWS, dim, dim)):
            x = reference.as_float32(X)
            step_shape = (ROWS if codec.by_row else 1, -(-dim // group))
            steps = np.random.default_rng(number).uniform(0.05, 0.5, step_shape).astype(np.float32)
            steps[0, 0] = 0 if number == 1 else steps[0, 0]
            spread = np.repeat(steps, group, axis=1)[:, :dim]
            codes = reference.uniform_codes(x, spread, bits)
            values = reference.uniform_values(codes, spread, bits)
            packed = reference.pack(codes, bits)
            for name, core in levels.items():
                threads = 1 + number % 3
                found = np.full(packed.shape, 0xAA, np.uint8)
                core.encode_uniform(
                    X, 0, bits, group, steps, codec.by_row, False, 0, found, threads
                )
                where = f"{name}, {bits} bits, dim {dim}, {granularity}, input {number}"
                np.testing.assert_array_equal(found, packed, err_msg=where)
                tensors = {"codes": found, "steps": steps.reshape(-1, *codec.step_shape(dim))}
                if not codec.by_row:
                    tensors["steps"] = tensors["steps"][0]
                reader = core.codec_reader(str(codec), ROWS, dim, tensors)
                rows = np.empty((ROWS, dim), np.float32)
                reader.read(0, rows, threads)
                np.testing.assert_array_equal(rows, values, err_msg=where)


@pytest.mark.parametrize("bits", reference.WIDTHS)
def test_packing_is_the_documented_bit_string(bits):
    rng = np.random.default_rng(bits)
    for dim in reference.DIMS:
        codes = rng.integers(0, 2**bits, (3, dim), dtype=np.uint8)
        packed = reference.pack(codes, bits)
        for core in reference.cores().values():
            assert core.row_bytes(dim, bits) == packed.shape[1]
            np.testing.assert_array_equal(core.pack_codes(codes, bits, 2), packed)


def test_every_code_of_every_width_survives():
    for bits in reference.WIDTHS:
        codes = np.arange(2**bits, dtype=np.uint8)[None, :]
        packed = _core.pack_codes(codes, bits, 1)
        np.testing.assert_array_equal(reference.unpack(packed, 2**bits, bits), codes)


def test_midpoints_round_half_to_even():
    midpoints = np.arange(-6, 7, dtype=np.float32)[None, :]  # multiples of the step are midpoints
    table = emcomp.compress(midpoints, Uniform(3, clip=3.5))
    # Positions 0.5, 1.5, ... between codes: the even neighbour wins; codes stop at 0 and 7.
    np.testing.assert_array_equal(
        reference.unpack(table.tensors["codes"], 13, 3)[0],
        [0, 0, 0, 0, 2, 2, 4, 4, 6, 6, 7, 7, 7],
    )


# The clipping range

DISTRIBUTIONS = {
    "normal": lambda rng: rng.standard_normal(20_000),
    "laplace": lambda rng: rng.laplace(size=20_000),
    "heavy": lambda rng: rng.standard_t(3, 20_000),
    "uniform": lambda rng: rng.uniform(-1, 1, 20_000),
    "outlier": lambda rng: np.append(rng.standard_normal(20_000), 500.0),
    "sparse": lambda rng: rng.standard_normal(20_000) * (rng.random(20_000) < 0.05),
    "shifted": lambda rng: rng.standard_normal(20_000) + 4,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_range_is_within_a_thousandth_of_the_best(name, scale):
    x = DISTRIBUTIONS[name](np.random.default_rng(5)).astype(np.float32)
    scaled = (x.astype(np.float64) * scale).astype(np.float32)
    widths = reference.WIDTHS if scale == 1.0 else (1, 2, 4, 8)
    whole, column = _core.ValueHistogram(), _core.ColumnHistograms(1)
    whole.update(scaled[:, None], 2)
    column.update(scaled[:, None], 2)
    for bits in widths:
        rule = _core.Clipping("optimal")
        best = reference.best_error(scaled.astype(np.float64), bits)
        for step in (whole.step(bits, rule), column.steps(bits, rule, 1)[0]):
            error = reference.squared_error(
                scaled.astype(np.float64), float(np.float32(step)), bits
            )
            assert error <= best * 1.001, (bits, error / best)


def test_a_table_already_on_a_grid_loses_nothing():
    rng = np.random.default_rng(0)
    for bits in (2, 4, 8):
        X = (rng.integers(0, 2**bits, (200, 30)) - (2**bits - 1) / 2).astype(np.float32) * 0.25
        X[0, 0] = (2**bits - 1) / 2 * 0.25
        np.testing.assert_array_equal(emcomp.compress(X, Uniform(bits)).decode(), X)


@pytest.mark.parametrize("dim", [1, 3, 16, 64, 300])
def test_row_ranges_are_close_to_the_best(dim):
    X = np.random.default_rng(dim).standard_normal((60, dim)).astype(np.float32)
    for bits in (1, 2, 3, 4, 6, 8):
        steps = _core.choose_row_steps(X, bits, dim, _core.Clipping("optimal"), 2)[:, 0]
        pairs = zip(X.astype(np.float64), steps, strict=True)
        error = sum(reference.squared_error(x, float(s), bits) for x, s in pairs)
        best = sum(reference.best_error(x, bits, 300) for x in X.astype(np.float64))
        assert error <= best * 1.005 + 1e-9 * dim, bits


def test_one_bit_is_the_mean_magnitude():
    X = np.random.default_rng(3).standard_normal((500, 20)).astype(np.float32)
    magnitudes = np.abs(X.astype(np.float64))
    table = emcomp.compress(X, "uniform:1")
    assert np.abs(table.decode()).max() == pytest.approx(magnitudes.mean(), rel=1e-6)
    rows = np.abs(emcomp.compress(X, "uniform:1(granularity=row)").decode())
    np.testing.assert_allclose(rows.max(axis=1), magnitudes.mean(axis=1), rtol=1e-5)
    columns = np.abs(emcomp.compress(X, "uniform:1(granularity=column)").decode())
    np.testing.assert_allclose(columns.max(axis=0), magnitudes.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("granularity", ["matrix", "row", "column", 7])
def test_clip_max_number_and_quantile(granularity):
    X = np.random.default_rng(4).standard_normal((64, 21)).astype(np.float32)
    magnitudes = np.abs(X)
    groups = {
        "matrix": [magnitudes.ravel()],
        "row": list(magnitudes),
        "column": list(magnitudes.T),
        7: [row[i : i + 7] for row in magnitudes for i in (0, 7, 14)],
    }[granularity]
    for clip, expected in [
        ("max", [g.max() for g in groups]),
        (2.5, [2.5] * len(groups)),
        ("quantile:0.5", [np.sort(g)[-(-len(g) // 2) - 1] for g in groups]),
    ]:
        table = emcomp.compress(X, Uniform(4, granularity, clip))
        found = table.tensors["steps"].ravel() * 7.5
        np.testing.assert_allclose(found, expected, rtol=2e-3 if "quantile" in str(clip) else 1e-6)


def test_steps_do_not_depend_on_threads_blocks_or_level():
    X = np.random.default_rng(6).standard_t(3, (3000, 33)).astype(np.float32)
    rule_of = {name: core.Clipping("optimal") for name, core in reference.cores().items()}
    found = set()
    for name, core in reference.cores().items():
        for threads in (1, 2, 3):
            for split in (1, 700, 3000):
                histogram, other = core.ValueHistogram(), core.ValueHistogram()
                histogram.update(X[:split], threads)
                other.update(X[split:], threads) if split < 3000 else None
                histogram.merge(other)
                assert histogram.count == X.size
                rows = core.choose_row_steps(X[:50], 5, 33, rule_of[name], threads)
                found.add((histogram.step(5, rule_of[name]), rows.tobytes()))
    assert len(found) == 1


def test_histogram_bins_hold_every_value_once():
    X = np.random.default_rng(8).standard_normal((400, 10)).astype(np.float32)
    histogram = _core.ValueHistogram()
    histogram.update(X, 2)
    means, counts = histogram.bins()
    assert counts.sum() == X.size
    assert (np.diff(means) > 0).all()
    assert (means * counts).sum() == pytest.approx(X.astype(np.float64).sum(), rel=1e-12)
    assert histogram.maximum == np.abs(X).max()


# Stochastic rounding


def test_philox_known_answer():
    assert reference.philox((0, 0, 0, 0), (0, 0)) == [
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    ]


@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("dim", [1, 7, 65])
def test_stochastic_codes_depend_on_seed_row_and_column_alone(bits, dim):
    X = np.random.default_rng(0).standard_normal((9, dim)).astype(np.float32)
    steps = np.array([0.1], np.float32)
    for seed in (0, 2**40 + 5):
        random = reference.unit_random(seed, 9, dim)
        expected = reference.pack(reference.uniform_codes(X, steps, bits, random), bits)
        for core in reference.cores().values():
            for threads in (1, 2, 3):
                for split in (0, 4):
                    found = np.empty_like(expected)
                    for first, last in ((0, split), (split, 9)):
                        core.encode_uniform(
                            X[first:last], first, bits, dim, steps, False, True, seed,
                            found[first:last], threads,
                        )  # fmt: skip
                    np.testing.assert_array_equal(found, expected)


def test_stochastic_rounding_is_unbiased():
    X = np.full((20_000, 10), 0.3, np.float32)
    for bits in (1, 4):
        table = emcomp.compress(X, Uniform(bits, clip=1.0, rounding="stochastic", seed=1))
        step = 2 / (2**bits - 1)
        spread = 5 * step / 2 / np.sqrt(X.size)
        assert table.decode().mean(dtype=np.float64) == pytest.approx(0.3, abs=spread)
    other = emcomp.compress(X, Uniform(1, clip=1.0, rounding="stochastic", seed=2))
    same = emcomp.compress(X, Uniform(1, clip=1.0, rounding="stochastic", seed=2))
    first = emcomp.compress(X, Uniform(1, clip=1.0, rounding="stochastic", seed=1))
    assert (other.tensors["codes"] == same.tensors["codes"]).all()
    assert (other.tensors["codes"] != first.tensors["codes"]).any()


def test_values_on_a_level_stay_there_under_stochastic_rounding():
    levels = ((np.arange(256) - 127.5) * np.float32(2 / 255)).astype(np.float32)
    table = emcomp.compress(levels[None, :], Uniform(8, clip=1.0, rounding="stochastic"))
    codes = reference.unpack(table.tensors["codes"], 256, 8)[0].astype(int)
    assert np.abs(codes - np.arange(256)).max() <= 1  # the level itself is rounded to float32


# Zeros and steps


@pytest.mark.parametrize("bits", reference.WIDTHS)
def test_zero_rows_come_back_as_positive_zeros(bits):
    X = np.random.default_rng(0).standard_normal((4, 20)).astype(np.float32)
    X[2] = 0
    X[1, 8:16] = 0
    rows = emcomp.compress(X, Uniform(bits, "row")).decode()
    assert (rows[2] == 0).all()
    assert not np.signbit(rows[2]).any()
    groups = emcomp.compress(X, Uniform(bits, 8)).decode()
    assert (groups[1, 8:16] == 0).all()
    assert (groups[2] == 0).all()
    assert (emcomp.compress(X * 0, Uniform(bits)).decode() == 0).all()
    # The whole matrix's levels have no zero: half a step is the best that they can do.
    whole = emcomp.compress(X, Uniform(bits))
    np.testing.assert_array_equal(np.abs(whole.decode()[2]), whole.tensors["steps"][0] / 2)


@pytest.mark.parametrize("granularity", ["matrix", "row", "column", 8, 20])
def test_float16_steps_are_what_rows_are_made_of(granularity):
    X = np.random.default_rng(1).standard_normal((50, 20)).astype(np.float32)
    table = emcomp.compress(X, Uniform(4, granularity, step_dtype="float16"))
    steps = table.tensors["steps"]
    assert steps.dtype == np.float16
    single = emcomp.compress(X, Uniform(4, granularity))
    assert table.nbytes == single.nbytes - steps.size * 2
    assert table.nbytes == sum(t.nbytes for t in table.tensors.values())
    assert table.nbytes == table.codec.nbytes(X.shape)
    group = table.codec.group(20)
    spread = np.repeat(steps.astype(np.float32).reshape(-1, -(-20 // group)), group, axis=1)[:, :20]
    codes = reference.uniform_codes(X, spread, 4)
    np.testing.assert_array_equal(table.decode(), reference.uniform_values(codes, spread, 4))


def test_steps_that_float16_would_distort_are_refused():
    for scale in (1e-6, 1e7):
        X = np.ones((3, 4), np.float32) * scale
        with pytest.raises(emcomp.InputError, match="float32"):
            emcomp.compress(X, Uniform(4, step_dtype="float16"))


# Settings and bad input


@pytest.mark.parametrize(
    "settings",
    [
        {"bits": 0}, {"bits": 9}, {"bits": 4.0}, {"bits": True}, {"bits": "4"},
        {"bits": 4, "granularity": 0}, {"bits": 4, "granularity": "rows"},
        {"bits": 4, "clip": 0}, {"bits": 4, "clip": -1.0}, {"bits": 4, "clip": float("nan")},
        {"bits": 4, "clip": "quantile:0"}, {"bits": 4, "clip": "quantile:x"},
        {"bits": 4, "clip": "min"}, {"bits": 4, "rounding": "up"}, {"bits": 4, "seed": -1},
        {"bits": 4, "seed": 2**64}, {"bits": 4, "step_dtype": "float64"},
    ],
)  # fmt: skip
def test_bad_settings_are_refused(settings):
    with pytest.raises(emcomp.InputError):
        Uniform(**settings)


def test_a_group_wider_than_the_table_is_refused():
    with pytest.raises(emcomp.InputError, match="wider"):
        emcomp.compress(np.ones((3, 4), np.float32), Uniform(4, 5))


@pytest.mark.parametrize("codec", ["uniform:4", "uniform:4(granularity=row)",
                                   "uniform:4(granularity=column)", "uniform:4(clip=1.5)"])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nonfinite_entries_are_counted_and_placed(codec, dtype):
    X = np.ones((700, 9), dtype)
    X[300, 4], X[300, 7], X[650, 0] = np.nan, np.inf, -np.inf
    with pytest.raises(emcomp.InputError, match=r"^3 of .* row 300, column 4"):
        emcomp.compress(X, codec)


def test_float64_beyond_float32_is_refused():
    X = np.ones((4, 4))
    X[2, 1] = 1e300
    with pytest.raises(emcomp.InputError, match="row 2, column 1"):
        emcomp.compress(X)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    ),
    st.integers(1, 8),
    st.sampled_from(["matrix", "row", "column"]),
)
def test_entries_within_the_largest_range_move_by_half_a_step_at_most(X, bits, granularity):
    table = emcomp.compress(X, Uniform(bits, granularity, clip="max"))
    steps = table.tensors["steps"].astype(np.float64)
    half_step = (steps[:, None] if granularity == "row" else steps) / 2
    error = np.abs(table.decode().astype(np.float64) - X.astype(np.float64))
    magnitude = np.abs(X).max(initial=0).astype(np.float64)
    assert (error <= half_step * (1 + 1e-5) + magnitude * 1e-6 + 1e-37).all()
