"""Tables that are written as they are made: files, shards, resuming."""

import json

import numpy as np
import pytest

import emcomp
from emcomp.engine.base import Engine
from emcomp.tables import shard_index
from emcomp.tables.shard_index import INDEX, read_index
from tests.helpers.streamed_rows import CODECS, WORDS, make_rows, small_parts  # noqa: F401


class InterruptedRunError(Exception):
    """Stands for whatever ends a run."""


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
        partial = out if shard_rows else out.with_name(f"{out.name}.partial")
        if partial.exists():  # something is finished, which is not thrown away unasked
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
    assert sorted(name[:12] for name in times) == ["fit.emcomp", "shard-000000", "shard-000001"]
    emcomp.compress(
        X, "kmeans:3", out=out, shard_rows=256, resume=True, progress=lambda *p: seen.append(p)
    )
    assert [phase for phase, *_ in seen] == ["encode"] * 3
    assert seen[0][1] == 512
    for name, time in times.items():
        assert (out / name).stat().st_mtime_ns == time


@pytest.mark.parametrize("codec", ["kmeans:3", "dccl:2(epochs=1,codewords=4)"])
def test_a_finished_run_is_only_opened(X, codec, tmp_path):
    options = {"out": tmp_path / "out", "shard_rows": 256}
    emcomp.compress(X, codec, **options)
    before = {path.name: path.stat().st_mtime_ns for path in options["out"].iterdir()}
    assert len(emcomp.compress(X, codec, **options, resume=True)) == 900
    assert {path.name: path.stat().st_mtime_ns for path in options["out"].iterdir()} == before
    with pytest.raises(emcomp.InputError, match="holds another table"):
        emcomp.compress(X, "uniform:3", **options, resume=True)


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
    (out / "run.json").unlink()
    with pytest.raises(emcomp.InputError, match="nothing that can be resumed"):
        emcomp.compress(X, out=out, shard_rows=256, resume=True)


def test_a_folder_in_which_nothing_is_finished_is_a_new_one(X, tmp_path):
    for number, resume in enumerate((False, True)):
        folder = tmp_path / f"empty{number}"
        folder.mkdir()
        (folder / "run.json").write_text('{"codec": "another')
        emcomp.compress(X, out=folder, shard_rows=256, resume=resume)
        assert len(emcomp.open(folder)) == 900
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(emcomp.InputError, match="holds notes.txt"):
        emcomp.compress(X, out=tmp_path / "full", shard_rows=256)
    assert [path.name for path in (tmp_path / "full").iterdir()] != []


def test_bad_input_leaves_no_folder(X, tmp_path):
    bad = X.copy()
    bad[3, 3] = np.nan
    for options in ({"shard_rows": 256}, {}):
        with pytest.raises(emcomp.InputError, match="row 3"):
            emcomp.compress(bad, out=tmp_path / "t", **options)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changed", [130, 300])
def test_rows_that_changed_since_they_were_encoded_are_found(X, tmp_path, changed):
    out = tmp_path / "out"

    def stop(phase, done, total):
        if phase == "encode" and done >= 512:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        emcomp.compress(X, "uniform:4", out=out, shard_rows=256, progress=stop)
    other = X.copy()
    other[changed, 5] += 1
    first = changed // 256 * 256
    with pytest.raises(emcomp.InputError, match=f"rows {first} to"):
        emcomp.compress(other, "uniform:4", out=out, shard_rows=256, resume=True)
    emcomp.compress(X, "uniform:4", out=out, shard_rows=256, resume=True)
    other = X.copy()
    other[700, 5] += 1
    with pytest.raises(emcomp.InputError, match="rows 512 to 768"):
        emcomp.compress(other, "uniform:4", out=out, shard_rows=256, resume=True)


def test_damaged_shards_are_found(X, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InterruptedRunError):
        emcomp.compress(X, "kmeans:3", out=out, shard_rows=256, progress=stop_after(9))
    (shard,) = out.glob("shard-000000-*")
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


def swap(shards, i, j, *fields):
    for field in fields:
        shards[i][field], shards[j][field] = shards[j][field], shards[i][field]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.update(version=2), "version 2"),
        (lambda index: index["shards"].pop(), "have 768 rows, and the table 900"),
        (lambda index: index["shards"][0].update(file="../x"), "invalid value '../x'"),
        (lambda index: index["shards"][0].update(file="a\0b"), "'file' has the invalid value"),
        (lambda index: index.update(fit="0" * 16), "not the fit"),
        (lambda index: index.pop("codec"), "'codec' is missing"),
        (lambda index: index.update(more=1), "'more' is not known"),
        (lambda index: index.update(shape=[900, True]), "'shape' has the invalid value"),
        (lambda index: index.update(shape=[2**63, 12]), "'shape' has the invalid value"),
        (lambda index: index["shards"].reverse(), "begins at row 768, expected 0"),
        (lambda index: swap(index["shards"], 0, 1, "file"), "is not the shard of rows 0 to 256"),
        (lambda index: swap(index["shards"], 0, 1, "file", "checksum"), "is not the shard of"),
        (
            lambda index: index["shards"].insert(1, dict(index["shards"][0], first=256)),
            "expected 512",
        ),
        (lambda index: index["shards"][1].update(file=index["shards"][0]["file"]), "named twice"),
        (
            lambda index: index["shards"][1].update(clipped="none"),
            "'clipped' has the invalid value",
        ),
        (lambda index: index["shards"].append(5), "'shards' has the invalid value"),
        (lambda index: index.update(words={"file": "w.emcomp"}), "'checksum' is missing"),
        (lambda index: index.update(codec="uniform:9"), "bits must be"),
    ],
)
def test_a_wrong_index_is_refused(X, tmp_path, change, message):
    emcomp.compress(X, "kmeans:3", out=tmp_path / "t", shard_rows=256)
    path = tmp_path / "t" / INDEX
    index = json.loads(path.read_text())
    change(index)
    path.write_bytes(shard_index._sealed(json.dumps(index, indent=1).encode()))
    for use in (emcomp.open, emcomp.verify):
        with pytest.raises(emcomp.FormatError, match=message):
            use(tmp_path / "t")


def test_every_changed_bit_of_an_index_is_found(X, tmp_path):
    emcomp.compress(X[:200], "uniform:4", words=WORDS[:200], out=tmp_path / "t", shard_rows=100)
    path = tmp_path / "t" / INDEX
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for bit in random.choice(8 * len(data), 1000, replace=False):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(emcomp.FormatError):
            emcomp.open(tmp_path / "t")
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        with pytest.raises(emcomp.FormatError):
            emcomp.open(tmp_path / "t")


def test_files_of_shards_that_changed_names_are_found(X, tmp_path):
    folder = tmp_path / "t"
    emcomp.compress(X, "uniform:4", words=WORDS, out=folder, shard_rows=300)
    emcomp.verify(folder)
    first, second, third = (folder / shard.file for shard in read_index(folder).shards)
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)
    for use in (emcomp.open, emcomp.verify):
        with pytest.raises(emcomp.CorruptFileError, match="is not the shard of rows 0 to 300"):
            use(folder)
    first.write_bytes(third.read_bytes())
    with pytest.raises(emcomp.CorruptFileError, match="is not the shard of rows 0 to 300"):
        emcomp.open(folder)


def test_verify_reads_every_byte_of_a_folder(X, tmp_path):
    folder = tmp_path / "t"
    emcomp.compress(np.tile(X, (30, 1)), "uniform:8", out=folder, shard_rows=9000)
    seen = []
    emcomp.verify(folder, lambda done, total: seen.append((done, total)))
    total = sum(path.stat().st_size for path in folder.glob("*.emcomp"))
    assert seen[-1] == (total, total)
    shard = folder / read_index(folder).shards[1].file
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    emcomp.open(folder)
    with pytest.raises(emcomp.CorruptFileError, match=shard.name):
        emcomp.verify(folder)


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
