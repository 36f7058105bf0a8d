"""More than 2^31 rows, entries and bytes, in files whose zeros take no room."""

from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp.io.sources.memory_mapped import release
from emcomp.tables.sharded import ShardedEmbedding

MANY = 2**31 + 1000


def test_rows_at_the_end_of_a_large_file(tmp_path):
    path = tmp_path / "X.npy"
    table = np.lib.format.open_memmap(path, "w+", np.float16, (MANY, 1))
    table[-100:, 0] = np.arange(100)
    table.flush()
    for source in (emcomp.open_source(path), emcomp.read_vectors(path).vectors):
        assert source.shape == (MANY, 1)
    source = emcomp.open_source(path)
    assert np.array_equal(source.read(MANY - 100, 100)[:, 0], np.arange(100))
    assert not source.read(2**31 - 50, 100).any()
    with pytest.raises(emcomp.InputError, match=f"{MANY}"):
        source.read(MANY - 1, 2)


def test_large_tables_in_shards(tmp_path):
    shards = []
    for number, end in enumerate([[3, 1], [2, 0], [1, 2]]):
        codes = np.lib.format.open_memmap(tmp_path / f"{number}.npy", "w+", np.uint8, (MANY, 1))
        codes[-2:, 0] = end
        shards.append((len(codes), {"codes": codes}))
    codec = emcomp.parse_codec("uniform:2")
    steps = np.ones(1, np.float32)
    table = ShardedEmbedding(codec, (3 * MANY, 1), {"steps": steps}, shards, None, {})
    ids = np.array([MANY - 2, MANY - 1, MANY, 2 * MANY - 2, 3 * MANY - 2, 3 * MANY - 1])
    assert np.array_equal(table.lookup(ids)[:, 0], [1.5, -0.5, -1.5, 0.5, -0.5, 0.5])
    assert np.array_equal(table.decode(MANY - 2, 3)[:, 0], [1.5, -0.5, -1.5])
    assert np.array_equal(table.read(3 * MANY - 2, 2)[:, 0], [-0.5, 0.5])
    assert table.nbytes == 3 * MANY + 4
    with pytest.raises(IndexError):
        table.lookup([3 * MANY])


def resident_bytes(path):
    """Bytes of a mapped file that are in memory of this process."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        1024 * int(next(line for line in lines if line.startswith("Rss:")).split()[1])
        for line in lines
        if line.endswith(str(path))
    )


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc")
def test_released_pages_come_back(tmp_path):
    X = np.random.default_rng(0).standard_normal((5000, 16)).astype(np.float32)
    table = emcomp.compress(X, "uniform:8", out=tmp_path / "t.emcomp")
    codes = table.tensors["codes"]
    before = codes.copy()
    resident = resident_bytes(tmp_path / "t.emcomp")
    release(codes[1000:3001])
    assert resident_bytes(tmp_path / "t.emcomp") <= resident - 24_000
    release(codes[:1])
    assert np.array_equal(codes, before)
    release(X[10:])  # nothing of memory that no file stands behind
    release(codes[:, :3])
    assert np.array_equal(emcomp.open(tmp_path / "t.emcomp").read(10, 50), table.decode(10, 50))
