"""Files that are written to, cut or replaced while a table is open."""

from __future__ import annotations

import os

import numpy as np
import pytest

import emcomp
from emcomp.errors import CorruptFileError

ROWS = 5000


@pytest.fixture(params=["file", "folder"])
def path(request, tmp_path):
    X = np.random.default_rng(0).standard_normal((ROWS, 16)).astype(np.float32)
    if request.param == "file":
        emcomp.compress(X, "uniform:8").save(tmp_path / "t")
    else:
        emcomp.compress(X, "uniform:8", out=tmp_path / "t", shard_rows=3000)
    return tmp_path / "t"


def last_file(path):
    """The file that has the last rows."""
    return path if path.is_file() else path / max(p.name for p in path.glob("shard-*"))


def change(path, how):
    file = last_file(path)
    status = file.stat()
    if how == "cut":
        os.truncate(file, 4096)
    else:
        data = bytearray(file.read_bytes())
        data[-100] ^= 255
        with file.open("r+b") as opened:
            opened.write(data)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize("how", ["cut", "written"])
def test_a_mapped_file_that_was_changed_is_noticed(path, how):
    table = emcomp.open(path)
    ids = np.arange(ROWS)
    table.lookup(ids)
    change(path, how)
    for use in (
        lambda: table.lookup(ids),
        table.decode,
        lambda: table.bag(ids[None, :]),
        lambda: table.similar(np.ones(16, np.float32)),
    ):
        with pytest.raises(CorruptFileError, match="changed in place since it was opened"):
            use()


@pytest.mark.parametrize("how", ["cut", "written"])
def test_a_table_that_was_read_whole_stays_what_it_was(path, how):
    table = emcomp.open(path, mapped=False)
    expected = table.decode()
    change(path, how)
    assert np.array_equal(table.decode(), expected)
    assert np.array_equal(table.read(0, ROWS), expected)  # releases no memory
    assert np.array_equal(table.decode(), expected)


def test_every_byte_is_checked_when_a_table_is_read_whole(path):
    change(path, "written")
    with pytest.raises(CorruptFileError):
        emcomp.open(path, mapped=False)


def test_a_file_may_be_replaced_or_removed(path, tmp_path):
    table = emcomp.open(path)
    expected = table.decode()
    file = last_file(path)
    (tmp_path / "other").write_bytes(b"something else")
    (tmp_path / "other").replace(file)
    assert np.array_equal(table.decode(), expected)
    file.unlink()
    assert np.array_equal(table.decode(), expected)
