import errno
import os
import stat

import pytest

from emcomp._support.atomic_files import atomic_write
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
