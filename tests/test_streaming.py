"""Tables that are written as they are made: files, shards, resuming, adding rows, executors."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import emcomp
from emcomp import engine
from emcomp.engine import Engine
from emcomp.sharded import INDEX, read_index

CODECS = [
    "uniform:3(granularity=row)",
    "uniform:2(granularity=column,rounding=stochastic,seed=3)",
    "kmeans:3",
    "pq:4x4(sample=500)",
    "pq:5x4",
    "opq:4x4(rotations=2,sample=500)",
    "rq:2x4",
    "dccl:2(epochs=1,codewords=4)",
    "dccl:4x4(epochs=1,refine=0)",
    "svd:5(map_dtype=float16)+uniform:4",
    "pca:5",
    "rotate(scales=row)+kmeans:3",
    "whiten+kmeans:3",
    "principal+allocate:3",
    "direction:5",
    "autoencoder:4(epochs=1,sample=500)+kmeans:3",
]
WORDS = [f"word{i}" for i in range(900)]


class InterruptedRunError(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(engine, "part_rows", lambda dim: 256)
    monkeypatch.setattr("emcomp.work.part_rows", lambda dim: 256)
    monkeypatch.setattr("emcomp.work._SHARD_ROWS_BYTES", 1)


@pytest.fixture(scope="module", name="X")
def make_rows():
    X = np.random.default_rng(0).standard_normal((900, 12)).astype(np.float32)
    X[:, 0] *= 20
    return X


def stop_after(calls):
    left = [calls]

    def progress(phase, done, total):
        left[0] -= 1
        if left[0] < 0:
            raise InterruptedRunError

    return progress


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_written_as_it_is_made_is_the_same_file(X, codec, tmp_path):
    table = emcomp.compress(X, codec, words=WORDS, out=tmp_path / "a.emcomp", memory_limit="1GB")
    emcomp.compress(X, codec, words=WORDS).save(tmp_path / "b.emcomp")
    assert (tmp_path / "a.emcomp").read_bytes() == (tmp_path / "b.emcomp").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.emcomp", "b.emcomp"]
    assert np.array_equal(table["word7"], table[7])


@pytest.mark.parametrize("codec", CODECS)
def test_a_table_in_shards_does_what_a_table_does(X, codec, tmp_path):
    whole = emcomp.compress(X, codec)
    table = emcomp.compress(X, codec, out=tmp_path / "shards", shard_rows=200)
    assert [shard.rows for shard in read_index(tmp_path / "shards").shards] == [200] * 4 + [100]
    for one in (table, emcomp.open(tmp_path / "shards")):
        assert (one.shape, one.nbytes) == (whole.shape, whole.nbytes)
        assert np.array_equal(one.decode(), whole.decode())
        assert np.array_equal(one.decode(150, 300), whole.decode(150, 300))
        ids = np.array([[899, 0, 199], [200, -1, 200]])
        assert np.array_equal(one.lookup(ids), whole.lookup(ids))
        for mode in ("sum", "mean", "max"):
            # One file sums latents and maps once, shards add up decoded rows.
            np.testing.assert_allclose(
                one.bag(ids, mode=mode), whole.bag(ids, mode=mode), rtol=1e-4, atol=2e-5
            )
        assert one.similar(5, 7) == whole.similar(5, 7)
        assert np.array_equal(one[899], whole[899])
    with pytest.raises(IndexError):
        table[900]
    table.save(tmp_path / "one.emcomp")
    assert np.array_equal(emcomp.open(tmp_path / "one.emcomp").decode(), whole.decode())


def test_words_of_shards(X, tmp_path):
    table = emcomp.compress(X, "uniform:4", words=WORDS, out=tmp_path / "s", shard_rows=300)
    assert list(table.words) == WORDS
    assert np.array_equal(table[["word899", "word300"]], table[[899, 300]])
    table.save(tmp_path / "one.emcomp")
    emcomp.compress(X, "uniform:4", words=WORDS).save(tmp_path / "two.emcomp")
    assert (tmp_path / "one.emcomp").read_bytes() == (tmp_path / "two.emcomp").read_bytes()


@pytest.mark.parametrize("shard_rows", [None, 256])
@pytest.mark.parametrize("codec", ["kmeans:3", "whiten+kmeans:2", "uniform:2(rounding=stochastic)"])
def test_resumes_wherever_it_was_interrupted(X, codec, shard_rows, tmp_path):
    emcomp.compress(X, codec).save(tmp_path / "expected.emcomp")
    expected = (tmp_path / "expected.emcomp").read_bytes()
    for calls in range(100):
        out = tmp_path / f"out{calls}"
        options = {"out": out, "shard_rows": shard_rows}
        try:
            emcomp.compress(X, codec, **options, progress=stop_after(calls))
        except InterruptedRunError:
            assert not out.is_file()
            assert shard_rows is None or not (out / INDEX).exists()
        else:
            break
        with pytest.raises(emcomp.InputError, match="resume=True"):
            emcomp.compress(X, codec, **options)
        emcomp.compress(X, codec, **options, resume=True).save(tmp_path / "again.emcomp")
        assert (tmp_path / "again.emcomp").read_bytes() == expected
    assert calls > 5


def test_finished_shards_are_not_encoded_again(X, tmp_path, monkeypatch):
    out = tmp_path / "out"
    seen = []

    def stop(phase, done, total):
        if phase == "encode" and done >= 512:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, progress=stop)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.emcomp")}
    assert set(times) == {"fit.emcomp", "shard-000000.emcomp", "shard-000001.emcomp"}
    emcomp.compress(
        X, "kmeans:3", out=out, shard_rows=256, resume=True, progress=lambda *p: seen.append(p)
    )
    assert [phase for phase, *_ in seen] == ["encode"] * 3
    assert seen[0][1] == 512
    for name, time in times.items():
        assert (out / name).stat().st_mtime_ns == time
    # All is done: resuming once more only opens it.
    assert len(emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, resume=True)) == 900


def test_refuses_to_resume_another_run(X, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InterruptedRunError):
        emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, progress=stop_after(6))
    for other, options in [
        (X, {"codec": "kmeans:2", "shard_rows": 256}),
        (X, {"codec": "kmeans:3", "shard_rows": 512}),
        (X[::-1], {"codec": "kmeans:3", "shard_rows": 256}),
        (X[:800], {"codec": "kmeans:3", "shard_rows": 256}),
    ]:
        with pytest.raises(emcomp.InputError, match="of another run"):
            emcomp.compress(other, **options, out=out, resume=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(emcomp.InputError, match="nothing that can be resumed"):
        emcomp.compress(X, out=tmp_path / "empty", shard_rows=256, resume=True)


def test_damaged_shards_are_found(X, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InterruptedRunError):
        emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, progress=stop_after(9))
    shard = out / "shard-000000.emcomp"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(emcomp.FormatError, match=r"shard-000000.*[Rr]emove this shard"):
        emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, resume=True)
    shard.unlink()
    emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, resume=True)
    shard.unlink()
    with pytest.raises(emcomp.FormatError, match="shard-000000"):
        emcomp.open(out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.update(version=2), "version 2"),
        (lambda index: index["shards"].pop(), "900 rows"),
        (lambda index: index["shards"][0].update(file="../x"), "not a file of this folder"),
        (lambda index: index.update(fit="0" * 16), "not the fit"),
        (lambda index: index.pop("codec"), "damaged"),
        (lambda index: index["shards"].reverse(), "has not 132 rows|has not 256 rows"),
    ],
)
def test_a_wrong_index_is_refused(X, tmp_path, change, message):
    emcomp.compress(X, "kmeans:3", out=tmp_path / "t", shard_rows=256)
    path = tmp_path / "t" / INDEX
    index = json.loads(path.read_text())
    if "reverse" in change.__code__.co_names:  # the rows of shards are checked against their files
        index["shards"][0]["file"], index["shards"][-1]["file"] = (
            index["shards"][-1]["file"],
            index["shards"][0]["file"],
        )
    else:
        change(index)
    path.write_text(json.dumps(index))
    with pytest.raises(emcomp.FormatError, match=message):
        emcomp.open(tmp_path / "t")


def test_options_that_do_not_go_together(X, tmp_path):
    for option in ({"shard_rows": 5}, {"memory_limit": "1GB"}, {"resume": True}):
        with pytest.raises(emcomp.InputError, match="out="):
            emcomp.compress(X, **option)
    with pytest.raises(emcomp.InputError, match="shard_rows"):
        emcomp.compress(X, out=tmp_path / "x", shard_rows=0)
    with pytest.raises(emcomp.InputError, match=r"needs about .* of memory"):
        emcomp.compress(X, out=tmp_path / "x", memory_limit="1MB")
    with pytest.raises(emcomp.InputError, match="is a folder"):
        emcomp.compress(X, out=tmp_path)
    bad = X.copy()
    bad[700, 2] = np.inf
    with pytest.raises(emcomp.InputError, match="row 700, column 2"):
        emcomp.compress(bad, out=tmp_path / "x")
    with pytest.raises(emcomp.InputError, match="executor"):
        emcomp.compress(X, executor="4 workers")


@pytest.mark.parametrize("codec", CODECS)
def test_passes_are_as_announced(X, codec, tmp_path, monkeypatch):
    folds = []
    fold = Engine.fold

    def counted(self, phase, shape, part):
        if shape[0] == len(X):  # not over a sample in memory
            folds.append(phase)
        return fold(self, phase, shape, part)

    monkeypatch.setattr(Engine, "fold", counted)
    plan = emcomp.plan(X, codec)
    emcomp.compress(X, codec, out=tmp_path / "x")
    least, most = plan.passes
    sampled_whole = "pq" not in codec and ("rq" in codec or "dccl" in codec)  # drawn by one read
    assert least - sampled_whole <= len(folds) <= most
    assert codec.split("(")[0] in str(plan)
    assert plan.shards == 4


# Adding rows


@pytest.mark.parametrize(
    "codec",
    [
        "uniform:4",
        "whiten+kmeans:3",
        "pq:4x4",
        "uniform:2(rounding=stochastic)",
        "dccl:2(epochs=1)",
    ],
)
def test_added_rows_are_encoded_as_fitted(X, codec, tmp_path):
    first = emcomp.compress(X[:500], codec, out=tmp_path / "t", shard_rows=200)
    before = first.decode()
    drift = emcomp.append(tmp_path / "t", X[500:])
    table = emcomp.open(tmp_path / "t")
    assert table.shape == X.shape
    assert np.array_equal(table.decode(0, 500), before)
    assert np.array_equal(first.decode(), before)  # readers keep what they have
    error = np.square(table.decode() - X)
    total = np.square(X)
    assert drift.rows == 400
    assert drift.relative_error == pytest.approx(error[500:].sum() / total[500:].sum(), rel=1e-5)
    assert drift.relative_error_at_fit == pytest.approx(
        error[:500].sum() / total[:500].sum(), rel=1e-5
    )


def test_drift_of_rows_that_the_codec_was_not_made_for(X, tmp_path):
    emcomp.compress(X, "uniform:6(clip=max)", out=tmp_path / "t", shard_rows=200)
    drift = emcomp.append(tmp_path / "t", X[:300] * np.float32(4))
    limit = np.abs(X).max()
    assert drift.clipped_at_fit == 0
    assert drift.clipped == pytest.approx((np.abs(X[:300] * 4) > limit * 1.0001).mean(), abs=1e-3)
    assert drift.relative_error > drift.relative_error_at_fit
    assert "300 rows added" in str(drift)
    # A codec with levels of its own for columns counts beyond each of them.
    codec = "kmeans:2(granularity=5)"
    table = emcomp.compress(X, codec, out=tmp_path / "k", shard_rows=200)
    drift = emcomp.append(tmp_path / "k", X[:300] * np.float32(2))
    groups = np.minimum(np.arange(12) // 5, 2)
    levels = table.tensors["levels"]
    wider = X[:300] * 2
    outside = (wider < levels[groups, 0]) | (wider > levels[groups, -1])
    assert drift.clipped == pytest.approx(outside.mean())


def test_added_words(X, tmp_path):
    path = tmp_path / "t"
    emcomp.compress(X[:500], "uniform:4", words=WORDS[:500], out=path, shard_rows=200)
    with pytest.raises(emcomp.InputError, match="the rows have none"):
        emcomp.append(path, X[500:])
    with pytest.raises(emcomp.InputError, match="399 words for 400 rows"):
        emcomp.append(path, X[500:], words=WORDS[501:])
    with pytest.raises(emcomp.InputError, match="word3"):
        emcomp.append(path, X[500:], words=[*WORDS[501:], "word3"])
    assert len(emcomp.open(path)) == 500
    emcomp.append(path, X[500:], words=WORDS[500:])
    table = emcomp.open(path)
    assert list(table.words) == WORDS
    assert sorted(p.name for p in path.glob("words*")) == ["words-900.emcomp"]


def test_rows_that_cannot_be_added(X, tmp_path):
    emcomp.compress(X, "uniform:4", out=tmp_path / "t", shard_rows=200)
    with pytest.raises(emcomp.InputError, match="11 entries"):
        emcomp.append(tmp_path / "t", X[:, :11])
    bad = X[:50].copy()
    bad[20, 3] = np.nan
    with pytest.raises(emcomp.InputError, match="row 20, column 3"):
        emcomp.append(tmp_path / "t", bad)
    with pytest.raises(emcomp.FormatError, match="no table in shards"):
        emcomp.append(tmp_path, X)
    assert len(emcomp.open(tmp_path / "t")) == 900


def test_selecting_in_little_memory(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    candidates = ["uniform:2", "kmeans:3", "uniform:3", "svd:4", "dccl:2(epochs=1)"]
    expected = emcomp.select(X, "4bits", candidates, words=WORDS)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "best.emcomp"
    options = {"words": WORDS, "out": out, "memory_limit": "1GB", "state": tmp_path / "state"}
    for _ in range(2):  # the second time from the state alone
        found = emcomp.select(tmp_path / "X.npy", "4bits", candidates, **options)
        assert (found.pick, found.ranked) == (expected.pick, expected.ranked)
        assert [path.name for path in out.parent.iterdir()] == ["best.emcomp"]
        expected.table.save(tmp_path / "expected.emcomp")
        assert out.read_bytes() == (tmp_path / "expected.emcomp").read_bytes()
    with pytest.raises(emcomp.InputError, match="needs about"):
        emcomp.select(X, "4bits", candidates, out=out, memory_limit="1MB")
    with pytest.raises(emcomp.InputError, match="give out="):
        emcomp.select(X, "4bits", candidates, memory_limit="1GB")


# Executors


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
    monkeypatch.setattr("emcomp.executors.LARGEST_TASK", 10_000)
    with pytest.raises(emcomp.InputError, match="path of a file"):
        emcomp.compress(X, executor=processes)


def test_a_bad_entry_is_named_by_workers(X, processes, tmp_path):
    bad = X.copy()
    bad[700, 2] = bad[800, 1] = np.nan
    np.save(tmp_path / "X.npy", bad)
    with pytest.raises(emcomp.InputError, match=r"2 of .* row 700, column 2"):
        emcomp.compress(tmp_path / "X.npy", executor=processes, out=tmp_path / "s", shard_rows=300)
    assert not (tmp_path / "s" / INDEX).exists()
