import importlib.util
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import emcomp
from emcomp.cli import program
from emcomp.demo import word_vectors
from emcomp.demo.corpus import sentences
from emcomp.demo.picture import draw
from emcomp.demo.study import WIDTHS, Result, nearest, serve, study
from emcomp.demo.word_vectors import learn_vectors
from emcomp.errors import InputError


@pytest.fixture(scope="module")
def text():
    return list(sentences())


@pytest.fixture(scope="module")
def vectors(text):
    return learn_vectors(text, 1500, 50)


def run(*arguments):
    return CliRunner().invoke(program, ["demo", *map(str, arguments)])


def test_the_text_is_english_and_always_the_same(text):
    words = [word for sentence in text for word in sentence]
    assert len(words) > 100_000
    assert {"the", "function", "returns", "string"} <= set(words)
    assert all(word.islower() for word in set(words))
    assert list(sentences()) == text


def test_modules_are_read_and_never_imported(text):
    assert not {"antigravity", "idlelib.idle", "turtledemo"} & set(sys.modules)


def test_vectors_are_the_same_every_time(text, vectors):
    again = learn_vectors(iter(text), 1500, 50)
    assert again.words == vectors.words
    assert again.vectors.tobytes() == vectors.vectors.tobytes()


def test_vectors_are_finite_and_of_length_one(vectors):
    assert vectors.shape == (1500, 50)
    np.testing.assert_allclose(np.linalg.norm(vectors.vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("file", {"files", "open"}), ("error", {"errors", "exception"}), ("left", {"right"})],
)
def test_neighbours_make_sense(vectors, word, expected):
    words = list(vectors.words)
    near = nearest(vectors.vectors, np.array([words.index(word)]), 10)[0]
    assert expected & {words[row] for row in near}


def test_words_near_each_other_are_counted(monkeypatch):
    monkeypatch.setattr(word_vectors, "WINDOW", 2)
    text = [["a", "b", "a", "c"], ["x", "b"], ["c"]]
    near = word_vectors._cooccurrences(text, ["a", "b", "c"])
    expected = np.zeros((3, 3))
    for line in text:
        for i, left in enumerate(line):
            for j, right in enumerate(line):
                if 0 < abs(i - j) <= 2 and left != right and "x" not in (left, right):
                    expected["abc".index(left), "abc".index(right)] += (3 - abs(i - j)) / 2
    np.testing.assert_allclose(near, expected)


def test_eigenvectors_agree_with_lapack():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((80, 80)))[0]
    true = np.concatenate([[100.0, 80.0, 60.0, 50.0], rng.uniform(0, 5, 76)])
    matrix = ((basis * true) @ basis.T).astype(np.float32)
    values, vectors = word_vectors._largest_eigenvectors(matrix, 4)
    np.testing.assert_allclose(values, [100, 80, 60, 50], rtol=1e-4)
    np.testing.assert_allclose(np.abs(basis[:, :4].T @ vectors), np.eye(4), atol=1e-3)


def test_too_little_text_is_told():
    with pytest.raises(InputError, match="only 2 different words"):
        learn_vectors([["a", "b", "a", "b", "once"]], 100, 2)


def test_nearest_leaves_the_word_itself_out():
    X = np.float32([[1, 0], [2, 0], [1, 1], [-1, 0], [0, 0]])
    assert nearest(X, np.array([0, 3]), 2).tolist() == [[1, 2], [4, 2]]


def test_study_measures_what_is_lost(vectors):
    tables = [emcomp.compress(vectors, f"uniform:{bits}") for bits in (1, 4, 8)]
    results = study(vectors, tables)
    errors = [result.relative_squared_error for result in results]
    kept = [result.neighbours_kept for result in results]
    assert errors == sorted(errors, reverse=True)
    assert kept == sorted(kept)
    assert kept[2] > 0.9
    assert 0.1 < kept[0] < 0.6
    assert results[1].table_bytes == tables[1].nbytes
    speed = serve(vectors, tables[1])
    assert min(speed.packed_rows_per_second, speed.float32_rows_per_second) > 0
    assert speed.file_bytes > tables[1].nbytes


def test_the_whole_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("--words", 800)
    assert result.exit_code == 0, result.output
    for expected in ("800 words", *(f"uniform:{bits} " for bits in WIDTHS), "million rows/s"):
        assert expected in result.stdout
    assert "  file      float32    " in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["emcomp-demo.png"]
    assert (tmp_path / "emcomp-demo.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_no_picture(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emcomp.demo.corpus.sentences", lambda: text)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    result = run("--words", 500, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["picture"] is None
    assert [entry["codec"] for entry in report["results"]] == [f"uniform:{b}" for b in WIDTHS]
    assert list(tmp_path.iterdir()) == []


def test_the_picture_is_what_its_name_says(tmp_path):
    results = [Result(f"uniform:{b}", 100 * b, 32 / b, b, 4.0**-b, 1 - 2.0**-b) for b in WIDTHS]
    draw(results, (6000, 100), tmp_path / "a.svg")
    picture = (tmp_path / "a.svg").read_text()
    assert "<svg" in picture
    assert run("--output", tmp_path / "no" / "a.png").exit_code == 4
