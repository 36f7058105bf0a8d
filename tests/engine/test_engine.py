"""Folds over rows: the same result however the rows are cut among those who compute it."""

import pickle

import numpy as np
import pytest

import emcomp
from emcomp import _core
from emcomp.codecs.base import parse_codec
from emcomp.engine import base as engine
from emcomp.engine.base import Engine, MergeTree, part_rows, parts
from emcomp.io.sources.base import Block, as_source
from emcomp.measures.neighbours import Nearest

CODECS = [
    "uniform:3",
    "uniform:3(granularity=row)",
    "uniform:2(granularity=column,rounding=stochastic)",
    "kmeans:3",
    "kmeans:2(granularity=3)",
    "pq:4x4",
    "pq:4x4(sample=500)",
    "opq:4x4(rotations=2)",
    "rq:3x4",
    "dccl:4x4(epochs=1,refine=0)",
    "dccl:4x4(epochs=1,refine=1)",
    "dccl:4x4(epochs=1,refine=1,sample=100)",
    "float:16",
    "svd:5(map_dtype=float16)+uniform:4",
    "pca:5",
    "rotate(scales=row)+kmeans:3",
    "whiten+kmeans:3",
    "principal+allocate:3",
    "trellis:2(rounds=2)",
    "trellis:2(rounds=1,classes=auto)",
    "trellis:2.3(rounds=2,sample=100,widths=column)",
    "autoencoder:4(epochs=1)+uniform:4",
    "autoencoder:4(epochs=1,activation=elu,sample=500)",
    "direction:5+rotate(scales=row)+uniform:4(granularity=row)",
]


class Order:
    """A statistic that remembers how it was merged."""

    def __init__(self, number):
        self.merged = number

    def merge(self, following):
        self.merged = (self.merged, following.merged)


def merged(count):
    tree = MergeTree()
    for number in range(count):
        tree.add(Order(number))
    return tree.result().merged


def test_merges_neighbours_of_equal_size_first():
    assert merged(1) == 0
    assert merged(3) == ((0, 1), 2)
    assert merged(7) == (((0, 1), (2, 3)), ((4, 5), 6))


@pytest.mark.parametrize("dim", [1, 7, 300, 4096, 100_000])
def test_parts_cover_the_rows_and_begin_where_sums_do(dim):
    rows = 3 * part_rows(dim) + 5
    found = list(parts((rows, dim)))
    assert [count for _, count in found] == [part_rows(dim)] * 3 + [5]
    assert [first for first, _ in found] == [i * part_rows(dim) for i in range(4)]
    assert part_rows(dim) % _core.SUM_ROWS == 0


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(engine, "part_rows", lambda dim: 256)


def rows_of(count=1000, dim=12):
    X = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    X[:, 0] *= 20
    return X


@pytest.mark.parametrize("codec", CODECS)
def test_a_fitted_codec_is_its_tensors(codec):
    X = rows_of()
    fitted = parse_codec(codec).fit(as_source(X), Engine(2))
    again = pickle.loads(pickle.dumps(fitted))
    assert dict(again.info) == dict(fitted.info)
    assert again.shared_tensors.keys() == fitted.shared_tensors.keys()
    for first, count in [(0, 1000), (700, 300)]:
        block = Block(first, X[first : first + count])
        results = [one.encode_rows(block, 2) for one in (fitted, again)]
        for name, tensor in results[0].items():
            assert np.array_equal(tensor, results[1][name]), name


@pytest.mark.parametrize("codec", CODECS)
def test_many_parts_give_what_one_part_gives(codec, monkeypatch):
    X = rows_of()
    whole = emcomp.compress(X, codec)
    monkeypatch.setattr(engine, "part_rows", lambda dim: 256)
    cut = emcomp.compress(X, codec)
    # Only the order of float64 sums differs.
    np.testing.assert_allclose(cut.decode(), whole.decode(), atol=1e-5)


@pytest.mark.usefixtures("small_parts")
def test_measures_of_many_parts():
    X = rows_of()
    table = emcomp.compress(X, "uniform:2")
    report = emcomp.evaluate(X, table)
    U, V = (np.linalg.svd(np.asarray(t, np.float64), full_matrices=False)[0] for t in (X, table[:]))
    assert report.scores["table"]["eos"].value == pytest.approx(
        np.linalg.norm(U.T @ V) ** 2 / 12, rel=1e-10
    )
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    decoded = table[:] / np.linalg.norm(table[:], axis=1, keepdims=True)
    near = []
    for rows in (unit, decoded):
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, -2)
        near.append(np.argsort(-cosines, axis=1, kind="stable")[:, :5])
    shared = [len(set(a) & set(b)) / 5 for a, b in zip(*near, strict=True)]
    assert emcomp.measures.neighbour_overlap(X, table, queries=1000) == pytest.approx(
        np.mean(shared), abs=2e-3
    )


@pytest.mark.usefixtures("small_parts")
def test_a_bad_entry_is_named_in_a_later_part():
    X = rows_of()
    X[600, 3] = X[900, 1] = np.nan
    with pytest.raises(emcomp.InputError, match=r"2 of .* row 600, column 3"):
        emcomp.compress(X, "rotate+uniform:2")


def test_equal_cosines_keep_the_smaller_index():
    near = Nearest(np.array([[0.5, 0.2]], np.float32), np.array([[3, 1]]))
    near.merge(Nearest(np.array([[0.5, 0.2]], np.float32), np.array([[7, 8]])))
    assert near.index.tolist() == [[3, 7]]


def test_statistics_can_be_sent():
    X = rows_of()
    histogram, columns = _core.ValueHistogram(12), _core.ColumnHistograms(12, 5, 9)
    sums = _core.SquaredError()
    for statistic in (histogram, columns):
        statistic.update(X, 1)
    sums.update(X, X + 1, 1)
    for statistic in (histogram, columns):
        sent = pickle.loads(pickle.dumps(statistic))
        for _ in range(2):  # also after a merge
            for found, expected in zip(
                _core.optimal_levels(sent, 3, 1), _core.optimal_levels(statistic, 3, 1), strict=True
            ):
                assert np.array_equal(found, expected)
            sent.merge(statistic)
            statistic.merge(pickle.loads(pickle.dumps(statistic)))
    again = pickle.loads(pickle.dumps(sums))
    assert (again.error, again.total) == (sums.error, sums.total)
    with pytest.raises(emcomp.InputError, match="not the state of a histogram"):
        _core.ValueHistogram.__new__(_core.ValueHistogram).__setstate__(
            np.array([10, 1, 0, 700], np.uint64)
        )
