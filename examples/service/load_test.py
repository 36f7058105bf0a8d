"""Put the service under load on this machine and print the table of its README.

    python load_test.py [--table TABLE.emcomp] [--seconds 10]

Needs `wrk` (a package of that name in Debian) and Linux. Without a table it makes one of random
rows with words. Requests come from one thread of wrk over 32 connections that stay open,
4 for nearest words.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np

import emcomp

HERE = Path(__file__).parent
TIMEOUT = 30  # seconds
ROWS, DIM = 100_000, 300


class Scenario(NamedTuple):
    """Requests of one kind."""

    path: str
    ids: int
    accept: str
    connections: int


SCENARIOS = {
    "1 row, JSON": Scenario("rows", 1, "", 32),
    "16 rows, JSON": Scenario("rows", 16, "", 32),
    "16 rows, float32": Scenario("rows", 16, "application/octet-stream", 32),
    "10 nearest words, JSON": Scenario("nearest", 1, "", 4),
}
SPEED_TABLE = """
| workers | request | a second | p50 | p90 | p99 | failed |
|---|---|---|---|---|---|---|"""
MEMORY_TABLE = """
| workers | RSS, MB | PSS, MB | RSS of the table | PSS of the table |
|---|---|---|---|---|"""
RELOAD_TABLE = """
| workers | reloads under load | requests | failed |
|---|---|---|---|"""

# Ids are drawn anew for every request.
SCRIPT = """
math.randomseed(1)
local headers = {{["Accept"] = "{accept}"}}
request = function()
  local ids = {{}}
  for i = 1, {count} do ids[i] = "id=" .. math.random(0, {rows} - 1) end
  return wrk.format("GET", "/{path}?" .. table.concat(ids, "&"), headers)
end
"""


class Load(NamedTuple):
    """What wrk says."""

    per_second: float
    latencies: dict[str, str]
    failed: int
    requests: int


def run_wrk(url: str, table: Path, scenario: Scenario, seconds: float) -> Load:
    """Requests as fast as they are answered, for some seconds."""
    path, ids, accept, connections = scenario
    script = table.with_suffix(".lua")
    rows = len(emcomp.open(table))
    script.write_text(SCRIPT.format(accept=accept, count=ids, rows=rows, path=path))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", f"--timeout={TIMEOUT}s"]
    command += ["--latency", "-s", str(script)]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Load(
        float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        dict(re.findall(r"(50|90|99)%\s+(\S+)", said)),
        sum(map(int, errors.groups() if errors else ())) + int(refused[1] if refused else 0),
        int(re.search(r"(\d+) requests in", said)[1]),
    )


class Service:
    """The service in processes of its own, as a context."""

    def __init__(self, table: Path, workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._table = table
        self._command = [sys.executable, str(HERE / "serve.py"), str(table), "--shared"]
        self._command += ["--port", str(port), "--workers", str(workers)]

    def __enter__(self) -> Service:  # noqa: PYI034
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                self.get("/health")
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError("the service does not answer")
        time.sleep(1)  # until all workers do
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def get(self, path: str) -> str:
        """The text of an answer."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def reloads(self) -> int:
        """How often a worker has taken a new file."""
        return int(float(re.search(r"emcomp_reloads_total ([\d.]+)", self.get("/metrics"))[1]))

    def workers(self) -> list[Path]:
        """Folders in /proc of the processes that map the table."""
        pids, found = [self._process.pid], []
        while pids:
            folder = Path("/proc") / str(pids.pop())
            children = (folder / "task" / folder.name / "children").read_text()
            pids += map(int, children.split())
            if str(self._table) in (folder / "maps").read_text():
                found.append(folder)
        return found


def memory(folder: Path, table: Path) -> str:
    """Resident and proportional megabytes of a worker, and those of its map of the table."""

    def sums(text: str) -> str:
        kinds = ("Rss", "Pss")
        totals = [
            sum(map(int, re.findall(rf"^{k}:\s+(\d+) kB", text, re.MULTILINE))) for k in kinds
        ]
        return " | ".join(f"{total / 1024:.0f}" for total in totals)

    maps = re.split(
        r"^(?=[0-9a-f]+-[0-9a-f]+ )", (folder / "smaps").read_text(), flags=re.MULTILINE
    )
    of_table = "".join(part for part in maps if str(table) in part.partition("\n")[0])
    return f"{sums((folder / 'smaps_rollup').read_text())} | {sums(of_table)}"


def make_table(path: Path) -> None:
    """A table of random rows with words."""
    X = np.random.default_rng(0).standard_normal((ROWS, DIM), np.float32)
    emcomp.compress(X, "uniform:4", words=[f"word{i}" for i in range(ROWS)]).save(path)


def load_scenarios(table: Path, workers: int, seconds: float) -> list[str]:
    """Prints lines of speed and latency; returns lines of memory."""
    with Service(table, workers) as service:
        for name, scenario in SCENARIOS.items():
            load = run_wrk(service.url, table, scenario, seconds)
            latencies = " | ".join(load.latencies[part] for part in ("50", "90", "99"))
            print(f"| {workers} | {name} | {load.per_second:,.0f} | {latencies} | {load.failed} |")
        return [f"| {workers} | {memory(worker, table)} |" for worker in service.workers()]


def load_reloads(table: Path, workers: int, seconds: float) -> str:
    """Replaces the file again and again under load."""
    with Service(table, workers) as service:
        renamer = subprocess.Popen([sys.executable, "-c", RENAMER, str(table), f"{seconds:g}"])
        load = run_wrk(service.url, table, SCENARIOS["1 row, JSON"], seconds)
        renamer.wait()
        reloads = service.reloads()
    return f"| {workers} | {reloads} | {load.requests:,} | {load.failed} |"


RENAMER = """
import pathlib, shutil, sys, time
table, end = pathlib.Path(sys.argv[1]), time.monotonic() + float(sys.argv[2]) - 1
while time.monotonic() < end:
    time.sleep(1)
    new = table.with_suffix(".new")
    shutil.copyfile(table, new)
    new.replace(table)
"""


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="Measure the service on this machine.")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "table.emcomp"
        if arguments.table is None:
            make_table(table)
        else:
            shutil.copyfile(arguments.table, table)
        print(repr(emcomp.open(table)), SPEED_TABLE, sep="\n")
        memories = [
            line for workers in (1, 2) for line in load_scenarios(table, workers, arguments.seconds)
        ]
        print(MEMORY_TABLE, *memories, sep="\n")
        print(RELOAD_TABLE)
        for workers in (1, 2):
            print(load_reloads(table, workers, arguments.seconds))


if __name__ == "__main__":
    main()
