"""Compressed files and archives of every format, damaged ones, and bombs."""

import bz2
import contextlib
import gc
import gzip
import io
import lzma
import pickle
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.sources import decompression
from tests.helpers.source_files import KINDS, fasttext_of, table, text_of, words_for, write_kind

X, WORDS = table(300, 6), words_for(300)
STREAMS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(members, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def temporary_files(folder):
    return [p for p in folder.iterdir() if p.name.startswith("emcomp-")]


@pytest.fixture(autouse=True)
def folder_of_temporary_files(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def file(tmp_path):
    def write(content, name="x"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def same(path, words=True, **options):
    read = emcomp.read_vectors(path, **options)
    assert np.array_equal(read.vectors, X)
    source = emcomp.open_source(path, **options)
    assert np.array_equal(source.read(100, 150), X[100:250])
    if words:
        assert read.words.tolist() == source.words().tolist() == WORDS
    return source


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("sharded", "raw", "gzip")])
@pytest.mark.parametrize("stream", STREAMS)
def test_every_format_compressed(tmp_path, file, kind, stream, folder_of_temporary_files):
    path, options = write_kind(tmp_path, kind, X)
    source = same(file(STREAMS[stream](path.read_bytes())), words=False, **options)
    assert (source.words() is None) == (emcomp.open_source(path, **options).words() is None)
    del source
    gc.collect()
    assert not temporary_files(folder_of_temporary_files)


@pytest.mark.parametrize("kind", ["glove", "binary", "fasttext", "npy", "parquet"])
def test_every_format_in_archives(tmp_path, file, kind):
    path, options = write_kind(tmp_path, kind, X)
    members = {"folder/table": path.read_bytes(), "folder/README": b"about this table\n",
               "__MACOSX/folder/._table": b"\0\5\x16\7", "folder/.DS_Store": b"\0\0\0\1Bud1"}  # fmt: skip
    for content in (
        zipped(members),
        zipped(members, zipfile.ZIP_STORED),
        tarred(members),
        tarred(members, "w:gz"),
        tarred(members, "w:xz"),
        zipped({"only": path.read_bytes()}),
        zipped({"table.gz": gzip.compress(path.read_bytes()), "notes": b"notes\n"}),
    ):
        same(file(content), words=False, **options)


def test_a_member_is_chosen_by_name(file):
    text, other = text_of(WORDS, X), text_of(WORDS, X[:, :3])
    for content in (zipped({"d/a.txt": text, "d/b.txt": other}), tarred({"d/a.txt": text, "d/b.txt": other})):  # fmt: skip
        path = file(content)
        with pytest.raises(
            FormatError, match=r"several files .*member=.*'d/a\.txt' \(.*'d/b\.txt'"
        ):
            emcomp.read_vectors(path)
        same(path, member="d/a.txt")
        same(path, member="a.txt")
        assert emcomp.open_source(path, member="b.txt").shape == (300, 3)
        with pytest.raises(InputError, match=r"no member 'c' in the archive; it has 'd/a\.txt'"):
            emcomp.open_source(path, member="c")
    with pytest.raises(InputError, match="no zip or tar archive"):
        emcomp.read_vectors(file(text), member="a")
    with pytest.raises(FormatError, match="no file of the archive is one of vectors; it has 'r"):
        emcomp.read_vectors(file(zipped({"readme": b"nothing\n", "r2": b"here\n"})))
    with pytest.raises(FormatError, match=r"x: a\.txt: line 2, column 1: expected a word and 6"):
        emcomp.read_vectors(file(zipped({"a.txt": text.replace(b"\n", b"\nbad\n", 1)})))


def test_layers_end(file):
    content = text_of(WORDS, X)
    for _ in range(3):
        content = gzip.compress(content)
    with pytest.raises(FormatError, match="wrapped more than 3 times"):
        emcomp.read_vectors(file(content))
    with pytest.raises(FormatError, match="the file is empty"):
        emcomp.read_vectors(file(gzip.compress(b"")))


def test_several_parts_of_gzip_and_zeros_after_them(file):
    text = text_of(WORDS, X)
    parts = gzip.compress(text[:1000]) + gzip.compress(text[1000:])
    for content in (parts, parts + bytes(700)):
        same(file(content))
    with pytest.raises(CorruptFileError, match="the gzip file is damaged"):
        emcomp.read_vectors(file(parts + b"rest"))


@pytest.mark.parametrize("stream", STREAMS)
def test_damaged_streams_are_errors_and_leave_nothing(file, stream, folder_of_temporary_files):
    content = STREAMS[stream](text_of(WORDS, X))
    for damaged in (content[:-3], content[: len(content) // 2], content[:9]):
        with pytest.raises((CorruptFileError, FormatError)):
            emcomp.read_vectors(file(damaged))
    assert not temporary_files(folder_of_temporary_files)


@pytest.mark.parametrize("wrap", ["gz", "bz2", "xz", "zip", "npz"])
def test_bombs_stop_early(file, monkeypatch, wrap, folder_of_temporary_files):
    monkeypatch.setattr(decompression, "_FREE_BYTES", 1 << 22)
    zeros = bytes(1 << 26)
    if wrap == "npz":
        out = io.BytesIO()
        np.savez_compressed(out, a=np.zeros((1 << 12, 1 << 12), np.float32))
        content = out.getvalue()
    else:
        content = zipped({"a": zeros}) if wrap == "zip" else STREAMS[wrap](zeros)
    with pytest.raises(FormatError, match="expands to more than 100 times"):
        emcomp.read_vectors(file(content))
    assert not temporary_files(folder_of_temporary_files)


def test_encrypted_and_unknown_archives(file):
    content = bytearray(zipped({"a.txt": text_of(WORDS, X)}))
    for flag in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[flag] |= 1
    with pytest.raises(CorruptFileError, match=r"zip file is damaged: .*encrypted"):
        emcomp.read_vectors(file(bytes(content)))


def test_a_limit_decompresses_no_more_than_it_needs(file, monkeypatch, folder_of_temporary_files):
    monkeypatch.setattr(decompression, "HEAD_BYTES", 1 << 16)
    rows = table(20_000, 50)
    words = [f"w{i}" for i in range(20_000)]
    head = b"20000 50\n"
    binary = head + b"".join(
        w.encode() + b" " + r.tobytes() for w, r in zip(words, rows, strict=True)
    )
    for content in (text_of(words, rows), head + text_of(words, rows), binary):
        # The end is damaged, and never seen.
        read = emcomp.read_vectors(file(gzip.compress(content, 1)[:-9]), limit=700)
        assert np.array_equal(read.vectors, rows[:700])
        assert read.words.tolist() == words[:700]
    long = [f"{'w' * 500}{i}" for i in range(20_000)]
    binary = head + b"".join(
        w.encode() + b" " + r.tobytes() for w, r in zip(long, rows, strict=True)
    )
    read = emcomp.read_vectors(file(gzip.compress(binary, 1)), limit=15_000)
    assert read.words.tolist() == long[:15_000]
    del read
    assert not temporary_files(folder_of_temporary_files)


def test_a_process_without_the_temporary_file_makes_its_own(file, folder_of_temporary_files):
    source = emcomp.open_source(file(gzip.compress(text_of(WORDS, X))))
    handle = pickle.dumps(source)
    assert len(handle) < 3000
    script = (
        "import sys, pickle; s = pickle.loads(sys.stdin.buffer.read());"
        "print(s.read(5, 1).tolist(), s.words(5, 1).tolist())"
    )
    expected = f"{X[5:6].tolist()} {WORDS[5:6]}"
    for is_there in (True, False):
        if not is_there:
            del source
            assert not temporary_files(folder_of_temporary_files)
        done = subprocess.run(
            [sys.executable, "-c", script], input=handle, capture_output=True, check=True
        )
        assert done.stdout.decode().strip() == expected


def test_mapped_arrays_keep_their_temporary_file(file, folder_of_temporary_files):
    path = file(b"")
    np.save(path.with_suffix(".npy"), X)
    read = emcomp.read_vectors(file(gzip.compress(path.with_suffix(".npy").read_bytes())))
    part = read.vectors[3:5]
    del read
    assert len(temporary_files(folder_of_temporary_files)) == 1
    assert np.array_equal(part, X[3:5])
    assert np.array_equal(pickle.loads(pickle.dumps(emcomp.WordVectors(part))).vectors, X[3:5])
    del part
    assert not temporary_files(folder_of_temporary_files)


def test_words_of_archives_in_fasttext(file):
    same(file(tarred({"model.bin": fasttext_of(WORDS, X)}, "w:bz2")))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(st.data())
def test_mutated_containers_give_vectors_or_errors_of_ours(file, data):
    text = text_of(WORDS[:5], X[:5])
    content = bytearray(
        data.draw(
            st.sampled_from(
                [zipped({"a.txt": text, "b": b"b\n"}), tarred({"a.txt": text}), gzip.compress(text),
                 tarred({"a": text}, "w:gz"), bz2.compress(text), lzma.compress(text)]
            )
        )
    )  # fmt: skip
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = file(bytes(content[: data.draw(st.integers(1, len(content)))]))
    with contextlib.suppress(FormatError, InputError):
        emcomp.read_vectors(path, duplicates="first")
