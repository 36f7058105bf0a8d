"""Writers that are killed at any moment: what was there stays, and the rest can be finished."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time

import numpy as np
import pytest

import emcomp
from emcomp.tables.shard_index import read_index

TRIALS = int(os.environ.get("EMCOMP_TRIALS", "5"))
"""Kills of each kind of writer; a release is tried with 200."""

# A fork of this process begins at once, and so may be killed in the middle of its work.
FORK = multiprocessing.get_context("fork")


def rows(count=6000, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)


def words(count, first=0):
    return [f"word{row}" for row in range(first, first + count)]


def run_and_kill(work, delay):
    """Start work in another process and kill that after some seconds; whether it had ended."""
    process = FORK.Process(target=work)
    process.start()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == 0


def delays(work, prepare):
    """Random moments in the time that work takes."""
    prepare()
    started = time.monotonic()
    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0
    longest = time.monotonic() - started
    draw = random.Random(0)
    return [draw.uniform(0, 1.1 * longest) for _ in range(TRIALS)]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("shard_rows", [None, 1000])
def test_compressing_is_finished_by_resuming(tmp_path, shard_rows):
    X, out = rows(), tmp_path / "t"
    options = {"out": out, "shard_rows": shard_rows, "threads": 1}
    emcomp.compress(X, "kmeans:4", words=words(len(X))).save(tmp_path / "expected")
    expected = (tmp_path / "expected").read_bytes()

    def clear():
        for path in (out, tmp_path / "t.partial"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def work():
        emcomp.compress(X, "kmeans:4", words=words(len(X)), **options)

    for delay in delays(work, clear):
        clear()
        run_and_kill(work, delay)
        if out.is_file():
            emcomp.verify(out)
        else:
            emcomp.compress(X, "kmeans:4", words=words(len(X)), **options, resume=True)
        emcomp.open(out).save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == expected


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_appending_has_happened_or_not(tmp_path):
    folder = tmp_path / "t"
    first, more = rows(2000), rows(2000, 1)
    emcomp.compress(first, "uniform:8", words=words(2000), out=tmp_path / "o", shard_rows=1000)

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "o", folder)

    def work():
        emcomp.append(folder, more, words=words(2000, 2000), threads=1)

    for delay in delays(work, prepare):
        prepare()
        run_and_kill(work, delay)
        emcomp.verify(folder)
        before = set(read_index(folder).files)
        if len(emcomp.open(folder)) == 2000:
            work()
            before = set()  # what the killed call left, and the shorter table's words, are removed
        table = emcomp.open(folder)
        assert len(table) == 4000
        assert np.abs(table.decode(2000, 2000) - more).mean() < 0.05
        assert list(table.words) == words(4000)
        unnamed = {path.name for path in folder.glob("*.emcomp")} - set(read_index(folder).files)
        # Only a call that was killed after its last write leaves the words that it replaced.
        assert not unnamed or (before and len(unnamed) == 1 and "words-" in min(unnamed))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_saved_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "t.emcomp"
    old, new = (emcomp.compress(rows(20_000, seed), "uniform:8") for seed in (0, 1))
    old.save(tmp_path / "old")
    new.save(tmp_path / "new")
    known = {(tmp_path / name).read_bytes() for name in ("old", "new")}

    def prepare():
        old.save(path)

    for delay in delays(lambda: new.save(path), prepare):
        prepare()
        run_and_kill(lambda: new.save(path), delay)
        assert path.read_bytes() in known
        emcomp.verify(path)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("ending", ["txt", "bin", "npy", "txt.gz"])
def test_a_converted_file_is_the_old_one_or_the_new_one(tmp_path, ending):
    path = tmp_path / f"vectors.{ending}"
    tables = [emcomp.compress(rows(5000, seed), "uniform:8", words=words(5000)) for seed in (0, 1)]

    def write(table, to=path):
        words_too = {} if ending == "npy" else {"words": list(table.words)}
        emcomp.write_vectors(to, table.decode(), threads=1, **words_too)

    known = set()
    for table in tables:
        write(table)
        known.add(path.read_bytes())
    for delay in delays(lambda: write(tables[1]), lambda: write(tables[0]))[: max(TRIALS // 4, 2)]:
        write(tables[0])
        run_and_kill(lambda: write(tables[1]), delay)
        assert path.read_bytes() in known


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_killed_writers_leave_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("emcomp._support.atomic_files._LEAST_AGE", 0.0)
    table = emcomp.compress(rows(50_000), "uniform:8")

    def work():
        for _ in range(100):
            table.save(tmp_path / "t.emcomp")

    for delay in (0.02, 0.05, 0.1):
        run_and_kill(work, delay)
    emcomp.compress(rows(10), "uniform:8").save(tmp_path / "t.emcomp")
    assert [path.name for path in tmp_path.iterdir()] == ["t.emcomp"]
