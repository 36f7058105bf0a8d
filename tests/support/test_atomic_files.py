import errno
import os
import stat
import time

import pytest

from emcomp._support.atomic_files import atomic_write, temporary_folder
from emcomp._support.locks import lock, only_writer
from emcomp.errors import InputError


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_the_file_appears_when_complete(tmp_path):
    path = tmp_path / "a"
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), ValueError()]
)
@pytest.mark.parametrize("there", [False, True])
def test_an_error_leaves_what_was_there(tmp_path, error, there):
    path = tmp_path / "a"
    if there:
        path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(path) as file:  # noqa: PT012
        file.write(b"new")
        raise error
    assert names(tmp_path) == (["a"] if there else [])
    assert not there or path.read_bytes() == b"old"


def test_a_failing_sync_leaves_nothing(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, "disk")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk"), atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert names(tmp_path) == []


def test_permissions_follow_the_mask_or_the_replaced_file(tmp_path):
    path = tmp_path / "a"
    old = os.umask(0o027)
    try:
        with atomic_write(path):
            pass
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        with atomic_write(path):
            pass
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(old)


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(InputError, match="not a regular file"), atomic_write(tmp_path):
        pass
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "no" / "file"):
        pass


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_temporary_file_is_never_more_readable(tmp_path, mode):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    created = []
    opened = os.open

    def watching(name, *rest, **options):
        descriptor = opened(name, *rest, **options)
        if str(name).endswith(".tmp"):
            created.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", watching)
        with atomic_write(path) as file:
            file.write(b"new")
            (temporary,) = tmp_path.glob(".emcomp-*.tmp")
            assert stat.S_IMODE(temporary.stat().st_mode) == mode
    assert created
    assert all(found & ~mode == 0 for found in created)


def test_only_what_dead_writers_left_is_removed(tmp_path):
    names_of = {}
    for number, (name, age, hold) in enumerate(
        [("dead", 3600, False), ("young", 0, False), ("alive", 3600, True)]
    ):
        path = tmp_path / f".emcomp-{number:016x}.tmp"
        path.write_bytes(b"")
        os.utime(path, (time.time() - age,) * 2)
        names_of[name] = path
        if hold:
            held = path.open("rb")
            assert lock(held.fileno())
    with temporary_folder(tmp_path) as folder:
        os.utime(folder, (0, 0))
        with atomic_write(tmp_path / "a"):
            pass
        assert folder.is_dir()
    held.close()
    assert not names_of["dead"].exists()
    assert names_of["young"].exists()
    assert names_of["alive"].exists()


def test_what_only_looks_like_a_temporary_file_stays(tmp_path):
    mine = [tmp_path / ".emcomp-cache", tmp_path / ".emcomp-notes.tmp"]
    mine[0].mkdir()
    mine[1].write_bytes(b"mine")
    for path in mine:
        os.utime(path, (0, 0))
    with atomic_write(tmp_path / "a"):
        pass
    assert mine[0].is_dir()
    assert mine[1].read_bytes() == b"mine"


def test_files_are_written_where_none_can_be_locked(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "no locks here")

    left = tmp_path / f".emcomp-{0:016x}.tmp"
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    monkeypatch.setattr("fcntl.flock", fail)
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert left.exists()  # whose it is cannot be known
    with pytest.raises(OSError, match="no locks here"), only_writer(tmp_path, wait=True):
        pass
