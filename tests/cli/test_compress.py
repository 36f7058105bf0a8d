import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp.cli import program
from emcomp.cli.output import write_table
from emcomp.cli.progress import progress_bar
from emcomp.tables.container import recognises
from emcomp.tables.shard_index import read_index
from tests.helpers.cli_runner import (  # noqa: F401
    WORDS,
    glove,
    invoke,
    plain_path,
    run,
    run_json,
    table_path,
    vectors,
)

# compress


def test_compress_writes_what_python_would(glove, vectors, tmp_path):
    out = tmp_path / "out.emcomp"
    result = run("compress", glove, out, "--codec", "uniform:3(granularity=row)")
    expected = tmp_path / "expected.emcomp"
    emcomp.compress(vectors, "uniform:3(granularity=row)", words=WORDS).save(expected)
    assert out.read_bytes() == expected.read_bytes()
    assert "6 x 9, with words" in result.stdout
    assert "uniform:3(granularity=row)" in result.stdout
    assert result.stderr == ""


def test_compress_reports_sizes_and_error(glove, vectors, tmp_path):
    out = tmp_path / "out.emcomp"
    report = run_json("compress", glove, out, "-c", "uniform:2")
    table = emcomp.open(out)
    X, decoded = vectors.astype(float), table.decode().astype(float)
    error = ((X - decoded) ** 2).sum() / (X**2).sum()
    assert report.pop("seconds") > 0
    assert report.pop("relative_squared_error") == pytest.approx(error, rel=1e-12)
    assert report == {
        "input": str(glove),
        "output": str(out),
        "codec": "uniform:2",
        "rows": 6,
        "dim": 9,
        "words": 6,
        "table_bytes": 6 * 3 + 4,
        "file_bytes": out.stat().st_size,
        "bits_per_entry": 8 * 22 / 54,
        "ratio": 32 * 54 / (8 * 22),
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("v.vec", []),
        ("v.bin", []),
        ("v.npy", ["--words", "words.txt"]),
        ("v.npz", ["--tensor", "table", "--words", "words.txt"]),
    ],
)
def test_compress_reads_other_formats(vectors, tmp_path, monkeypatch, name, options):
    monkeypatch.chdir(tmp_path)
    words = [word.replace(" ", "_") for word in WORDS]
    Path("words.txt").write_text("".join(word + "\n" for word in words), "utf-8")
    if name.endswith("npz"):
        np.savez(name, table=vectors, other=vectors)
    elif name.endswith("npy"):
        np.save(name, vectors)
    else:
        kind = "word2vec" if name.endswith("vec") else "word2vec-binary"
        emcomp.write_vectors(name, vectors, words, format=kind)
    run("compress", name, "out.emcomp", *options, "--limit", 4, "--threads", 2)
    table = emcomp.open("out.emcomp")
    assert table.shape == (4, 9)
    assert list(table.words) == words[:4]


def test_compress_handles_duplicates_as_told(tmp_path):
    path = tmp_path / "twice.txt"
    path.write_text("a 1 2\nb 3 4\na 5 6\n")
    run("compress", path, tmp_path / "out", code=3)
    run("compress", path, tmp_path / "out", "--duplicates", "last")
    assert list(emcomp.open(tmp_path / "out").words) == ["b", "a"]


def test_compress_takes_a_compressed_table(table_path, tmp_path):
    run("compress", table_path, tmp_path / "out", "--codec", "uniform:1", "--limit", 5)
    table = emcomp.open(tmp_path / "out")
    assert list(table.words) == WORDS[:5]
    assert str(table.codec) == "uniform:1"


def test_compress_refuses_to_write_over_its_input(glove, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(glove)
    before = glove.read_bytes()
    assert "is an input too" in run("compress", glove, link, code=3).stderr
    assert glove.read_bytes() == before


def test_tables_in_shards(vectors, tmp_path):
    np.save(tmp_path / "x.npy", vectors)
    folder = tmp_path / "shards"
    result = run("compress", tmp_path / "x.npy", folder, "--shard-rows", 2, "--memory-limit", "1GB")
    assert "passes to fit 1, to encode 1; shards 3, of 2 rows" in result.stderr
    assert run("compress", tmp_path / "x.npy", folder, "--shard-rows", 2, "--resume").stdout
    assert "append" in run("compress", tmp_path / "x.npy", folder, "--shard-rows", 2, code=3).stderr
    drift = run_json("append", folder, tmp_path / "x.npy")
    assert drift["rows"] == len(vectors)
    assert drift["relative_error"] == pytest.approx(drift["relative_error_at_fit"])
    assert "clipped entries" in run("append", folder, tmp_path / "x.npy").stdout
    assert run_json("inspect", folder)["rows"] == 3 * len(vectors)
    assert f"{read_index(folder).shards[0].file}: codes" in run("inspect", folder).stdout
    assert run("verify", folder).stdout == f"{folder}: good\n"
    (folder / "shard-000099.emcomp").write_bytes(b"left by an interrupted run")
    assert run("verify", folder).stdout == f"{folder}: good\n"
    damaged = folder / read_index(folder).shards[1].file
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = invoke("verify", folder)
    assert (result.exit_code, "shard-000001" in result.stdout) == (1, True)
    assert "shard-000001" in run("inspect", folder, code=4).stderr


def test_a_limit_of_memory_that_is_too_low(vectors, tmp_path):
    np.save(tmp_path / "x.npy", vectors)
    result = run("compress", tmp_path / "x.npy", tmp_path / "o", "--memory-limit", "1MB", code=3)
    assert "the limit is 1 MB" in result.stderr
    assert not (tmp_path / "o").exists()
    run("compress", tmp_path / "x.npy", tmp_path / "o", "--memory-limit", "1GB")
    assert len(emcomp.open(tmp_path / "o")) == len(vectors)


# decompress and convert


@pytest.mark.parametrize("suffix", ["txt", "vec", "bin"])
def test_decompress_tells_the_format_from_the_name(suffix, vectors, tmp_path):
    words = ["cat", "dog", "x", "y", "z", "#"]
    table = emcomp.compress(vectors, "uniform:4", words=words)
    table.save(tmp_path / "t.emcomp")
    out = tmp_path / f"out.{suffix}"
    run("decompress", tmp_path / "t.emcomp", out)
    back = emcomp.read_vectors(out)
    assert list(back.words) == words
    np.testing.assert_array_equal(back.vectors, table.decode())
    kinds = {"txt": "glove", "vec": "word2vec", "bin": "word2vec-binary"}
    again = run_json("convert", tmp_path / "t.emcomp", tmp_path / "x", "--format", kinds[suffix])
    assert (again["format"], again["rows"], again["words"]) == (kinds[suffix], 6, 6)
    assert (tmp_path / "x").read_bytes() == out.read_bytes()


def test_npy_holds_no_words_and_says_so(table_path, tmp_path):
    out, words = tmp_path / "out.npy", tmp_path / "words.txt"
    result = run("decompress", table_path, out)
    assert result.stderr == "emcomp: note: npy holds no words; --save-words FILE keeps them\n"
    result = run("decompress", table_path, out, "--save-words", words)
    assert result.stderr == ""
    np.testing.assert_array_equal(np.load(out), emcomp.open(table_path).decode())
    assert words.read_text("utf-8").split("\n") == [*WORDS, ""]


def test_convert_between_formats_of_vectors(glove, vectors, tmp_path):
    run("convert", glove, tmp_path / "v.npy", "--save-words", tmp_path / "words")
    run("convert", tmp_path / "v.npy", tmp_path / "v.txt", "--words", tmp_path / "words")
    assert (tmp_path / "v.txt").read_bytes() == glove.read_bytes()
    run("convert", tmp_path / "v.txt", tmp_path / "two.npy", "--limit", 2)
    np.testing.assert_array_equal(np.load(tmp_path / "two.npy"), vectors[:2])


def test_words_for_a_table_without(plain_path, tmp_path):
    (tmp_path / "words").write_text("a\nb\nc\nd\ne\nf\n")
    out = tmp_path / "out.txt"
    assert "needs a word for each row" in run("decompress", plain_path, out, code=3).stderr
    run("decompress", plain_path, out, "--words", tmp_path / "words")
    assert list(emcomp.read_vectors(out).words) == list("abcdef")
    (tmp_path / "words").write_text("a\nb\n")
    message = run("decompress", plain_path, out, "--words", tmp_path / "words", code=3).stderr
    assert "2 words for 6 rows" in message


def test_convert_asks_for_a_format_it_cannot_tell(table_path, tmp_path):
    assert "--format" in run("convert", table_path, tmp_path / "out.gz", code=2).stderr
    message = run("convert", table_path, tmp_path / "out.emcomp", code=2).stderr
    assert "emcomp compress writes emcomp files" in message
    assert "emcomp file" in run("decompress", __file__, tmp_path / "out.txt", code=4).stderr


# inspect, verify, config


def test_inspect(table_path):
    report = run_json("inspect", table_path)
    tensors = {tensor["name"]: tensor for tensor in report["tensors"]}
    assert tensors["codes"] == {
        "name": "codes", "dtype": "uint8", "shape": [6, 5], "bytes": 30
    }  # fmt: skip
    assert (report["rows"], report["dim"], report["codec"]) == (6, 9, "uniform:4")
    assert (report["table_bytes"], report["words"]) == (34, 6)
    assert report["vocabulary_bytes"] == sum(
        tensor["bytes"] for name, tensor in tensors.items() if name.startswith("vocabulary.")
    )
    assert report["file_bytes"] == table_path.stat().st_size
    assert report["fitted"] == dict(emcomp.open(table_path).info)
    text = run("inspect", table_path).stdout
    assert re.search(r"^codes +uint8 +6 x 5 +30$", text, re.MULTILINE)
    assert "fitted range" in text


def test_verify_finds_damage(table_path, plain_path, tmp_path):
    data = bytearray(table_path.read_bytes())
    data[-1] ^= 16
    bad = tmp_path / "bad.emcomp"
    bad.write_bytes(data)
    assert (
        run("verify", table_path, plain_path).stdout == f"{table_path}: good\n{plain_path}: good\n"
    )
    result = invoke("verify", bad, table_path)
    assert result.exit_code == 1
    assert f"{bad}: damaged: " in result.stdout
    assert f"{table_path}: good" in result.stdout
    result = invoke("verify", "--json", bad, tmp_path / "none")
    assert result.exit_code == 4
    statuses = [entry["status"] for entry in json.loads(result.stdout)["files"]]
    assert statuses == ["damaged", "unreadable"]


def test_config():
    report = run_json("config")
    assert report["emcomp"] == emcomp.__version__
    assert report["level"] in report["levels_available"]
    assert emcomp.__version__ in run("config").stdout


# the program


def test_every_command_has_examples():
    assert set(program.commands) == {
        "compress", "evaluate", "select", "decompress", "convert", "inspect", "verify", "lookup",
        "similar", "config", "demo", "append",
    }  # fmt: skip
    for name in program.commands:
        assert f"Examples:\n    emcomp {name}" in run(name, "--help").stdout
    assert run().stdout == run("--help").stdout
    assert run("--version").stdout == f"emcomp {emcomp.__version__}\n"


def test_the_document_has_every_command_and_option():
    document = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    for name, command in program.commands.items():
        section = re.search(
            rf"^## [a-z ]*\b{name}\b.*?(?=^## |\Z)", document, re.MULTILINE | re.DOTALL
        )[0]
        assert f"$ emcomp {name}" in section
        options = [o for parameter in command.params for o in parameter.opts if o[0] == "-"]
        if name not in ("inspect", "config", "demo"):
            assert all(option in section for option in options)


# parts


class Terminal:
    """Standard error that says it is a terminal."""

    def __init__(self):
        self.text = ""
        self.encoding = "utf-8"

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return True


def test_progress_is_for_terminals(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar() as report:
        report("encode", 0, 1000)
        time.sleep(0.05)
        report("encode", 400, 1000)
        time.sleep(0.15)
    assert "encode" in terminal.text
    assert "40 %" in terminal.text
    assert "rows/s" in terminal.text
    terminal.text = ""
    terminal.isatty = lambda: False
    with progress_bar() as report:
        report("encode", 1, 10)
    assert terminal.text == ""


def test_tables_line_up(capsysbinary):
    write_table(("name", "size"), [("a", "1"), ("longer", "1,000")])
    assert capsysbinary.readouterr().out == b"name     size\na           1\nlonger  1,000\n"


def test_emcomp_files_are_recognised_by_their_content(table_path, glove, tmp_path):
    renamed = tmp_path / "renamed.npy"
    table_path.rename(renamed)
    assert recognises(renamed)
    assert not recognises(glove)
    (tmp_path / "empty").write_bytes(b"")
    assert not recognises(tmp_path / "empty")
