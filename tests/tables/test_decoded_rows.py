from __future__ import annotations

import numpy as np
import pytest

import emcomp
from emcomp.errors import InputError
from emcomp.tables.decoded_rows import DecodedRows

VECTOR = np.cos(np.arange(24, dtype=np.float32))


@pytest.fixture(scope="module", params=["uniform:3(granularity=row)", "pq:8x4", "svd:5"])
def both(request):
    X = np.random.default_rng(0).standard_normal((700, 24))
    table = emcomp.compress(X, request.param)
    return DecodedRows(table), table.decode()


KEYS = [
    0,
    -1,
    np.int32(5),
    [3, 3, -2],
    np.array([[1], [2]]),
    slice(None, None, -7),
    slice(9, 2),
    [],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexed_as_the_matrix(both, key):
    rows, X = both
    np.testing.assert_array_equal(part_of(rows, key), X[key])
    np.testing.assert_array_equal(part_of(rows[5:600], key), X[5:600][key])


def part_of(rows, key):
    found = rows[key]
    return found[list(range(len(found)))] if isinstance(found, DecodedRows) else found


def test_indexed_by_a_mask(both):
    rows, X = both
    np.testing.assert_array_equal(rows[X[:, 0] > 0], X[X[:, 0] > 0])
    np.testing.assert_array_equal(rows[50:][X[50:, 0] > 0], X[50:][X[50:, 0] > 0])


def test_looks_like_the_matrix(both):
    rows, X = both
    assert (rows.shape, rows.dtype, rows.ndim, len(rows)) == (X.shape, X.dtype, X.ndim, len(X))
    part = rows[100:][3:-5]
    assert isinstance(part, DecodedRows)
    assert part.shape == X[100:][3:-5].shape
    np.testing.assert_array_equal(part[0], X[103])
    np.testing.assert_array_equal(np.array(list(part)), X[103:-5])


def test_multiplied_as_the_matrix(both):
    rows, X = both
    part, wanted = rows[103:-5], X[103:-5]
    matrix = np.random.default_rng(8).standard_normal((24, 3))
    for product in (part @ matrix, np.dot(part, matrix)):
        assert product.dtype == np.float64
        np.testing.assert_allclose(product, wanted @ matrix, rtol=1e-12, atol=1e-12)
    for product in (part @ VECTOR, np.dot(part, VECTOR)):
        assert product.dtype == np.float32
        np.testing.assert_allclose(product, wanted @ VECTOR, atol=1e-5)
    for axis in (1, -1):
        np.testing.assert_array_equal(
            np.linalg.norm(part, axis=axis), np.linalg.norm(wanted, axis=1)
        )
    np.testing.assert_array_equal(rows[5:5] @ VECTOR, np.empty(0, np.float32))
    with pytest.raises(ValueError, match="24"):
        rows @ VECTOR[:5]


def test_decoded_block_by_block(both, monkeypatch):
    rows, X = both
    assert [(first, len(part)) for first, part in rows[:20].blocks(4 * 24 * 7 + 5)] == [
        (0, 7),
        (7, 7),
        (14, 6),
    ]
    monkeypatch.setattr(DecodedRows.blocks, "__defaults__", (4 * 24 * 7, 1))
    np.testing.assert_allclose(rows[1:] @ VECTOR, X[1:] @ VECTOR, atol=1e-5)


def test_a_source_of_rows(both):
    rows, X = both
    again = emcomp.compress(rows[100:300], "float:32")
    np.testing.assert_array_equal(again.decode(), X[100:300])


def test_wrong_indices(both):
    rows, _ = both
    for wrong in (700, -701, [0, 700]):
        with pytest.raises(IndexError, match="out of range for 700 rows"):
            rows[wrong]
    with pytest.raises(IndexError, match="row 200 is out of range for 200 rows"):
        rows[100:300][[0, 200]]
    with pytest.raises(InputError, match="float64"):
        rows[[0.5]]
    with pytest.raises(InputError, match="bool"):
        rows[[True, False]]


@pytest.mark.parametrize("use", [
    np.asarray,
    np.mean,
    np.linalg.norm,
    lambda rows: np.linalg.norm(rows, axis=0),
    lambda rows: np.linalg.norm(rows, 1, axis=1),
    lambda rows: np.vstack([rows, rows]),
    lambda rows: np.dot(VECTOR[:, None], rows),
    lambda rows: VECTOR @ rows,
    lambda rows: np.matmul(rows, rows),
    lambda rows: np.dot(rows, rows[:24]),
    lambda rows: rows / VECTOR,
])  # fmt: skip
def test_is_never_made_whole_by_accident(both, use):
    with pytest.raises(InputError, match=r"[0-9,]+ bytes.*table\.decode\(\)"):
        use(both[0])
