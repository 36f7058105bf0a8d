"""Saving leaves a whole file or what was there before, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from emcomp.errors import InputError
from emcomp.tables import container

CODES = np.arange(50, dtype=np.uint8).reshape(10, 5)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.emcomp"
    container.write(path, {"codes": CODES}, {"codec": "uniform:4"})
    return path


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_interrupted_save_leaves_the_old_file(saved, error):
    before = saved.read_bytes()

    def blocks():
        yield np.zeros(2_000_000, np.uint8)
        raise error

    with pytest.raises(error):
        container.write(saved, {"codes": container.TensorStream("U8", (4_000_000,), blocks())}, {})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_replacing_an_open_file(saved):
    old = container.open(saved)
    codes = old.tensor("codes")
    container.write(saved, {"codes": np.ones(3, np.uint8)}, {})
    np.testing.assert_array_equal(codes, CODES)
    old.verify()
    assert container.open(saved).tensor("codes").tolist() == [1, 1, 1]


def test_links_and_permissions_are_kept(saved, tmp_path):
    saved.chmod(0o640)
    link = tmp_path / "link.emcomp"
    link.symlink_to(saved)
    container.write(link, {"x": np.zeros(1)}, {})
    assert link.is_symlink()
    assert container.open(saved).names == ["x"]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o640
    fresh = tmp_path / "fresh.emcomp"
    container.write(fresh, {}, {})
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o666 & ~mask


def test_only_regular_files_are_replaced(tmp_path):
    with pytest.raises(InputError, match="not a regular file"):
        container.write(tmp_path, {}, {})
    with pytest.raises(InputError, match="not a regular file"):
        container.write("/dev/null", {}, {})
    with pytest.raises(FileNotFoundError):
        container.write(tmp_path / "no" / "folder", {}, {})


def run(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **options,
    )


FULL_DISK = """
    import sys, numpy as np
    from emcomp.tables import container
    try:
        container.write(sys.argv[1], {"codes": np.zeros(4_000_000, np.uint8)}, {})
    except OSError as error:
        print(error.errno)
"""


def test_full_disk_leaves_the_old_file(saved):
    before = saved.read_bytes()
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
    result = run(limit + textwrap.dedent(FULL_DISK), saved)
    assert result.stdout.strip() == "27", result.stderr  # EFBIG
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_really_full_disk(small_disk):
    path = small_disk / "x.emcomp"
    container.write(path, {"codes": CODES}, {})
    before = path.read_bytes()
    result = run(FULL_DISK, path)
    assert result.stdout.strip() == "28", result.stderr  # ENOSPC
    assert path.read_bytes() == before
    assert list(small_disk.iterdir()) == [path]


@contextlib.contextmanager
def ordinary_user():
    """Not root, which may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_read_only_folder():
    with tempfile.TemporaryDirectory() as name:  # tmp_path is closed to other users
        folder = Path(name)
        folder.chmod(0o555)
        with ordinary_user(), pytest.raises(PermissionError):
            container.write(folder / "x.emcomp", {}, {})
        folder.chmod(0o755)
        assert list(folder.iterdir()) == []


def test_read_only_file_system(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match="Read-only"):
        container.write(small_disk / "x.emcomp", {}, {})


def test_killed_by_ctrl_c(tmp_path):
    path = tmp_path / "x.emcomp"
    code = """
        import sys, time, numpy as np
        from emcomp.tables import container
        def blocks():
            yield np.zeros(10, np.uint8)
            print("half", flush=True)
            time.sleep(60)
        container.write(sys.argv[1], {"x": container.TensorStream("U8", (20,), blocks())}, {})
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"half\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert list(tmp_path.iterdir()) == []
