"""The example service, started as its README says, on a free port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import emcomp

SERVICE = Path(__file__).parents[2] / "examples" / "service"
WORDS = ["cat", "dog", "straße", *(f"word{i}" for i in range(497))]
DIM = 12


def make_table(path, sign=1):
    X = np.random.default_rng(0).normal(size=(len(WORDS), DIM)).astype(np.float32)
    emcomp.compress(sign * X, "uniform:4", words=WORDS).save(path)
    return emcomp.open(path)


class Client:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def request(self, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def json(self, path, body=None):
        status, _, content = self.request(path, body)
        assert status == 200, content
        return json.loads(content)

    def refusal(self, path, body=None):
        status, _, content = self.request(path, body)
        return status, str(json.loads(content)["detail"])

    def metric(self, name):
        lines = self.request("/metrics")[2].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def wait_for(self, condition):
        for _ in range(600):
            try:
                if condition():
                    return
            except urllib.error.URLError:
                pass
            time.sleep(0.05)
        raise AssertionError("it did not happen")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("service") / "table.emcomp"
    make_table(path)
    return path


@pytest.fixture(scope="module")
def client(path, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "service.log"
    options = ["--port", str(port), "--workers", "2", "--reload-seconds", "0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(SERVICE / "serve.py"), str(path), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ,
        )
    client = Client(port)
    try:
        client.wait_for(lambda: client.request("/health")[0] == 200)
        yield client
    finally:
        process.terminate()
        process.wait(30)
        sys.stdout.write(log.read_text())


def test_health(client):
    about = client.json("/health")
    del about["worker"]
    assert about == {
        "status": "ok",
        "rows": len(WORDS),
        "dim": DIM,
        "codec": "uniform:4",
        "words": True,
    }


def test_rows(client, path):
    table = emcomp.open(path)
    for request in ("/rows?id=3&id=-1&id=3", ("/rows", {"ids": [3, -1, 3]})):
        found = client.json(*([request] if isinstance(request, str) else request))["rows"]
        np.testing.assert_array_equal(np.array(found, np.float32), table[[3, -1, 3]])
    for request in ("/rows?word=dog&word=stra%C3%9Fe", ("/rows", {"words": ["dog", "straße"]})):
        found = client.json(*([request] if isinstance(request, str) else request))["rows"]
        np.testing.assert_array_equal(np.array(found, np.float32), table[["dog", "straße"]])
    assert client.json("/rows", {"ids": []})["rows"] == []
    assert client.json("/rows", {"words": []})["rows"] == []


def test_raw_rows(client, path):
    table = emcomp.open(path)
    for arguments in (("/rows?id=3&id=7",), ("/rows", {"ids": [3, 7]})):
        status, headers, content = client.request(*arguments, Accept="application/octet-stream")
        assert status == 200
        assert headers["Content-Type"] == "application/octet-stream"
        shape = int(headers["X-Rows"]), int(headers["X-Dim"])
        assert shape == (2, DIM)
        np.testing.assert_array_equal(np.frombuffer(content, "<f4").reshape(shape), table[[3, 7]])


def test_nearest(client, path):
    table = emcomp.open(path)
    expected = [{"word": word, "cosine": cosine} for word, cosine in table.similar("cat", 4)]
    assert client.json("/nearest?word=cat&k=4") == {"nearest": expected}
    assert client.json("/nearest?id=0&k=4") == {"nearest": expected}
    assert client.json("/nearest", {"word": "cat", "k": 4}) == {"nearest": expected}
    found = client.json("/nearest", {"vector": table[5].tolist()})["nearest"]
    assert [one["word"] for one in found] == [word for word, _ in table.similar(table[5])]
    assert found[0]["word"] == WORDS[5]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (("/rows?word=catt",), 404, "cat"),
        (("/rows", {"words": ["cat", "unheard"]}), 404, "unheard"),
        (("/nearest?word=unheard",), 404, "unheard"),
        (("/rows?id=500",), 422, "row 500 is out of range"),
        (("/rows?id=0&id=-501",), 422, "row -501"),
        (("/rows?id=99999999999999999999",), 422, ""),
        (("/rows?id=one",), 422, "integer"),
        (("/rows",), 422, "exactly one"),
        (("/rows?id=1&word=cat",), 422, "exactly one"),
        (("/rows", {"ids": [1], "words": ["cat"]}), 422, "exactly one"),
        (("/rows", {"ids": [0] * 10_001}), 422, "10000"),
        (("/rows", ["cat"]), 422, ""),
        (("/nearest", {"vector": [1.0]}), 422, "12 finite numbers"),
        (("/nearest?word=cat&k=0",), 422, "greater"),
        (("/nearest?id=500",), 422, "out of range"),
        (("/nowhere",), 404, "Not Found"),
        (("/rows", {"words": ["a" * 1001]}), 422, "at most 1000"),
        (("/nearest", {"word": "a" * 2_000_000}), 422, "at most 1000"),
        (("/nearest", {"vector": [0.5] * 100_001}), 422, "at most 100000"),
        (("/rows", {"words": ["a" * 5_000_000]}), 413, "4,194,304 bytes"),
    ],
)
def test_wrong_requests_are_refused(client, request_, status, message):
    found, detail = client.refusal(*request_)
    assert found == status, detail
    assert message in detail


def test_answers_do_not_repeat_what_was_sent(client):
    for asked in ({"words": ["secret" * 1000]}, {"ids": ["secret" * 1000]}, {"secret" * 100: [1]}):
        _, detail = client.refusal("/rows", asked)
        assert "secret" not in detail


def test_metrics(client):
    before = client.metric('emcomp_requests_total{path="/rows",status="200"}')
    rows = client.metric("emcomp_rows_served_total")
    for _ in range(10):  # by either worker
        client.json("/rows?id=1&id=2")
    client.refusal("/rows?id=1000")
    assert client.metric('emcomp_requests_total{path="/rows",status="200"}') == before + 10
    assert client.metric("emcomp_rows_served_total") == rows + 20
    assert client.metric('emcomp_requests_total{path="/rows",status="422"}') >= 1
    assert client.metric("emcomp_table_rows") == len(WORDS)
    assert client.metric('emcomp_request_seconds_count{path="/rows"}') >= before + 11


def test_a_new_file_takes_over_and_no_request_fails(client, path):
    old = emcomp.open(path)[[1, 2]].copy()
    reloads = client.metric("emcomp_reloads_total")
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            status, _, content = client.request("/rows?id=1&id=2")
            rows = np.array(json.loads(content)["rows"], np.float32)
            answers.append((status, rows.tolist()))

    with ThreadPoolExecutor(3) as askers:
        asking = [askers.submit(ask) for _ in range(3)]
        new = make_table(path, sign=-1)[[1, 2]]
        try:
            client.wait_for(lambda: client.metric("emcomp_reloads_total") == reloads + 2)
            found = np.array(client.json("/rows?id=1&id=2")["rows"], np.float32)
            np.testing.assert_array_equal(found, new)
        finally:
            stop.set()
        for asked in asking:
            asked.result()  # raises what a request raised
    assert not np.array_equal(old, new)
    # Every request is answered, from one of the tables and not from both.
    assert answers
    assert all(answer in ((200, old.tolist()), (200, new.tolist())) for answer in answers)
    client.wait_for(lambda: not mapped_and_deleted(client, path))


def mapped_and_deleted(client, path):
    """Whether a worker still maps a file that has been replaced."""
    workers = {client.json("/health")["worker"] for _ in range(20)}
    maps = "".join(Path(f"/proc/{worker}/maps").read_text() for worker in workers)
    return f"{path} (deleted)" in maps


def test_a_damaged_file_does_not_take_over(client, path):
    before = client.json("/rows?id=1")
    failures = client.metric("emcomp_reload_failures_total")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    temporary = path.with_suffix(".new")
    temporary.write_bytes(damaged)
    temporary.replace(path)
    client.wait_for(lambda: client.metric("emcomp_reload_failures_total") == failures + 2)
    assert client.json("/rows?id=1") == before
    make_table(path)
    client.wait_for(lambda: client.json("/rows?id=1") != before)
