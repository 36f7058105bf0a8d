"""A Dask cluster of processes on this machine, and what makes its workers die when a test says so."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import emcomp
from emcomp._support.threads import resolve_threads


class Cluster:
    """A scheduler and workers, each a process of its own with one thread."""

    def __init__(self, folder):
        from distributed import Client

        self._folder = folder
        self._file = folder / "scheduler.json"
        self._scheduler = self._start("dask_scheduler", "--port", "0", "--host", "127.0.0.1")
        self._workers = []
        wait_for(lambda: self._file.exists() and json.loads(self._file.read_text()))
        self.client = Client(scheduler_file=str(self._file))

    def _start(self, program, *options):
        checkout = Path(__file__).parents[2]
        paths = [str(checkout), str(Path(emcomp.__file__).parents[1]), os.environ.get("PYTHONPATH")]
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard"]
        with (self._folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [*command, "--scheduler-file", str(self._file), *options],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                cwd=self._folder,
                stderr=log,
            )

    def have(self, workers, *options):
        """Start or stop workers until there are so many; returns the client."""
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        while len(self._workers) < workers:
            worker = self._start("dask_worker", "--nthreads", "1", *(options or ("--no-nanny",)))
            self._workers.append(worker)
        for worker in self._workers[workers:]:
            worker.terminate()
            worker.wait()
        del self._workers[workers:]
        wait_for(lambda: len(self.client.nthreads()) == workers)
        return self.client

    @property
    def alive(self):
        return sum(worker.poll() is None for worker in self._workers)

    def close(self):
        self.client.close()
        for process in (*self._workers, self._scheduler):
            process.kill()  # who is asked to end waits for the others
        for process in (*self._workers, self._scheduler):
            process.wait()


def wait_for(condition, state=lambda: None, seconds=60):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, state()
        time.sleep(0.02)


def obey(order):
    """Die if there is an order to, which one process takes."""
    try:
        order.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class MortalSource:
    """Rows of a file; whoever reads them obeys orders."""

    def __init__(self, path, order):
        self._rows = emcomp.open_source(path)
        self._order = order
        self.shape = self._rows.shape

    def read(self, first, count):
        obey(self._order)
        return self._rows.read(first, count)


class Ranges:
    """Which rows were seen, in the order in which they were merged."""

    def __init__(self, order, found):
        self._order = order
        self.found = found

    def merge(self, following):
        obey(self._order)
        self.found = [self.found, following.found]


class RangesPart:
    def __init__(self, order):
        self._order = order

    def __call__(self, first, count, threads):
        return Ranges(self._order, (first, count))


def thread_limits(threads, progress):
    """Threads that a worker uses, and those of what is told none."""
    return threads, resolve_threads(None)


def tasks_known(dask_scheduler):
    """States of the tasks that the scheduler, which runs this, knows."""
    return {str(key): task.state for key, task in dask_scheduler.tasks.items()}


def sparse_table(path, rows, dim):
    """A file of float16 whose first and last rows are there, and the others zeros and no bytes."""
    table = np.lib.format.open_memmap(path, "w+", np.float16, (rows, dim))
    random = np.random.default_rng(0)
    for first in (0, rows - 500):
        table[first : first + 500] = random.standard_normal((500, dim))
    table.flush()
