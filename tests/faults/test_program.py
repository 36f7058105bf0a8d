"""How the program ends when something goes wrong: bad input, interrupts, full disks, pipes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp.tables import container
from tests.helpers.cli_runner import invoke, run

PACKAGE = Path(emcomp.__file__).parent.parent


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("cat 1 2\ndog 3 4\n")
    return path


@pytest.fixture
def table_path(tmp_path):
    path = tmp_path / "table.emcomp"
    emcomp.compress(np.float32([[1, 2], [3, 4]]), "uniform:4", words=["cat", "dog"]).save(path)
    return path


def start(*arguments, **options):
    """The program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "EMCOMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "emcomp", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        **options,
    )


def finish(process, code):
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert b"Traceback" not in errors
    return output, errors.decode()


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["compress", "in.txt"], 2, "Missing argument 'OUTPUT'"),
        (["compress", "in.txt", "out", "--codec", "uniform:9"], 2, "from 1 to 8"),
        (["compress", "in.txt", "out", "--codec", "zip"], 2, "unknown codec 'zip'"),
        (["compress", "in.txt", "out", "--limit", "0"], 2, "--limit"),
        (["compress", "none.txt", "out"], 4, "none.txt: No such file"),
        (["compress", "in.txt", "none/out"], 4, "none: No such file"),
        (["compress", "in.txt", "."], 4, "Is a directory"),
        (["compress", "in.txt", "out", "--words", "in.txt"], 3, "words of its own"),
        (["compress", "ragged.txt", "out"], 4, "line 2"),
        (["compress", "nan.npy", "out"], 3, "row 1, column 0"),
        (["compress", "in.txt", "out", "--codec", "uniform:4(granularity=9)"], 3, "wider"),
        (["inspect", "in.txt"], 4, "not an emcomp file"),
        (["inspect", "none"], 4, "none: No such file"),
        (["verify"], 2, "FILE"),
        (["similar", "in.txt", "a", "-k", "0"], 2, "-k"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("a 1 2\nb 3 4\n")
    Path("ragged.txt").write_text("a 1 2\nb 3\nc 5 6\nd 7 8\n")
    np.save("nan.npy", np.float32([[1], [np.nan]]))
    before = files_in(tmp_path)
    assert message in run(*arguments, code=code).stderr
    assert files_in(tmp_path) == before


def test_a_process_of_its_own_separates_data_from_errors(table_path):
    output, errors = finish(start("lookup", table_path, "cat"), 0)
    assert output.startswith(b"cat ")
    assert errors == ""
    output, errors = finish(start("lookup", table_path, "unicorn"), 3)
    assert output == b""
    assert errors.startswith("emcomp: error: the word 'unicorn' is not in the vocabulary")
    assert finish(start("nonsense"), 2)[0] == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_enough_is_no_error(tmp_path, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    path = tmp_path / "table"
    emcomp.compress(np.ones((3000, 300), np.float32), "uniform:1").save(path)
    assert len(finish(start("lookup", path, *range(3000)), 0)[0].splitlines()) == 3000
    process = start("lookup", path, *range(3000))
    process.stdout.read(10)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (141, b"")


def slow_input(folder):
    """Vectors that take seconds to compress; the file takes next to no space."""
    path = folder / "large.npy"
    shape = (4_000_000, 300)
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * shape[0] * shape[1])
    return path


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_an_interrupt_leaves_the_old_output(tmp_path, sent, code):
    out = tmp_path / "out.emcomp"
    out.write_bytes(b"old")
    large = slow_input(tmp_path)
    process = start("compress", large, out)
    maps = Path(f"/proc/{process.pid}/maps")
    while maps.exists() and large.name not in maps.read_text():
        time.sleep(0.01)
    time.sleep(0.3 if maps.exists() else 2.0)
    assert process.poll() is None
    process.send_signal(sent)
    output, errors = finish(process, code)
    assert output == b""
    assert errors == ("\nemcomp: error: interrupted\n" if sent == signal.SIGINT else "")
    assert out.read_bytes() == b"old"
    assert files_in(tmp_path) == ["large.npy", "out.emcomp"]


def test_an_interrupt_while_writing_leaves_the_old_output(glove, tmp_path, monkeypatch):
    def interrupt(file, *rest):
        file.write(b"half")
        raise KeyboardInterrupt

    out = tmp_path / "out.emcomp"
    out.write_bytes(b"old")
    before = files_in(tmp_path)
    monkeypatch.setattr(container, "_write_tensor", interrupt)
    result = invoke("compress", glove, out)
    assert result.exit_code == 130
    assert out.read_bytes() == b"old"
    assert files_in(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
def test_a_full_disk_names_the_output_and_leaves_nothing(tmp_path):
    import resource

    np.save(tmp_path / "in.npy", np.ones((4000, 64), np.float32))
    before = files_in(tmp_path)
    out = tmp_path / "out.emcomp"
    process = start(
        "compress",
        tmp_path / "in.npy",
        out,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    output, errors = finish(process, 4)
    assert output == b""
    assert errors == f"emcomp: error: {out}: File too large\n"
    assert files_in(tmp_path) == before


def test_a_full_file_system(tmp_path, small_disk):
    out, again = small_disk / "out", small_disk / "out.npy"
    np.save(tmp_path / "in.npy", np.ones((40_000, 64), np.float32))
    run("compress", tmp_path / "in.npy", out, "--limit", 100)
    old = out.read_bytes()
    message = run("compress", tmp_path / "in.npy", out, code=4).stderr
    assert message == f"emcomp: error: {out}: No space left on device\n"
    assert run("convert", out, again).stdout
    message = run("convert", tmp_path / "in.npy", again, code=4).stderr
    assert "No space left on device" in message
    assert files_in(small_disk) == ["out", "out.npy"]
    assert out.read_bytes() == old


def test_a_folder_that_cannot_be_written_is_found_out_first(glove, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    monkeypatch.setattr(emcomp, "read_vectors", None)
    message = run("compress", glove, tmp_path / "out", code=4).stderr
    assert message == f"emcomp: error: {tmp_path}: cannot create files here\n"
