"""Tables in shards whose files do not fit each other."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import emcomp
from emcomp.errors import FormatError
from tests.helpers.odd_files import Tensor, build, parts_of


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal((50, 8)))
    emcomp.compress(folder / "x.npy", "svd:3+kmeans:2", out=folder / "t", shard_rows=20)
    return folder / "t"


def index_with(**changes):
    def change(folder):
        index = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps({**index, **changes}))

    return change


def shards_with(**changes):
    def change(folder):
        index = json.loads((folder / "index.json").read_text())
        index["shards"][1].update(changes)
        (folder / "index.json").write_text(json.dumps(index))

    return change


def file_with(name, edit):
    def change(folder):
        parts = parts_of((folder / name).read_bytes())
        edit(parts)
        (folder / name).write_bytes(build(parts))

    return change


FIRST = "shard-000000.emcomp"


@pytest.mark.parametrize(
    "change",
    [
        index_with(shape=[50, 10**30]),
        index_with(shape=[50, 9]),
        index_with(shape=[50, 0]),
        index_with(shape=[49, 8]),
        index_with(shards=[]),
        index_with(words=3),
        index_with(codec=3),
        index_with(codec="svd:3"),
        shards_with(rows="20"),
        shards_with(rows=2**70),
        shards_with(file=3),
        shards_with(file="../x"),
        shards_with(more=3),
        file_with(FIRST, lambda parts: parts.tensors.update(x=Tensor("U8", [], b"1"))),
        file_with(FIRST, lambda parts: parts.tensors.update(x=Tensor("U8", [20], bytes(20)))),
        file_with(FIRST, lambda parts: parts.tensors.clear()),
        file_with(FIRST, lambda parts: parts.table.clear()),
        file_with(FIRST, lambda parts: parts.table.update(shard=3)),
        file_with("fit.emcomp", lambda parts: parts.table.update(fit=3)),
        file_with("fit.emcomp", lambda parts: parts.table["fit"].update(shared=["x"])),
        file_with("fit.emcomp", lambda parts: parts.table["fit"].update(shared=[[]])),
        file_with("fit.emcomp", lambda parts: parts.table["fit"].update(info=3)),
    ],
)
def test_files_that_do_not_fit_are_refused(good, tmp_path, change):
    folder = tmp_path / "t"
    shutil.copytree(good, folder)
    assert emcomp.open(folder).shape == (50, 8)
    change(folder)
    with pytest.raises(FormatError):
        emcomp.open(folder)
