"""What can be read only once: standard input, pipes, and process substitution."""

import gzip
import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import emcomp
from emcomp.errors import FormatError
from tests.helpers.source_files import KINDS, table, words_for, write_kind

X, WORDS = table(300, 6), words_for(300)


def written_text():
    out = io.BytesIO()
    emcomp.write_vectors(out, X, WORDS, format="glove")
    return out.getvalue()


TEXT = written_text()


def feed(path, content):
    thread = threading.Thread(target=path.write_bytes, args=[content])
    thread.start()
    return thread


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "sharded"])
def test_a_fifo_is_read_once(tmp_path, kind):
    path, options = write_kind(tmp_path, kind, X)
    content = path.read_bytes()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for read in (emcomp.read_vectors, emcomp.open_source):
        writer = feed(fifo, content)
        source = read(fifo, **options)
        writer.join()
        for _ in range(2):  # passes
            assert np.array_equal(source.read(0, 300), X)


def test_a_fifo_with_a_table(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = feed(fifo, gzip.compress(TEXT))
    made = emcomp.compress(fifo, "uniform:8", out=tmp_path / "out.emcomp")
    writer.join()
    assert list(made.words) == WORDS
    writer = feed(fifo, b"")
    with pytest.raises(FormatError, match="fifo: the file is empty"):
        emcomp.read_vectors(fifo)
    writer.join()


def command(*arguments, given=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "emcomp", *map(str, arguments)],
        input=given, capture_output=True, check=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("content", [TEXT, gzip.compress(TEXT)], ids=["text", "gzip"])
def test_standard_input(tmp_path, name, content):
    command("compress", name, tmp_path / "out.emcomp", given=content)
    assert list(emcomp.open(tmp_path / "out.emcomp").words) == WORDS
    plain = tmp_path / "plain"
    plain.write_bytes(content)
    with plain.open("rb") as file:
        done = command("convert", name, "-", stdin=file)
    assert done.stdout == TEXT


def test_process_substitution(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT))
    script = f"{sys.executable} -m emcomp convert <(gzip -dc {path}) - --format word2vec"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout == b"300 6\n" + TEXT


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(tmp_path, name):
    path, made = tmp_path / "x.txt", tmp_path / "x.emcomp"
    path.write_bytes(TEXT)
    done = command("convert", path, name)
    assert (done.stdout, done.stderr) == (TEXT, b"")
    done = command("convert", path, name, "--format", "npy")
    (tmp_path / "x.npy").write_bytes(done.stdout)
    assert np.array_equal(np.load(tmp_path / "x.npy"), X)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npy", "x.txt"]
    with pytest.raises(subprocess.CalledProcessError):
        command("convert", path, name, "--json")
    emcomp.compress(path, "float:32").save(made)
    assert command("decompress", made, name).stdout == TEXT
