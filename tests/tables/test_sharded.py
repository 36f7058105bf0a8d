"""Tables in shards whose files do not fit each other."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import emcomp
from emcomp.errors import FormatError
from emcomp.tables import container, shard_index
from tests.helpers.odd_files import Tensor, build, parts_of


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal((50, 8)))
    emcomp.compress(folder / "x.npy", "svd:3+kmeans:2", out=folder / "t", shard_rows=20)
    return folder / "t"


def rewrite_index(folder, edit):
    """Change the index, and seal it again."""
    path = folder / shard_index.INDEX
    index = json.loads(path.read_text())
    edit(index)
    path.write_bytes(shard_index._sealed(json.dumps(index, indent=1).encode()))


def index_with(**changes):
    return lambda folder: rewrite_index(folder, lambda index: index.update(changes))


def shards_with(**changes):
    return lambda folder: rewrite_index(folder, lambda index: index["shards"][1].update(changes))


def shard_file_with(edit, number=0):
    """Change a shard, and what the index says of its file."""

    def change(folder):
        path = folder / shard_index.read_index(folder).shards[number].file
        parts = parts_of(path.read_bytes())
        edit(parts)
        path.write_bytes(build(parts))
        with container.open(path) as opened:
            checksum = opened.checksum
        rewrite_index(folder, lambda index: index["shards"][number].update(checksum=checksum))

    return change


def fit_with(edit):
    """Change the fit, and its checksum wherever it stands."""

    def change(folder):
        path = folder / shard_index.FIT
        parts = parts_of(path.read_bytes())
        edit(parts)
        path.write_bytes(build(parts))
        with container.open(path) as opened:
            checksum = opened.checksum
        rewrite_index(folder, lambda index: index.update(fit=checksum))
        for number in range(len(shard_index.read_index(folder).shards)):
            shard_file_with(lambda parts: parts.table["shard"].update(fit=checksum), number)(folder)

    return change


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
        shard_file_with(lambda parts: parts.tensors.update(x=Tensor("U8", [], b"1"))),
        shard_file_with(lambda parts: parts.tensors.update(x=Tensor("U8", [20], bytes(20)))),
        shard_file_with(lambda parts: parts.tensors.clear()),
        shard_file_with(lambda parts: parts.table.clear()),
        shard_file_with(lambda parts: parts.table.update(shard=3)),
        fit_with(lambda parts: parts.table.update(fit=3)),
        fit_with(lambda parts: parts.table["fit"].update(shared=["x"])),
        fit_with(lambda parts: parts.table["fit"].update(shared=[[]])),
        fit_with(lambda parts: parts.table["fit"].update(info=3)),
    ],
)
def test_files_that_do_not_fit_are_refused(good, tmp_path, change):
    folder = tmp_path / "t"
    shutil.copytree(good, folder)
    assert emcomp.open(folder).shape == (50, 8)
    change(folder)
    with pytest.raises(FormatError):
        emcomp.open(folder)
