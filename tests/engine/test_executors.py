"""Workers of an executor: the same bytes and measures as in one process."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import emcomp
from emcomp.tables.shard_index import INDEX
from tests.helpers.streamed_rows import CODECS, make_rows, small_parts  # noqa: F401


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as executor:
        yield executor


@pytest.mark.parametrize("codec", CODECS)
def test_workers_give_the_same_bytes(X, codec, processes, tmp_path):
    np.save(tmp_path / "X.npy", X)
    expected = emcomp.compress(X, codec)
    shards = emcomp.compress(
        tmp_path / "X.npy", codec, executor=processes, out=tmp_path / "s", shard_rows=300
    )
    memory = emcomp.compress(tmp_path / "X.npy", codec, executor=processes)
    with ThreadPoolExecutor(3) as threads:
        threaded = emcomp.compress(X, codec, executor=threads)
    for table in (shards, memory, threaded):
        for name, tensor in expected.tensors.items():
            assert np.array_equal(table.tensors[name], tensor), name


def test_workers_measure_the_same(X, processes, tmp_path):
    np.save(tmp_path / "X.npy", X)
    emcomp.compress(X, "uniform:2", out=tmp_path / "t", shard_rows=300)
    here = emcomp.evaluate(X, emcomp.open(tmp_path / "t"))
    there = emcomp.evaluate(tmp_path / "X.npy", tmp_path / "t", executor=processes)
    assert there.scores == here.scores
    # A table with fewer latents than entries is measured by its latents.
    table = emcomp.compress(X, "direction:5+float:16", out=tmp_path / "d", shard_rows=300)
    there = emcomp.evaluate(tmp_path / "X.npy", tmp_path / "d", ["eos"], executor=processes)
    assert there.scores["table"]["eos"].value == emcomp.eos(X, table)
    table.save(tmp_path / "one.emcomp")
    assert emcomp.eos(X, emcomp.open(tmp_path / "one.emcomp")) == emcomp.eos(X, table)
    chosen = emcomp.select(
        tmp_path / "X.npy", budget="4bits", candidates=["uniform:2", "kmeans:3"], executor=processes
    )
    assert str(chosen.table.codec) == "kmeans:3"


def test_rows_in_memory_are_not_sent_around(X, processes, monkeypatch):
    monkeypatch.setattr("emcomp.engine.executors.LARGEST_TASK", 10_000)
    with pytest.raises(emcomp.InputError, match="path of a file"):
        emcomp.compress(X, executor=processes)


def test_a_bad_entry_is_named_by_workers(X, processes, tmp_path):
    bad = X.copy()
    bad[700, 2] = bad[800, 1] = np.nan
    np.save(tmp_path / "X.npy", bad)
    with pytest.raises(emcomp.InputError, match=r"2 of .* row 700, column 2"):
        emcomp.compress(tmp_path / "X.npy", executor=processes, out=tmp_path / "s", shard_rows=300)
    assert not (tmp_path / "s" / INDEX).exists()


@pytest.mark.parametrize("options", [{}, {"shard_rows": 300}])
def test_a_table_that_has_changed_is_refused_by_workers(X, processes, options, tmp_path):
    np.save(tmp_path / "X.npy", X)
    emcomp.compress(X, "uniform:2", out=tmp_path / "t", **options)
    opened = emcomp.open(tmp_path / "t")
    if options:
        emcomp.append(tmp_path / "t", X[:5])
    else:
        emcomp.compress(X, "uniform:3", out=tmp_path / "t")
    with pytest.raises(emcomp.InputError, match="has changed since it was opened"):
        emcomp.evaluate(tmp_path / "X.npy", opened, ["eos"], executor=processes)
