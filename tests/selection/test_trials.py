"""Selecting where candidates are written as they are made."""

import json

import numpy as np
import pytest

import emcomp
from emcomp.compression.planning import make_plan
from tests.helpers.streamed_rows import WORDS, streamed_rows

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(scope="module")
def X():
    return streamed_rows()


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


def test_what_memory_forbids_is_tried_by_a_run_that_has_more(X, tmp_path):
    names = ["uniform:2", "pq:4x4(sample=500)", "kmeans:2"]
    needed = {name: make_plan(emcomp.parse_codec(name), X.shape).memory for name in names}
    least = max(needed["uniform:2"], needed["kmeans:2"])
    assert least < needed["pq:4x4(sample=500)"]
    options = {"out": tmp_path / "best.emcomp", "state": tmp_path / "state.json"}
    found = emcomp.select(X, "4bits", names, **options, memory_limit=least)
    assert set(found.failed) == {"pq:4x4(sample=500)"}
    assert "pq:4x4(sample=500)" not in json.loads(options["state"].read_text())["finished"]
    assert not emcomp.select(X, "4bits", names, **options, memory_limit="1GB").failed
