"""Which files are opened, which are refused, and with what kind of error."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp.errors import CorruptFileError, FormatError
from tests.helpers import format_oracle, odd_files
from tests.helpers.odd_files import Raw, Tensor, build, parts_of

READ, NOT_A_TABLE, DAMAGED = "read", "not a table", "damaged"


def verdict(path):
    """What opening a file comes to, and the message."""
    try:
        table = emcomp.open(path)
    except CorruptFileError as error:
        return DAMAGED, str(error)
    except FormatError as error:
        return NOT_A_TABLE, str(error)
    table.decode()
    return READ, ""


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return odd_files.tables(tmp_path_factory.mktemp("originals"))


def test_odd_files_have_the_verdict_of_the_document(originals, tmp_path):
    path = tmp_path / "odd.emcomp"
    found = Counter()
    for label, data in odd_files.odd_files(originals, seed=1, count=1500):
        path.write_bytes(data)
        came, message = verdict(path)
        assert came == format_oracle.verdict(data), f"{label}: {message}"
        found[came] += 1
    assert min(found[kind] for kind in (READ, NOT_A_TABLE, DAMAGED)) > 200, found


def test_good_files_are_good(originals, tmp_path):
    for parts in originals:
        (tmp_path / "good.emcomp").write_bytes(build(parts))
        assert verdict(tmp_path / "good.emcomp") == (READ, "")


def with_table(**changes):
    def change(parts):
        parts.table |= changes

    return change


def with_tensor(name, **changes):
    def change(parts):
        for key, value in changes.items():
            setattr(parts.tensors[name], key, value)

    return change


def with_entry(name, tensor):
    def change(parts):
        parts.tensors[name] = tensor

    return change


def codec(text):
    return with_table(codec=text)


def info(text):
    return with_table(info=Raw('{"x":%s}' % text))  # noqa: UP031


NAN, INFINITY = struct.pack("<f", np.nan), struct.pack("<f", np.inf)
CASES = [
    ("uniform:4", with_table(shape=[40, 10**30]), NOT_A_TABLE, r"2\^63 - 1"),
    ("uniform:4", with_table(shape=[40, 2**63]), NOT_A_TABLE, r"2\^63 - 1"),
    ("uniform:4", with_table(shape=[2**63, 9]), NOT_A_TABLE, r"2\^63 - 1"),
    ("uniform:4", with_table(shape=[40, 2**40]), NOT_A_TABLE, "at most 67108864 columns"),
    ("uniform:4", with_table(shape=[40, Raw("9.0")]), NOT_A_TABLE, "whole number"),
    ("uniform:4", with_table(shape=[40, True]), NOT_A_TABLE, "whole number"),
    ("uniform:4", with_table(shape=[Raw("-0"), 9]), NOT_A_TABLE, "whole number"),
    ("uniform:4", with_table(shape=[0, 9]), NOT_A_TABLE, "at least 1 x 1"),
    ("uniform:4", with_table(shape=[40]), NOT_A_TABLE, "shape of 2"),
    ("uniform:4", with_table(info=3), NOT_A_TABLE, "expected an object"),
    ("uniform:4", with_table(codec=4), NOT_A_TABLE, "expected '\"'"),
    ("uniform:4", with_table(unheard=[{"of": None}]), READ, ""),
    ("uniform:4", info("1e400"), DAMAGED, "beyond float64"),
    ("uniform:4", info("1e-400"), READ, ""),
    ("uniform:4", info("9" * 101), DAMAGED, "too many digits"),
    ("uniform:4", info("[" * 29 + "]" * 29), READ, ""),
    ("uniform:4", info("[" * 30 + "]" * 30), DAMAGED, "inside each other"),
    ("uniform:4", info('{"a":1,"a":2}'), DAMAGED, "'a' is there twice"),
    ("uniform:4", info('{"a":1,"\\u0061":2}'), DAMAGED, "'a' is there twice"),
    ("uniform:4", info('"é"'), DAMAGED, "not ASCII"),
    ("uniform:4", info('"\\ud800"'), READ, ""),
    ("uniform:4", info("[" + "0," * 600_000 + "0]"), DAMAGED, "at most 1048576 are allowed"),
    ("pca:9+uniform:4", codec("pca:5+uniform:4"), NOT_A_TABLE, "the rows have 9 columns"),
    ("svd:4", codec("svd:5"), NOT_A_TABLE, r"shape \[4, 9\], expected \[5, 9\]"),
    ("svd:4", codec("svd"), NOT_A_TABLE, "followed by 1 number"),
    ("whiten+uniform:4", codec("whiten:9+uniform:4"), NOT_A_TABLE, "not followed by numbers"),
    ("whiten+uniform:4", codec("whiten(centre=x)+uniform:4"), NOT_A_TABLE, "'mean' or 'none'"),
    ("whiten+uniform:4", codec("whiten(centre=none)+uniform:4"), NOT_A_TABLE, "belongs to no part"),
    ("float:16", codec("float:32"), NOT_A_TABLE, "F16, expected F32"),
    ("float:16", codec("float:7"), NOT_A_TABLE, "16 or 32 bits"),
    ("uniform:4", codec("uniform:4 "), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec(" uniform:4"), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec("uniform:4x"), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec("uniform:4()"), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec("uniform:4+"), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec("uniform:+4"), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec("uniform:004"), READ, ""),
    ("uniform:4", codec("uniform:4(unheard=1e+06)"), READ, ""),
    ("uniform:4", codec("uniform:4(clip=1,clip=1)"), NOT_A_TABLE, "is not a codec"),
    ("uniform:4", codec("unheard:4"), NOT_A_TABLE, "'unheard:4': it is not known"),
    ("uniform:4", codec("pca:9+" * 15 + "uniform:4"), READ, ""),
    ("uniform:4", codec("pca:9+" * 16 + "uniform:4"), NOT_A_TABLE, "17 stages: at most 16"),
    ("uniform:4", codec(f"uniform:4(x={'a' * 4080})"), READ, ""),
    ("uniform:4", codec(f"uniform:4(x={'a' * 4090})"), NOT_A_TABLE, "at most 4096"),
    ("uniform:4", with_tensor("steps", shape=[]), NOT_A_TABLE, r"shape \[\], expected \[1\]"),
    ("uniform:4", with_entry("more", Tensor("F64", [], bytes(8))), NOT_A_TABLE, "'more' belongs"),
    ("uniform:4", with_entry("mOre", Tensor("F64", [], bytes(8))), DAMAGED, "'mOre' cannot be"),
    ("uniform:4", with_tensor("steps", data=NAN), NOT_A_TABLE, "'steps' has entries that are not"),
    ("uniform:4", with_tensor("steps", data=INFINITY), NOT_A_TABLE, "not finite"),
    ("kmeans:1", with_tensor("levels", data=bytes(4) + NAN), NOT_A_TABLE, "'levels'.* not finite"),
    ("pq:3x1", with_tensor("codebook", data=bytes(68) + NAN), NOT_A_TABLE, "'codebook'"),
    ("rq:1x1", with_tensor("codebooks", data=bytes(68) + NAN), NOT_A_TABLE, "'codebooks'"),
    ("svd:1", with_tensor("transform.map", data=bytes(32) + NAN), NOT_A_TABLE, "'transform.map'"),
    ("uniform:4", with_entry("vocabulary.bytes", Tensor("U8", [0], b"")), DAMAGED, "offsets"),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}, {c[2]}, {c[3]}"[:60] for c in CASES])
def test_verdicts_written_down(tmp_path, case):
    spec, change, expected, message = case
    X = np.random.default_rng(0).standard_normal((40, 9)).astype(np.float32)
    path = tmp_path / "t.emcomp"
    emcomp.compress(X, spec).save(path)
    parts = parts_of(path.read_bytes())
    change(parts)
    data = build(parts)
    path.write_bytes(data)
    came, said = verdict(path)
    assert (came, format_oracle.verdict(data)) == (expected, expected), said
    if expected == READ:
        np.testing.assert_array_equal(emcomp.open(path).decode(), emcomp.compress(X, spec).decode())
    else:
        assert said.startswith(f"{path}: ")
        with pytest.raises(FormatError, match=message):
            emcomp.open(path)


def test_settings_of_fitting_that_are_not_known_are_kept(tmp_path):
    X = np.eye(9, dtype=np.float32)
    path = tmp_path / "t.emcomp"
    emcomp.compress(X, "uniform:4", words=list("abcdefghi")).save(path)
    parts = parts_of(path.read_bytes())
    parts.table["codec"] = "uniform:4(dither=blue)"
    path.write_bytes(build(parts))
    table = emcomp.open(path)
    assert str(table.codec) == "uniform:4(dither=blue)"
    np.testing.assert_array_equal(table.decode(), emcomp.compress(X, "uniform:4").decode())
    table.save(tmp_path / "again.emcomp")
    assert (tmp_path / "again.emcomp").read_bytes() == path.read_bytes()
    with pytest.raises(emcomp.InputError, match=r"'dither=blue'.* can be read and not made"):
        emcomp.compress(X, table.codec)


def test_a_header_of_many_values_takes_little_memory(tmp_path):
    path = tmp_path / "t.emcomp"
    emcomp.compress(np.eye(9), "uniform:4").save(path)
    parts = parts_of(path.read_bytes())
    parts.about["other"] = Raw("[" + "[]," * 4_000_000 + "[]]")
    path.write_bytes(build(parts))
    program = """
import resource, sys, emcomp
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = emcomp.open(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) < 80_000  # KiB; the header itself is there three times


def test_what_is_not_a_file_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        emcomp.open("")
    with pytest.raises(FileNotFoundError, match="missing"):
        emcomp.open(tmp_path / "missing")
    with pytest.raises(FormatError, match=r"no index\.json"):
        emcomp.open(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/null", "/dev/zero"):
        for opens in (emcomp.open, emcomp.verify):
            with pytest.raises(FormatError, match=f"^{path}: not a regular file"):
                opens(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_no_file_descriptor_stays_open():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.emcomp"
        emcomp.compress(np.eye(9), "uniform:4", words=list("abcdefghi")).save(path)
        before = len(list(Path("/proc/self/fd").iterdir()))
        table = emcomp.open(path)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert table["c"].argmax() == 2
