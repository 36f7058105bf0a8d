"""Processes that change, or open, one folder of shards at the same time."""

from __future__ import annotations

import multiprocessing
import os
import time

import numpy as np
import pytest

import emcomp
from emcomp._support.locks import LOCK, only_writer
from emcomp.errors import EmcompError, InputError

TRIALS = int(os.environ.get("EMCOMP_TRIALS", "5"))
"""Races are run so often; a release is tried with 200."""

SPAWN = multiprocessing.get_context("spawn")


def rows_of(writer, count=300):
    return np.random.default_rng(writer).standard_normal((count, 16)).astype(np.float32)


def words_of(writer, count=300):
    return [f"writer{writer}-{row}" for row in range(count)]


def append(folder, writer, with_words, barrier, answers):
    barrier.wait()
    try:
        words = words_of(writer) if with_words else None
        emcomp.append(folder, rows_of(writer), words=words, threads=1)
    except EmcompError as error:
        answers.put((writer, str(error)))
    else:
        answers.put((writer, None))


def open_again_and_again(folder, barrier, stop, answers):
    barrier.wait()
    opened = 0
    while not stop.is_set():
        table = emcomp.open(folder)
        assert len(table.words) == len(table)
        table[f"writer0-{opened % 300}"]
        opened += 1
    answers.put(("reader", opened))


def start_together(barrier, answers, *calls):
    """A process for each call, which begins when all are there."""
    processes = [
        SPAWN.Process(target=function, args=(*arguments, barrier, *rest, answers))
        for function, arguments, rest in calls
    ]
    for process in processes:
        process.start()
    return processes


@pytest.mark.parametrize("with_words", [False, True])
def test_rows_of_all_writers_are_there(tmp_path, with_words):
    folder = tmp_path / "t"
    words = words_of(0) if with_words else None
    emcomp.compress(rows_of(0), "uniform:8", words=words, out=folder, shard_rows=100)
    writers = [*range(1, 1 + TRIALS)]
    barrier, answers = SPAWN.Barrier(len(writers)), SPAWN.Queue()
    calls = [(append, (folder, writer, with_words), ()) for writer in writers]
    processes = start_together(barrier, answers, *calls)
    outcome = dict(answers.get(timeout=120) for _ in writers)
    for process in processes:
        process.join()
    assert outcome == dict.fromkeys(writers)
    emcomp.verify(folder)
    table = emcomp.open(folder)
    assert len(table) == 300 * (1 + len(writers))
    found = table.decode().reshape(1 + len(writers), 300, 16)
    for part, first in zip(found, range(0, len(table), 300), strict=True):
        (writer,) = (w for w in (0, *writers) if np.abs(part - rows_of(w)).mean() < 0.05)
        if with_words:
            assert table.words[first : first + 300] == words_of(writer)


def test_readers_open_while_rows_are_added(tmp_path):
    folder = tmp_path / "t"
    emcomp.compress(rows_of(0), "uniform:4", words=words_of(0), out=folder, shard_rows=100)
    stop = SPAWN.Event()
    barrier, answers = SPAWN.Barrier(2), SPAWN.Queue()
    (process,) = start_together(barrier, answers, (open_again_and_again, (folder,), (stop,)))
    barrier.wait()
    for writer in range(1, 1 + 4 * TRIALS):
        emcomp.append(folder, rows_of(writer), words=words_of(writer), threads=1)
    stop.set()
    kind, opened = answers.get(timeout=60)
    process.join()
    assert (kind, process.exitcode) == ("reader", 0)
    assert opened > 0


def hold(folder, held, release):
    with only_writer(folder, wait=False):
        held.set()
        release.wait(60)


def test_a_second_writer_is_refused_or_waits(tmp_path):
    held, release = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(tmp_path, held, release))
    process.start()
    held.wait(60)
    with pytest.raises(InputError, match="written by another process"):
        emcomp.compress(rows_of(0), out=tmp_path, shard_rows=100)
    release.set()
    with only_writer(tmp_path, wait=True):
        pass
    process.join()


def test_a_lock_whose_folder_was_made_again_is_not_taken_for_it(tmp_path):
    folder = tmp_path / "t"
    folder.mkdir()
    with only_writer(folder, wait=False):
        (folder / LOCK).unlink()  # as the writer does who removes the folder at its end
        with only_writer(folder, wait=False):
            pass


def test_a_killed_writer_holds_no_lock(tmp_path):
    held, release = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(tmp_path, held, release))
    process.start()
    held.wait(60)
    process.kill()
    process.join()
    started = time.monotonic()
    with only_writer(tmp_path, wait=True):
        assert time.monotonic() - started < 10
