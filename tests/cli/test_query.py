"""``emcomp lookup`` and ``emcomp similar``."""

import numpy as np
import pytest

import emcomp
from tests.helpers.cli_runner import WORDS, run, run_json


def test_lookup_prints_lines_that_glove_readers_read(table_path, tmp_path):
    table = emcomp.open(table_path)
    output = run("lookup", table_path, "na\u00efve", "New York", "12").stdout_bytes
    (tmp_path / "looked-up.txt").write_bytes(output)
    back = emcomp.read_vectors(tmp_path / "looked-up.txt")
    assert list(back.words) == ["na\u00efve", "New York", "12"]
    np.testing.assert_array_equal(back.vectors, table[[2, 3, 4]])


def test_lookup_json_keeps_every_bit(table_path):
    report = run_json("lookup", table_path, "New York")
    assert report["dim"] == 9
    (row,) = report["rows"]
    assert (row["row"], row["word"]) == (3, "New York")
    np.testing.assert_array_equal(np.float32(row["vector"]), emcomp.open(table_path)[3])


def test_numbers_are_words_where_there_are_words(table_path, plain_path):
    assert run_json("lookup", table_path, "12")["rows"][0]["row"] == 4
    run("lookup", table_path, "5", code=3)
    assert run_json("lookup", table_path, "5", "--ids")["rows"][0]["word"] == "#"
    rows = run_json("lookup", plain_path, "5", "--", "-6")["rows"]
    assert [(row["row"], row["word"]) for row in rows] == [(5, None), (0, None)]


@pytest.mark.parametrize("name", ["6", "-7", "cat", "1.0", "\u0663", "9" * 30, ""])
def test_lookup_refuses_what_is_no_row(plain_path, name):
    assert run("lookup", plain_path, "--", name, code=3).stdout == ""


def test_an_unknown_word_names_the_closest(table_path):
    assert "'cat'" in run("lookup", table_path, "dog", "cta", code=3).stderr
    assert "'dog'" in run("similar", table_path, "dgo", code=3).stderr


def test_similar(table_path, plain_path):
    expected = emcomp.open(table_path).similar("cat", 3)
    lines = run("similar", table_path, "cat", "-k", 3).stdout.splitlines()
    assert lines == [f"{cosine:7.4f}  {word}" for word, cosine in expected]
    report = run_json("similar", table_path, "cat", "-k", 3)
    assert (report["row"], report["word"]) == (0, "cat")
    found = [(entry["word"], entry["cosine"]) for entry in report["neighbours"]]
    assert found == expected
    assert [WORDS[entry["row"]] for entry in report["neighbours"]] == [w for w, _ in expected]
    report = run_json("similar", plain_path, "1")
    assert len(report["neighbours"]) == 5
    assert report["neighbours"][0]["word"] is None


def test_words_that_are_not_utf8_survive(tmp_path, vectors):
    path = tmp_path / "latin"
    emcomp.compress(vectors, words=[b"caf\xe9", b"b", b"c", b"d", b"e", b"f"]).save(path)
    assert b"caf\xe9" in run("similar", path, "b").stdout_bytes
    assert b"caf\xe9 " in run("lookup", path, "0", "--ids").stdout_bytes
    words = [entry["word"] for entry in run_json("similar", path, "b")["neighbours"]]
    assert "caf\udce9" in words
