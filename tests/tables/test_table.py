"""Looking rows up: ids of every kind, bags, neighbours, words, threads and forks."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.codecs import Uniform
from tests.helpers import reference


@pytest.fixture(scope="module")
def table():
    X = np.random.default_rng(0).standard_normal((300, 37)).astype(np.float32)
    return emcomp.compress(X, "uniform:3", words=[f"word{i}" for i in range(300)])


@pytest.fixture(scope="module")
def rows(table):
    return table.decode()


def test_it_says_what_it_is(table):
    assert table.shape == (300, 37)
    assert table.dim == 37
    assert len(table) == 300
    assert table.nbytes == 300 * 14 + 4
    assert table.bits_per_entry == 8 * table.nbytes / (300 * 37)
    assert table.ratio == pytest.approx(300 * 37 * 4 / table.nbytes)
    for part in ("300 x 37", "uniform:3", "4.2 kB", "300 words"):
        assert part in repr(table)


# Ids


@pytest.mark.parametrize("dtype", "bhilqBHILQ")
def test_ids_of_any_integer_type_and_shape(table, rows, dtype):
    ids = np.array([[0, 5, 5], [99, 1, 0]], dtype)
    np.testing.assert_array_equal(table[ids], rows[ids.astype(int)])
    np.testing.assert_array_equal(table[ids.astype(np.dtype(dtype).newbyteorder())], table[ids])
    np.testing.assert_array_equal(table[ids.T], rows[ids.T.astype(int)])
    np.testing.assert_array_equal(table[ids[0, 1]], rows[5])


def test_single_rows_lists_slices_and_negative_ids(table, rows):
    np.testing.assert_array_equal(table[7], rows[7])
    np.testing.assert_array_equal(table[-1], rows[-1])
    np.testing.assert_array_equal(table[[3, -300, 3]], rows[[3, 0, 3]])
    for key in (slice(None), slice(5, 9), slice(-5, None), slice(9, 2), slice(50, 2, -7)):
        np.testing.assert_array_equal(table[key], rows[key])
    assert table[[]].shape == (0, 37)
    assert table.lookup(np.zeros((2, 0, 3), int)).shape == (2, 0, 3, 37)
    np.testing.assert_array_equal(np.stack(list(table)), rows)


@pytest.mark.parametrize("bad", [300, -301, 2**62])
def test_ids_out_of_range_are_named(table, bad):
    for ask in (lambda: table[bad], lambda: table[[0, bad]], lambda: table.bag([bad], [0])):
        with pytest.raises(IndexError, match=str(bad)):
            ask()
    with pytest.raises(IndexError, match="position 3"):
        table[[0, 1, 2, bad]]
    with pytest.raises(IndexError, match=str(2**64 - 1)):
        table[np.array([2**64 - 1], np.uint64)]


@pytest.mark.parametrize("ids", [[0.5], [True, False], np.array(["1"], object), [[1], [2, 3]]])
def test_ids_that_are_not_integers_are_refused(table, ids):
    with pytest.raises((emcomp.InputError, ValueError)):
        table.lookup(ids)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_output_types_and_arrays(table, rows, dtype, threads):
    ids = np.random.default_rng(1).integers(-300, 300, (40, 50))
    expected = rows[ids].astype(dtype)
    found = table.lookup(ids, dtype=dtype, threads=threads)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    out = np.zeros((40, 50, 37), dtype)
    assert table.lookup(ids, out=out, threads=threads) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(table.decode(3, 9, dtype=dtype), rows[3:12].astype(dtype))


def test_outputs_too_large_for_the_caches(table, rows):
    ids = np.random.default_rng(2).integers(0, 300, 130_000)  # 19 MB: written past the caches
    for threads in (1, 2):
        buffer = np.full(130_000 * 37 + 1, np.nan, np.float32)
        for start in (0, 1):  # whole cache lines, and not
            out = buffer[start : start + 130_000 * 37].reshape(130_000, 37)
            table.lookup(ids, out=out, threads=threads)
            np.testing.assert_array_equal(out, rows[ids])


def test_outputs_that_do_not_fit_are_refused(table):
    good = np.zeros((2, 37), np.float32)
    read_only = good.copy()
    read_only.flags.writeable = False
    for out in (good[:1], good.T, good.astype(int), good.astype(">f4"), good[:, ::-1], read_only):
        with pytest.raises(emcomp.InputError):
            table.lookup([0, 1], out=out)
    with pytest.raises(emcomp.InputError):
        table.lookup([0, 1], out=good, dtype=np.float64)
    with pytest.raises(emcomp.InputError):
        table.lookup([0], dtype=np.int32)


def test_decode_in_parts(table, rows):
    np.testing.assert_array_equal(table.decode(10, 20), rows[10:30])
    blocks = list(table.blocks())
    np.testing.assert_array_equal(np.concatenate([b.rows for b in blocks]), rows)
    for first, count in ((-1, 2), (0, 301), (299, 2), (5, -1)):
        with pytest.raises(IndexError):
            table.decode(first, count)


def test_a_table_can_be_compressed_again(table, rows):
    np.testing.assert_array_equal(emcomp.compress(table, "uniform:3(clip=max)").decode(), rows)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_every_layout_looks_up_what_it_decodes(data):
    bits = data.draw(st.integers(1, 8))
    dim = data.draw(st.sampled_from(reference.DIMS))
    count = data.draw(st.integers(1, 40))
    granularity = data.draw(st.sampled_from(["matrix", "row", "column", 1, 3, 16, 40]))
    if granularity not in ("matrix", "row", "column"):
        granularity = min(granularity, dim)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    X = rng.standard_normal((count, dim)).astype(np.float32)
    table = emcomp.compress(X, Uniform(bits, granularity))
    rows = table.decode()
    ids = rng.integers(-count, count, 30)
    np.testing.assert_array_equal(table[ids], rows[ids])
    np.testing.assert_array_equal(table[int(ids[0])], rows[ids[0]])
    assert table.nbytes == table.codec.nbytes(table.shape)


# Neighbours


@pytest.mark.parametrize("dim", [1, 5, 16, 65])
@pytest.mark.parametrize("granularity", ["matrix", "row"])
def test_similar_rows_are_those_of_brute_force(dim, granularity):
    rng = np.random.default_rng(dim)
    X = rng.standard_normal((700, dim)).astype(np.float32)
    X[13] = 0
    table = emcomp.compress(X, Uniform(5, granularity))
    decoded = table.decode().astype(np.float64)
    norms = np.linalg.norm(decoded, axis=1)
    for query in (X[3], rng.standard_normal(dim).astype(np.float32)):
        scale = norms * np.linalg.norm(query.astype(np.float64))
        dots = decoded @ query.astype(np.float64)
        cosines = np.divide(dots, scale, out=np.zeros(700), where=scale > 0)
        order = np.lexsort((np.arange(700), -np.round(cosines, 12)))[:10]
        for threads in (1, 2, 3):
            found = table.similar(query, 10, threads=threads)
            np.testing.assert_allclose([c for _, c in found], cosines[order], atol=1e-12)
            np.testing.assert_allclose(cosines[[r for r, _ in found]], cosines[order], atol=1e-12)


def test_cosines_are_the_same_on_every_level():
    X = np.random.default_rng(0).standard_normal((90, 77)).astype(np.float32)
    table = emcomp.compress(X, "uniform:4")
    found = set()
    for core in reference.cores().values():
        reader = core.codec_reader("uniform:4", *X.shape, dict(table.tensors))
        rows, cosines = reader.similar(X[:3], 90, 2)
        found.add((rows.tobytes(), cosines.tobytes()))
    assert len(found) == 1


def test_a_word_is_not_its_own_neighbour(table):
    found = table.similar("word5", 4)
    assert len(found) == 4
    assert "word5" not in [word for word, _ in found]
    assert found == table.similar(5, 4) == table.similar(-295, 4)
    assert table.similar(table["word5"], 4)[0][0] == "word5"
    assert len(table.similar("word5", 10_000)) == 299


def test_queries_that_make_no_sense_are_refused(table):
    for query in (np.zeros(36), np.full(37, np.nan), np.zeros((2, 37))):
        with pytest.raises(emcomp.InputError):
            table.similar(query)
    with pytest.raises(emcomp.InputError):
        table.similar("word1", 0)
    with pytest.raises(IndexError):
        table.similar(300)


# Words


def test_words_name_rows(table, rows):
    np.testing.assert_array_equal(table["word9"], rows[9])
    np.testing.assert_array_equal(table[b"word9"], rows[9])
    np.testing.assert_array_equal(table[["word9", "word0"]], rows[[9, 0]])
    assert "word9" in table
    assert "word" not in table
    assert 9 not in table
    np.testing.assert_array_equal(table.get("word9"), rows[9])
    assert table.get("word") is None
    assert table.get("word", 5) == 5


def test_unknown_words_name_the_closest(table):
    for ask in (lambda: table["wurd9"], lambda: table[["word1", "wurd9"]]):
        with pytest.raises(KeyError, match=r"'wurd9'.*'word9'"):
            ask()


def test_a_table_without_words():
    table = emcomp.compress(np.eye(5, dtype=np.float32))
    assert "a" not in table
    assert table.get("a") is None
    for key in ("a", ["a", "b"]):
        with pytest.raises(emcomp.InputError, match="no words"):
            table[key]
    assert table.similar(0, 1)[0][0] in range(1, 5)


def test_words_must_fit_the_rows():
    with pytest.raises(emcomp.InputError, match="2 words"):
        emcomp.compress(np.ones((3, 2)), words=["a", "b"])
    with pytest.raises(emcomp.InputError):
        emcomp.compress(np.ones((2, 2)), words=["a", "a"])


def test_back_to_vectors(table, rows):
    vectors = table.to_vectors()
    np.testing.assert_array_equal(vectors.vectors, rows)
    assert list(vectors.words) == [f"word{i}" for i in range(300)]


# Files


@pytest.mark.parametrize("codec", ["uniform:3", "uniform:5(granularity=row,step_dtype=float16)",
                                   "uniform:1(granularity=column)", "uniform:8(granularity=5)"])  # fmt: skip
def test_a_saved_table_comes_back(tmp_path, codec):
    X = np.random.default_rng(0).standard_normal((20, 11)).astype(np.float32)
    table = emcomp.compress(X, codec, words=[f"w{i}" for i in range(20)])
    path = tmp_path / "t.emcomp"
    table.save(path)
    opened = emcomp.open(path)
    np.testing.assert_array_equal(opened.decode(), table.decode())
    assert (str(opened.codec), opened.shape, opened.info) == (codec, (20, 11), table.info)
    assert list(opened.words) == list(table.words)
    opened.save(tmp_path / "again.emcomp")
    assert (tmp_path / "again.emcomp").read_bytes() == path.read_bytes()
    copy = pickle.loads(pickle.dumps(opened))
    np.testing.assert_array_equal(copy[["w3", "w4"]], table[["w3", "w4"]])


@pytest.mark.parametrize(
    "change",
    [
        {"codec": "uniform:4"}, {"codec": "unheard:4"}, {"codec": 5}, {"shape": [20, 14]},
        {"shape": [10, 11]}, {"shape": "x"}, {"shape": [0, 11]}, {"info": 3},
        {"codec": "uniform:3(granularity=row)"}, {"codec": "uniform:3(granularity=50)"},
    ],
)  # fmt: skip
def test_a_description_that_does_not_fit_its_tensors_is_refused(tmp_path, change):
    from emcomp.tables import container

    table = emcomp.compress(np.ones((20, 11), np.float32), "uniform:3")
    described = {"codec": "uniform:3", "shape": [20, 11], "info": {}, **change}
    container.write(tmp_path / "t.emcomp", dict(table.tensors), described)
    with pytest.raises(emcomp.FormatError, match=r"t\.emcomp"):
        emcomp.open(tmp_path / "t.emcomp")


def test_verify_reads_what_open_leaves_unread(tmp_path):
    table = emcomp.compress(np.random.default_rng(0).standard_normal((9000, 64)), "uniform:2")
    path = tmp_path / "t.emcomp"
    table.save(path)
    emcomp.verify(path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    emcomp.open(path)
    with pytest.raises(emcomp.CorruptFileError, match="codes"):
        emcomp.verify(path)


# Threads and forks


def test_many_threads_may_read_at_once(table, rows):
    ids = np.random.default_rng(0).integers(0, 300, 5000)

    def read(seed):
        mine = np.roll(ids, seed)
        return (table.lookup(mine, threads=2) == rows[mine]).all() and "word3" in table

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(64)))


def test_a_child_forked_after_threads_were_used_keeps_working():
    program = """
        import os, sys
        import numpy as np
        import emcomp
        X = np.random.default_rng(0).standard_normal((3000, 64)).astype(np.float32)
        table = emcomp.compress(X, "uniform:4", threads=2)
        ids = np.arange(3000)
        expected = table.lookup(ids, threads=2)
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                same = all((table.lookup(ids, threads=2) == expected).all() for _ in range(20))
                again = emcomp.compress(X, "uniform:4", threads=2)
                same = same and (again.tensors["codes"] == table.tensors["codes"]).all()
                os._exit(0 if same else 1)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        sys.exit(any(codes))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)
