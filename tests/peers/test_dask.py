"""A Dask cluster gives what one process gives, whatever happens to its workers."""

import numpy as np
import pytest

import emcomp
from emcomp.engine.base import Engine
from emcomp.engine.executors import make_engine

pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

from tests.helpers.dask_cluster import (
    Cluster,
    MortalSource,
    RangesPart,
    sparse_table,
    tasks_known,
    thread_limits,
    wait_for,
)
from tests.helpers.streamed_rows import streamed_rows

CODECS = [
    "uniform:3(granularity=row)",
    "uniform:2(granularity=column,rounding=stochastic,seed=3)",
    "kmeans:3",
    "pq:4x4(sample=500)",
    "pq:4x4(iterations=4)",  # every round is a pass over all rows
    "opq:4x4(sample=500,rotations=1)",
    "rq:2x4",
    "dccl:2(epochs=1,codewords=4)",
    "dccl:4x4(epochs=1,refine=0)",
    "svd:5(map_dtype=float16)+uniform:4",
    "rotate(scales=row)+kmeans:3",
    "whiten+kmeans:3",
    "trellis:2(rounds=2,sample=300)",
    "trellis:2(rounds=1,classes=3)",
    "direction:5",
    "autoencoder:5(epochs=1)+uniform:4",
]


pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def X():
    return streamed_rows(2000)


@pytest.fixture(name="path")
def save_rows(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return tmp_path / "X.npy"


def assert_same(table, expected):
    assert set(table.tensors) == set(expected.tensors)
    for name, tensor in expected.tensors.items():
        assert np.array_equal(table.tensors[name], tensor), name


def telling(order, phase):
    """Progress that gives the order once, when a phase has begun."""
    phases = [phase]

    def progress(now, done, total):
        if now in phases:
            phases.remove(now)
            order.touch()

    return progress


@pytest.mark.parametrize("codec", CODECS)
def test_a_cluster_gives_the_same_bytes(X, path, codec, cluster, tmp_path):
    client = cluster.have(2)
    emcomp.compress(path, codec, executor=client, out=tmp_path / "a.emcomp")
    emcomp.compress(X, codec).save(tmp_path / "b.emcomp")
    assert (tmp_path / "a.emcomp").read_bytes() == (tmp_path / "b.emcomp").read_bytes()


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_and_partitions(X, path, workers, cluster, tmp_path):
    client = cluster.have(workers)
    expected = emcomp.compress(X, "whiten+kmeans:3")
    assert_same(emcomp.compress(path, "whiten+kmeans:3", executor=client), expected)
    for rows in (300, 777):
        out = tmp_path / str(rows)
        table = emcomp.compress(path, "whiten+kmeans:3", executor=client, out=out, shard_rows=rows)
        assert_same(table, expected)


@pytest.mark.parametrize("chunks", [(100, 12), (1999, 5)])
def test_dask_arrays(chunks, cluster, tmp_path):
    client = cluster.have(2)
    array = da.random.default_rng(0).standard_normal((2000, 12), chunks=chunks)
    array = array.astype(np.float32)
    X = array.compute()
    for given in (array, array.persist()):
        table = emcomp.compress(given, "svd:5+kmeans:3", executor=client)
        assert_same(table, emcomp.compress(X, "svd:5+kmeans:3"))
        report = emcomp.evaluate(given, table, ["eos"], executor=client)
        assert report.scores == emcomp.evaluate(X, table, ["eos"]).scores


def test_measures_and_selects_the_same(X, path, cluster, tmp_path):
    client = cluster.have(2)
    emcomp.compress(X, "uniform:2", out=tmp_path / "t", shard_rows=700)
    there = emcomp.evaluate(path, tmp_path / "t", executor=client)
    assert there.scores == emcomp.evaluate(X, emcomp.open(tmp_path / "t")).scores
    options = {"budget": "4bits", "candidates": ["uniform:2", "kmeans:3"]}
    chosen = emcomp.select(path, **options, executor=client)
    assert_same(chosen.table, emcomp.select(X, **options).table)


def test_added_rows(X, path, cluster, tmp_path):
    client = cluster.have(2)
    emcomp.compress(X, "kmeans:3", out=tmp_path / "a", shard_rows=700)
    emcomp.compress(X, "kmeans:3", out=tmp_path / "b", shard_rows=700)
    assert emcomp.append(tmp_path / "a", path, executor=client) == emcomp.append(tmp_path / "b", X)
    assert_same(emcomp.open(tmp_path / "a"), emcomp.open(tmp_path / "b"))


# Workers that die


@pytest.mark.parametrize("phase", ["check", "fit", "encode"])
def test_a_worker_dies_while_compressing(X, path, phase, cluster, tmp_path):
    client = cluster.have(2)
    order = tmp_path / "die"
    table = emcomp.compress(
        MortalSource(path, order),
        "svd:5+uniform:4",
        executor=client,
        out=tmp_path / "t",
        shard_rows=256,
        progress=telling(order, phase),
    )
    assert cluster.alive == 1
    assert_same(table, emcomp.compress(X, "svd:5+uniform:4"))


def test_a_worker_dies_while_merging(cluster, tmp_path):
    client = cluster.have(2)
    order = tmp_path / "die"
    order.touch()
    shape = (256 * 13, 12)
    found = make_engine(client).fold("fit", shape, RangesPart(order)).found
    assert cluster.alive == 1
    assert found == Engine(1).fold("fit", shape, RangesPart(order)).found


def test_a_worker_dies_while_measuring(X, path, cluster, tmp_path, monkeypatch):
    client = cluster.have(2)
    order = tmp_path / "die"
    emcomp.compress(X, "uniform:2", out=tmp_path / "t", shard_rows=700)
    monkeypatch.setattr(
        "emcomp.measures.evaluation.make_engine",
        lambda *given: make_engine(*given, telling(order, "sums")),
    )
    there = emcomp.evaluate(
        MortalSource(path, order), tmp_path / "t", ["eos", "frobenius_error"], executor=client
    )
    assert cluster.alive == 1
    here = emcomp.evaluate(X, emcomp.open(tmp_path / "t"), ["eos", "frobenius_error"])
    assert there.scores == here.scores


# Shards that are not as they should be


@pytest.fixture(name="parts")
def save_parts(X, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(4):
        np.save(folder / f"{number}.npy", X[500 * number : 500 * (number + 1)])
    return folder


def test_shards_together_are_one_table(X, parts, cluster):
    assert_same(
        emcomp.compress(parts, "kmeans:3", executor=cluster.have(2)), emcomp.compress(X, "kmeans:3")
    )


def test_a_bad_entry_is_named_with_its_shard(X, parts, cluster, tmp_path):
    bad = X[1000:1500].copy()
    bad[70, 3] = np.nan
    np.save(parts / "2.npy", bad)
    message = r"row 1070, column 3 .*row 70 of .*2\.npy"
    with pytest.raises(emcomp.InputError, match=message):
        emcomp.compress(parts, executor=cluster.have(2), out=tmp_path / "t", shard_rows=256)
    assert not (tmp_path / "t").exists()  # nothing was finished


@pytest.mark.parametrize("phase", ["check", "fit", "encode"])
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_shard_that_is_lost_is_named(X, parts, harm, phase, cluster, tmp_path):
    lost = parts / "3.npy"
    whole = lost.read_bytes()
    out = tmp_path / "t"

    def progress(now, done, total):
        if now == phase and done == 0:
            lost.unlink()
            if harm == "truncated":
                lost.write_bytes(whole[:999])

    options = {"codec": "svd:5+uniform:4", "executor": cluster.have(2), "out": out}
    expected = FileNotFoundError if harm == "missing" else emcomp.InputError
    with pytest.raises(expected, match=r"3\.npy"):
        emcomp.compress(parts, **options, shard_rows=256, progress=progress)
    assert out.exists() == (phase == "encode")  # where the fit was finished
    with pytest.raises((emcomp.FormatError, FileNotFoundError)):
        emcomp.open(out)
    if harm == "truncated":
        with pytest.raises(emcomp.CorruptFileError, match=r"3\.npy.* row 18"):
            emcomp.compress(parts, **options, shard_rows=256, resume=True)
    lost.write_bytes(whole)
    table = emcomp.compress(parts, **options, shard_rows=256, resume=True)
    assert_same(table, emcomp.compress(X, "svd:5+uniform:4"))


# Limits


def test_workers_with_little_memory(cluster, tmp_path, monkeypatch):
    monkeypatch.undo()  # parts of the usual size
    sparse_table(tmp_path / "X.npy", 1_000_000, 300)  # 600 MB
    expected = emcomp.compress(tmp_path / "X.npy", "uniform:4(clip=4)")
    cluster.have(0)
    client = cluster.have(1, "--nanny", "--memory-limit", "500 MB")
    try:
        table = emcomp.compress(
            tmp_path / "X.npy", "uniform:4(clip=4)", executor=client, out=tmp_path / "t.emcomp"
        )
    finally:
        cluster.have(0)
    assert_same(table, expected)


def test_what_is_left_is_cancelled(path, cluster):
    client = cluster.have(1)
    before = client.run_on_scheduler(tasks_known)  # other tests' that are still to be released

    def interrupted(phase, done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emcomp.compress(path, "kmeans:3", executor=client, progress=interrupted)
    wait_for(
        lambda: client.run_on_scheduler(tasks_known).keys() <= before.keys(),
        lambda: client.run_on_scheduler(tasks_known),
    )


@pytest.mark.parametrize(("given", "threads"), [(None, 1), (3, 3)])
def test_threads_of_workers(given, threads, cluster):
    assert make_engine(cluster.have(1), given).call(thread_limits) == (threads, threads)


def test_rows_in_memory_are_not_sent_around(X, cluster, monkeypatch):
    client = cluster.have(1)
    assert_same(emcomp.compress(X, executor=client), emcomp.compress(X))
    monkeypatch.setattr("emcomp.engine.executors.LARGEST_TASK", 10_000)
    with pytest.raises(emcomp.InputError, match="a Dask array"):
        emcomp.compress(X, executor=client)


def test_an_asynchronous_client_is_refused():
    asynchronous = {"asynchronous": True, "__module__": "distributed.client"}
    with pytest.raises(emcomp.InputError, match="asynchronous"):
        make_engine(type("Client", (), asynchronous)())
