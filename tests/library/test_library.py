"""The library for C and C++ programs, built, installed and used as somebody else would."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import threading

import numpy as np
import pytest

import emcomp
from emcomp.codecs import grammar
from emcomp.errors import CorruptFileError, FormatError
from emcomp.tables.container_header import seal
from tests.library import library_binding
from tests.library.library_binding import StatusError, Table
from tests.library.library_table import CAN_BUILD, DIM, ROOT, ROWS, WORDS, run

if not CAN_BUILD:
    pytest.skip("needs cmake", allow_module_level=True)

CODECS = [
    *(f"uniform:{bits}" for bits in range(1, 9)),
    "uniform:3(granularity=row)",
    "uniform:3(granularity=row,step_dtype=float16)",
    "uniform:4(granularity=column)",
    "uniform:4(granularity=column,step_dtype=float16)",
    "uniform:2(granularity=8,clip=max)",
    "uniform:5(granularity=33)",
    "uniform:4(clip=1e+00,rounding=stochastic,seed=7)",
    *(f"kmeans:{bits}" for bits in (1, 4, 8)),
    "kmeans:3(granularity=1)",
    "kmeans:2(granularity=10)",
    "pq:5x4",
    "pq:33x8",
    "pq:1x7",
    "pq:4x3(iterations=2)",
    "opq:5x4(rotations=2)",
    "opq:33x3(rotations=1,map_dtype=float32)",
    "principal+allocate:3",
    "allocate:0.5",
    "principal(0.0,centre=none,scales=none)+allocate:1",
    "trellis:2(rounds=1)",
    "trellis:2(rounds=1,classes=4)",
    "principal(0.0,scales=none,map_dtype=int8)+trellis:1(rounds=1,classes=auto)",
    "whiten(map_dtype=int8)+kmeans:3",
    "rotate(scales=row)+trellis:1(rounds=1,classes=3,centre=none)",
    "trellis:1.5(rounds=1,window=10,centre=none)",
    "trellis:0.7(rounds=1,window=12,widths=column)",
    "principal(0.0,scales=none)+trellis:3(rounds=1)",
    "autoencoder:8(epochs=1)+uniform:6",
    "autoencoder:8(epochs=1,activation=elu)",
    "rq:3x4",
    "rq:2x8(beam=1,refine=0)",
    "dccl:4x8(epochs=1)",
    "dccl:3(epochs=1)",
    "float:32",
    "float:16",
    "svd:8",
    "svd:8(map_dtype=float16)+uniform:6",
    "pca:8",
    "pca:9+kmeans:4",
    "rotate",
    "rotate(seed=18446744073709551615)+uniform:4",
    "rotate(scales=row)+kmeans:4",
    "whiten+uniform:4",
    "whiten(0.25,centre=none,scales=none,map_dtype=float32)+uniform:3(granularity=row)",
    "whiten(1.0,seed=5)",
    "direction:9+float:16",
    "direction:9",
    "svd:20+rotate(scales=row)+uniform:4",
    "svd:20+whiten+pq:5x4",
]


def test_all_stages_are_tried():
    named = {stage.partition(":")[0].partition("(")[0] for c in CODECS for stage in c.split("+")}
    assert set(grammar._stages) <= named


@pytest.mark.parametrize("codec", CODECS)
def test_results_are_those_of_python(library, vectors, codec, tmp_path):
    path = tmp_path / "table.emcomp"
    emcomp.compress(vectors, codec).save(path)
    expected = emcomp.open(path)
    rng = np.random.default_rng(2)
    ids = rng.integers(-ROWS, ROWS, 1000)
    offsets = np.sort(rng.integers(0, 1000, 60))
    offsets[0] = 0
    weights = rng.normal(size=1000).astype(np.float32)
    with Table(library, path) as table:
        table.verify()
        assert table.shape == expected.shape
        assert table.codec == str(expected.codec)
        assert not table.has_words
        for threads in (1, 3):
            np.testing.assert_array_equal(table.lookup(ids, threads), expected.lookup(ids))
        for mode in ("sum", "mean", "max"):
            np.testing.assert_array_equal(
                table.bag(ids, offsets, mode, threads=2), expected.bag(ids, offsets, mode=mode)
            )
        np.testing.assert_array_equal(
            table.bag(ids, offsets, "sum", weights), expected.bag(ids, offsets, weights=weights)
        )
        query = expected[3] + np.float32(0.25)
        assert table.similar(query, 7, threads=2) == expected.similar(query, 7)
        assert table.similar(5, 7) == expected.similar(5, 7)
        assert table.similar(-1, 2 * ROWS) == expected.similar(-1, 2 * ROWS)


def test_words(library, path):
    with Table(library, path) as table:
        assert table.has_words
        words = [word if isinstance(word, bytes) else word.encode() for word in WORDS]
        assert [table.word(row) for row in range(ROWS)] == words
        assert table.word(-1) == words[-1]
        assert [table.find(word) for word in words] == list(range(ROWS))
        for missing in (b"do", b"dog ", b"cat\0"):
            with pytest.raises(StatusError, match="is not in the table") as raised:
                table.find(missing)
            assert raised.value.status == library_binding.UNKNOWN_WORD
        with pytest.raises(StatusError, match="row 300 is out of range"):
            table.word(ROWS)


def test_a_table_without_words(library, vectors, tmp_path):
    emcomp.compress(vectors, "uniform:4").save(tmp_path / "t")
    with Table(library, tmp_path / "t") as table:
        with pytest.raises(StatusError, match="no words") as raised:
            table.find(b"cat")
        assert raised.value.status == library_binding.UNKNOWN_WORD
        with pytest.raises(StatusError, match="no words") as raised:
            table.word(0)
        assert raised.value.status == library_binding.INVALID


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        (lambda t: t.lookup([0, 1, ROWS]), "OUT_OF_RANGE", r"row 300 .* position 2"),
        (lambda t: t.lookup([-ROWS - 1]), "OUT_OF_RANGE", "row -301"),
        (lambda t: t.lookup([2**63 - 1, -(2**63)]), "OUT_OF_RANGE", "position 0"),
        (lambda t: t.lookup([0], threads=-1), "INVALID", "threads"),
        (lambda t: t.bag([1, 2], [0, 3], "sum"), "OUT_OF_RANGE", "found 3 after 0"),
        (lambda t: t.bag([1, 2], [0, 2, 1], "sum"), "OUT_OF_RANGE", "found 1 after 2"),
        (lambda t: t.bag([1, 2], [1], "sum"), "INVALID", "first offset"),
        (lambda t: t.bag([1, 2], [], "sum"), "INVALID", "no offsets"),
        (lambda t: t.bag([1, ROWS], [0], "max"), "OUT_OF_RANGE", "row 300"),
        (lambda t: t.bag([1], [0], "mean", [1.0]), "INVALID", "weights"),
        (lambda t: t.bag([1], [0], "median"), "INVALID", "mode"),
        (lambda t: t.similar(np.zeros(DIM - 1), 3), "INVALID", "33 finite numbers"),
        (lambda t: t.similar(np.full(DIM, np.inf), 3), "INVALID", "33 finite numbers"),
        (lambda t: t.similar(0, 0), "INVALID", "k must"),
        (lambda t: t.similar(ROWS, 3), "OUT_OF_RANGE", "row 300"),
    ],
)
def test_what_does_not_fit_is_refused(library, path, call, status, message):
    with Table(library, path) as table:
        with pytest.raises(StatusError, match=message) as raised:
            call(table)
        assert raised.value.status == getattr(library_binding, status)


def test_a_buffer_of_the_wrong_size_is_refused(library, path):
    ids, out = np.zeros(2, np.int64), np.zeros(3 * DIM, np.float32)
    with Table(library, path) as table:
        for size in (0, DIM, 2 * DIM - 1, 2 * DIM + 1, 3 * DIM, 2**63):
            status = library.lookup(table.handle, ids.ctypes.data, 2, out.ctypes.data, size, 1)
            assert status == library_binding.INVALID
        huge = 2**64 // DIM + 1
        status = library.lookup(table.handle, ids.ctypes.data, huge, out.ctypes.data, 32, 1)
        assert status == library_binding.INVALID
        assert not out.any()


def test_nothing_to_look_up(library, path):
    with Table(library, path) as table:
        assert table.lookup([]).shape == (0, DIM)
        assert table.bag([], [], "sum").shape == (0, DIM)
        np.testing.assert_array_equal(table.bag([], [0, 0], "max"), np.zeros((2, DIM), np.float32))


def test_files_that_cannot_be_opened(library, path, tmp_path):
    def status_of(file):
        with pytest.raises(StatusError, match=str(file)) as raised:
            Table(library, file)
        return raised.value.status

    assert status_of(tmp_path / "missing") == library_binding.IO_ERROR
    assert status_of(tmp_path) == library_binding.IO_ERROR
    for content in (b"", b"\0" * 7, b"word 1 2 3\n", b"\xff" * 100):
        (tmp_path / "other").write_bytes(content)
        assert status_of(tmp_path / "other") == library_binding.NOT_A_TABLE
    data = path.read_bytes()
    (tmp_path / "short").write_bytes(data[:-1])
    assert status_of(tmp_path / "short") == library_binding.CORRUPT
    header_end = 8 + int.from_bytes(data[:8], "little")
    later = seal(data[:header_end].replace(rb"\"format\":1", rb"\"format\":2", 1))
    (tmp_path / "later").write_bytes(later + data[header_end:])
    assert status_of(tmp_path / "later") == library_binding.NOT_A_TABLE


def test_verify_finds_a_flipped_bit_in_a_large_tensor(library, tmp_path):
    path = tmp_path / "t"
    X = np.random.default_rng(0).normal(size=(4000, DIM)).astype(np.float32)
    emcomp.compress(X, "uniform:8").save(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"}}  ") + 70_000] ^= 4
    path.write_bytes(data)
    with Table(library, path) as table:
        with pytest.raises(StatusError, match=r"'codes' .* is damaged") as raised:
            table.verify()
        assert raised.value.status == library_binding.CORRUPT


def python_status(path):
    """What the library should return for a file, from what Python says."""
    try:
        emcomp.open(path)
    except CorruptFileError:
        return library_binding.CORRUPT
    except FormatError:
        return library_binding.NOT_A_TABLE
    return library_binding.OK


@pytest.mark.parametrize(
    ("written", "instead", "good"),
    [
        *(("allocate:0.5", f"allocate:{size}", True) for size in ("007", "8.0", "1.3")),
        *(("allocate:0.5", f"allocate:{size}", False) for size in ("8.1", "0.0", "9.9", ".50")),
        *(("allocate:0.5", f"allocate:{size}", False) for size in ("05.", "...", "5e0", "1x2")),
        *(("allocate:0.5", f"allocate:{size}", False) for size in ("+05", "-05", "nan", "inf")),
        ("uniform:4(clip=100.0)", "uniform:4(clip=001.0)", True),
        ("uniform:4(clip=100.0)", "uniform:4.0(clip=1.0)", False),
        ("svd:8+uniform:4(clip=100.0)", "svd:8.0+uniform:4(clip=1.0)", False),
        ("dccl:2(epochs=1,seed=100)", "dccl:2.0(epochs=1,seed=1)", False),
        ("dccl:2x4(epochs=1,seed=100)", "dccl:2x4.0(epochs=1,seed=1)", False),
    ],
)
def test_sizes_that_need_not_be_whole_are_those_of_python(
    library, vectors, tmp_path, written, instead, good
):
    path = tmp_path / "table.emcomp"
    emcomp.compress(vectors, written).save(path)
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    assert data[:end].count(written.encode()) == 1
    header = data[:end].replace(written.encode(), instead.encode())
    path.write_bytes(seal(header) + data[end:])
    status = python_status(path)
    assert (status == library_binding.OK) == good
    if good:
        with Table(library, path) as table:
            np.testing.assert_array_equal(table.lookup([3, 5]), emcomp.open(path).lookup([3, 5]))
    else:
        with pytest.raises(StatusError) as raised:
            Table(library, path)
        assert raised.value.status == status


def test_errors_belong_to_threads(library, path):
    with Table(library, path) as table:
        messages = {}

        def fail(row):
            for _ in range(200):
                with pytest.raises(StatusError) as raised:
                    table.lookup([row])
            messages[row] = str(raised.value)

        threads = [threading.Thread(target=fail, args=(row,)) for row in range(ROWS, ROWS + 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(f"row {row} is" in message for row, message in messages.items())
        assert len(messages) == 4


def test_a_forked_child_uses_the_table(library, vectors, tmp_path):
    emcomp.compress(np.tile(vectors, (20, 1)), "uniform:4").save(tmp_path / "t")
    program = f"""
import os, sys
import numpy as np
from tests.library.library_binding import Library, Table
table = Table(Library({str(library.path)!r}), {str(tmp_path / "t")!r})
ids = np.arange(table.shape[0])
rows = table.lookup(ids, threads=2)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(table.lookup(ids, threads=2), rows) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run(
        sys.executable,
        "-c",
        program,
        timeout=60,
        env=os.environ | {"PYTHONPATH": "tests"},
        cwd=ROOT,
    )


def test_the_file_may_be_replaced_while_it_is_open(library, path, vectors, tmp_path):
    shutil.copy(path, tmp_path / "t")
    with Table(library, tmp_path / "t") as table:
        before = table.lookup(np.arange(ROWS))
        emcomp.compress(-vectors, "uniform:4", words=WORDS).save(tmp_path / "t")
        np.testing.assert_array_equal(table.lookup(np.arange(ROWS)), before)


def test_the_interface_is_checked(library):
    text = (ROOT / "cpp" / "include" / "emcomp.h").read_text()
    assert "#define EMCOMP_ABI_MAJOR 1\n#define EMCOMP_ABI_MINOR 0\n" in text
    assert library.check_abi(1, 0) == library_binding.OK
    for major, minor in ((0, 0), (2, 0), (1, 1)):
        assert library.check_abi(major, minor) == library_binding.INCOMPATIBLE
    assert b"interface 1.1" in library.last_error()
    assert library.version().decode() == emcomp.__version__
    library.close(None)


def test_only_the_interface_is_exported(prefix):
    def exported(path):
        return {line.split()[-1] for line in run("nm", "-D", "--defined-only", path).splitlines()}

    assert exported(prefix / "lib" / "libemcomp.so") == {
        f"emcomp_{name}" for name in library_binding._SIGNATURES
    }
    modules = list((prefix / "lib").glob("libemcomp-*.so"))
    assert modules
    for module in modules:
        assert exported(module) == {"emcomp_functions"}


def test_a_library_in_pieces_says_so(prefix, tmp_path):
    shutil.copy(prefix / "lib" / "libemcomp.so", tmp_path)
    library = ctypes.CDLL(str(tmp_path / "libemcomp.so"))
    library.emcomp_isa.restype = library.emcomp_last_error.restype = ctypes.c_char_p
    assert library.emcomp_open(b"any", None) == library_binding.INCOMPATIBLE
    assert b"libemcomp-" in library.emcomp_last_error()
    assert library.emcomp_isa() is None
    library.emcomp_close(None)
