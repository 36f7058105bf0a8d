"""Gram sums: exact to rounding, and the same bits however they are computed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcomp
from emcomp import InputError, _core
from emcomp.engine.base import Engine
from emcomp.io.sources.base import FirstRows, as_source
from emcomp.statistics.row_sums import (
    View,
    column_means,
    gather_rows,
    gram_matrix,
    pair_sums,
)
from emcomp.tables.opening import open_table


def table(rows, dim, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(dtype)


def view(array, **maps):
    return View(as_source(array), "X", **maps)


class Chopped:
    """A source that hands out copies, of a type of its own."""

    def __init__(self, array, dtype=np.float32):
        self.array, self.dtype = array, dtype
        self.largest_read = 0

    @property
    def shape(self):
        return self.array.shape

    def read(self, first, count):
        self.largest_read = max(self.largest_read, count)
        return self.array[first : first + count].astype(self.dtype)


@pytest.mark.parametrize("dim", [1, 7, 8, 9, 63, 64, 65, 257])
@pytest.mark.parametrize("rows", [1, 255, 257])
def test_sums_agree_with_numpy(rows, dim):
    a, b = table(rows, dim), table(rows, 5, 1)
    sums = pair_sums(view(a), view(b), Engine(2))
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    np.testing.assert_allclose(gram_matrix(view(a), Engine(2)), a64.T @ a64, atol=1e-12 * rows)
    np.testing.assert_allclose(sums.gram, b64.T @ b64, atol=1e-12 * rows)
    np.testing.assert_allclose(sums.cross, a64.T @ b64, atol=1e-12 * rows)
    assert sums.distances is None


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_any_type_and_layout(dtype):
    a = table(300, 9).astype(dtype)
    expected = a.astype(np.float64).T @ a.astype(np.float64)
    wide = np.zeros((600, 18), dtype=dtype)
    wide[::2, ::2] = a
    flipped = np.asfortranarray(a[::-1])[::-1]
    for layout in (a, wide[::2, ::2], flipped):
        np.testing.assert_allclose(
            gram_matrix(view(layout), Engine(1)), expected, rtol=1e-13, atol=1e-11
        )


def test_float64_is_not_rounded():
    a = np.full((3, 1), 1 + 2.0**-40)
    assert gram_matrix(view(a), Engine(1))[0, 0] == pytest.approx(
        3 * (1 + 2.0**-40) ** 2, rel=1e-15
    )


def test_centre_map_and_projection():
    a, b = table(500, 6).astype(np.float64) + 3, table(500, 4, 1).astype(np.float64)
    centre, matrix = a.mean(axis=0), table(6, 3, 2).astype(np.float64)
    projection = table(3, 4, 3).astype(np.float64)
    mapped = (a - centre) @ matrix
    rest = b - mapped @ projection
    sums = pair_sums(view(a, centre=centre, map=matrix), view(b), Engine(2), projection=projection)
    np.testing.assert_allclose(sums.gram, rest.T @ rest, rtol=1e-12)
    np.testing.assert_allclose(sums.cross, mapped.T @ rest, atol=1e-10)
    np.testing.assert_allclose(column_means(view(a), Engine(2)), centre, rtol=1e-14)


def test_distances():
    a, b = table(1000, 7), table(1000, 7, 1)
    a[3] = b[3] = 0
    a[4] = 0
    b[5] = 2 * a[5]
    sums = pair_sums(view(a), view(b), Engine(2), distances=True).distances
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    difference = a64 - b64
    norms = np.linalg.norm(a64, axis=1) * np.linalg.norm(b64, axis=1)
    cosines = np.divide((a64 * b64).sum(axis=1), norms, out=np.zeros(1000), where=norms > 0)
    cosines[3] = 1  # two zero rows are equal
    expected = [
        (difference**2).sum(),
        np.linalg.norm(difference, axis=1).sum(),
        (1 - cosines).sum(),
    ]
    np.testing.assert_allclose(sums, expected, rtol=1e-12)


def test_the_same_bits_for_any_threads_and_reads(monkeypatch):
    a, b = table(3 * _core.SUM_ROWS + 77, 33), table(3 * _core.SUM_ROWS + 77, 17, 1)
    first = pair_sums(view(a), view(b), Engine(1))
    same = pair_sums(view(a[:, :17]), view(b), Engine(1), distances=True).distances
    for threads in (2, 3):
        again = pair_sums(view(a), view(b), Engine(threads))
        assert np.array_equal(again.gram, first.gram)
        assert np.array_equal(again.cross, first.cross)
    monkeypatch.setattr(
        "emcomp.statistics.row_sums.block_rows", lambda dim: 1
    )  # the smallest reads
    source = Chopped(a)
    again = pair_sums(View(source, "X"), View(Chopped(b), "Xq"), Engine(1))
    assert source.largest_read == _core.SUM_ROWS
    assert np.array_equal(again.gram, first.gram)
    assert np.array_equal(again.cross, first.cross)
    chopped = pair_sums(
        view(a[:, :17]), View(Chopped(b), "Xq"), Engine(2), distances=True
    ).distances
    assert np.array_equal(chopped, same)


@pytest.mark.parametrize("threads", [1, 2])
def test_names_the_first_entry_that_is_not_finite(threads):
    rows = 3 * _core.SUM_ROWS
    a = table(rows, 3)
    a[rows - 1, 0] = np.inf
    a[_core.SUM_ROWS + 5, 2] = np.nan
    for call in (gram_matrix, column_means):
        with pytest.raises(
            InputError, match=f"X: .*row {_core.SUM_ROWS + 5}, column 2 is not a num"
        ):
            call(view(a), Engine(threads))
    a[_core.SUM_ROWS + 5, 2] = 0
    with pytest.raises(InputError, match=f"row {rows - 1}, column 0 is infinite"):
        pair_sums(view(table(rows, 2)), view(a), Engine(threads))


def test_overflowing_squares_are_an_error():
    with pytest.raises(InputError, match="overflow"):
        gram_matrix(view(np.full((2, 2), 1e200)), Engine(1))


def test_paths_first_rows_and_gather(tmp_path):
    a = table(100, 4)
    np.save(tmp_path / "a.npy", a)
    source = open_table(tmp_path / "a.npy")
    assert np.array_equal(source.read(0, 100), a)
    assert not source.read(0, 1).flags.owndata
    assert np.array_equal(
        gram_matrix(View(FirstRows(source, 30), "X"), Engine(1)),
        gram_matrix(view(a[:30]), Engine(1)),
    )
    assert FirstRows(source, 1000).shape == (100, 4)
    index = np.array([0, 7, 99])
    assert np.array_equal(gather_rows(source, index, "X", Engine(1)), a[index].astype(np.float64))
    emcomp.compress(a, "uniform:3").save(tmp_path / "a.emcomp")
    assert np.array_equal(
        open_table(tmp_path / "a.emcomp").read(3, 5),
        emcomp.compress(a, "uniform:3").decode(3, 5),
    )
    emcomp.write_vectors(tmp_path / "a.txt", a, [f"w{i}" for i in range(100)])
    assert np.array_equal(open_table(str(tmp_path / "a.txt")).read(0, 100), a)
    with pytest.raises(FileNotFoundError):
        open_table("words.txt")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 600), st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_any_shape(rows, a_dim, b_dim, seed):
    a, b = table(rows, a_dim, seed, np.float64), table(rows, b_dim, seed + 1, np.float64)
    sums = pair_sums(view(a), view(b), Engine(2))
    np.testing.assert_allclose(sums.cross, a.T @ b, atol=1e-11)
    assert np.array_equal(sums.gram, sums.gram.T)
