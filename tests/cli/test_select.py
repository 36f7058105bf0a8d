"""``emcomp evaluate`` and ``emcomp select``."""

import json
import re
import warnings

import numpy as np
import pytest
from click.testing import CliRunner

import emcomp
from emcomp.cli import program

WORDS = [f"w{i}" for i in range(300)]


@pytest.fixture(scope="module")
def X():
    normal = np.random.default_rng(0).standard_normal((300, 24))
    return (normal * np.arange(1, 25) ** -0.4).astype(np.float32)


@pytest.fixture
def vectors(tmp_path, X):
    emcomp.write_vectors(tmp_path / "x.txt", X, WORDS)
    return tmp_path / "x.txt"


@pytest.fixture
def tables(tmp_path, X):
    paths = [tmp_path / "four.emcomp", tmp_path / "two.emcomp"]
    for path, bits in zip(paths, (4, 2), strict=True):
        emcomp.compress(X, f"uniform:{bits}", words=WORDS).save(path)
    return paths


def run(*arguments, code=0):
    result = CliRunner().invoke(program, [str(a) for a in arguments], prog_name="emcomp")
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    if code > 1:
        assert re.fullmatch(r"emcomp: error: [^\n]+\n", result.stderr)
    return result


def run_json(*arguments, code=0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


# evaluate


def test_evaluate_prints_what_python_would(vectors, tables, X):
    result = run("evaluate", vectors, *tables, "-m", "eos", "-m", "pip_loss_centred")
    named = {str(path): emcomp.open(path) for path in tables}
    report = emcomp.evaluate(X, named, ["eos", "pip_loss_centred"])
    assert result.stdout.endswith(f"\n\n{report}\n")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["table", "codec", "size", "bits/entry"]
    assert lines[1].split() == [str(tables[0]), "uniform:4", "3.6", "kB", "4.00"]
    assert result.stderr == ""


def test_evaluate_as_json(vectors, tables, X):
    document = run_json("evaluate", vectors, tables[1])
    report = emcomp.evaluate(X, {str(tables[1]): emcomp.open(tables[1])}).to_dict()
    assert document == {
        "input": str(vectors),
        **report,
        "compressed": {
            str(tables[1]): {
                "codec": "uniform:2",
                "table_bytes": 300 * 6 + 4,
                "bits_per_entry": 8 * 1804 / 7200,
            }
        },
        "plot": None,
    }


def test_evaluate_samples_with_a_seed(vectors, tables):
    arguments = ("evaluate", vectors, tables[0], "-m", "eos", "--sample", "0.5", "--seed")
    first, again, other = (run_json(*arguments, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first["sample"] == 150
    low, high = first["tables"][str(tables[0])]["eos"]["interval"]
    assert low < high


def test_evaluate_takes_vectors_and_the_first_rows(vectors, tables, tmp_path, X):
    np.save(tmp_path / "half.npy", X * 0.5)
    document = run_json(
        "evaluate", vectors, tmp_path / "half.npy", tables[0], "-m", "eos", "--limit", 100
    )
    assert document["rows"] == 100
    assert document["compressed"] == {}
    scores = document["tables"]
    assert scores[str(tmp_path / "half.npy")]["eos"] == pytest.approx(1, abs=1e-12)
    expected = emcomp.eos(X[:100], emcomp.open(tables[0]).decode(0, 100))
    assert scores[str(tables[0])]["eos"] == pytest.approx(expected, abs=1e-12)


def test_evaluate_draws_the_spectrum(vectors, tables, tmp_path):
    result = run("evaluate", vectors, tables[0], "-m", "eos", "--plot", tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert f"picture: {tmp_path / 's.png'}" in result.stdout


def test_evaluate_refuses_tables_of_other_words(vectors, tmp_path, X):
    path = tmp_path / "shuffled.emcomp"
    emcomp.compress(X, words=[*WORDS[:7], *WORDS[7:][::-1]]).save(path)
    message = run("evaluate", vectors, path, code=3).stderr
    assert "row 7 is 'w299' there and 'w7' in the input" in message
    emcomp.compress(X[:-1], words=WORDS[:-1]).save(path)
    assert "300 rows and" in run("evaluate", vectors, path, code=3).stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-m", "nice"], 2, "unknown measure 'nice'"),
        (["--plot", "s.gif"], 2, "ends in"),
        (["--plot", "nowhere/s.png"], 4, "nowhere"),
        (["--sample", "-1"], 3, "sample must be"),
        (["--seed", "-1"], 2, "--seed"),
    ],
)
def test_evaluate_with_wrong_options(vectors, tables, options, code, message):
    assert message in run("evaluate", vectors, tables[0], *options, code=code).stderr


# select


def test_select_prints_what_python_would(vectors, tmp_path, X):
    result = run("select", vectors, "--budget", "8x")
    expected = emcomp.select(X, "8x")
    assert result.stdout.startswith(f"{expected}\n\ntime: ")
    assert result.stderr == ""


def test_select_writes_the_table_and_the_picture(vectors, tmp_path, X):
    out, picture = tmp_path / "best.emcomp", tmp_path / "front.svg"
    document = run_json(
        "select", vectors, "-b", "7x", "-o", out, "--plot", picture,
        "-c", "uniform:2", "-c", "uniform:4", "-m", "pip_loss", "-m", "eos_centred",
    )  # fmt: skip
    assert document.pop("seconds") > 0
    expected = emcomp.select(X, "7x", ["uniform:2", "uniform:4"], ["pip_loss", "eos_centred"])
    assert document == {
        "input": str(vectors),
        **expected.to_dict(),
        "output": str(out),
        "plot": str(picture),
    }
    assert document["pick"] == "uniform:4"
    table = emcomp.open(out)
    assert str(table.codec) == "uniform:4"
    assert list(table.words) == WORDS
    assert picture.read_bytes().startswith(b"<?xml")


def test_select_without_a_table_that_suffices_is_a_failed_check(vectors, tmp_path):
    arguments = ("select", vectors, "--minimum", "0.99999", "-c", "uniform:1", "-o")
    result = run(*arguments, tmp_path / "out", code=1)
    assert "No candidate has eos of at least 0.99999" in result.stdout
    assert not (tmp_path / "out").exists()
    assert run_json(*arguments, tmp_path / "out", code=1)["output"] is None


def test_select_resumes(vectors, tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    first = run_json("select", vectors, "-b", "16x", "--state", state)
    monkeypatch.setattr("emcomp.selection.selecting.Evaluation.scores", None)
    again = run_json("select", vectors, "-b", "16x", "--state", state)
    assert first.pop("seconds")
    assert again.pop("seconds")
    assert first == again
    message = run("select", vectors, "-b", "16x", "--state", state, "--limit", 9, code=3).stderr
    assert "state of another selection: shape was [300, 24], is [9, 24]" in message


def test_select_warns_of_missing_rank(tmp_path, X):
    np.save(tmp_path / "flat.npy", np.concatenate([X, X], axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run("select", tmp_path / "flat.npy", "-b", "8x", "-c", "uniform:3")
    assert re.fullmatch(r"emcomp: warning: X has numerical rank 24, [^\n]+\n", result.stderr)
    json.loads(run("select", tmp_path / "flat.npy", "-b", "8x", "--json").stdout)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "give a --budget"),
        (["-b", "4 parsecs"], 2, "a budget is bytes"),
        (["-b", "99x"], 3, "uniform:1 takes 904 bytes"),
        (["-b", "8x", "-m", "nice"], 2, "unknown measure"),
        (["-b", "8x", "-c", "nice:4"], 2, "unknown codec"),
        (["-b", "8x", "-o", "nowhere/out"], 4, "nowhere"),
        (["-b", "8x", "--state", "nowhere/state"], 4, "nowhere"),
    ],
)
def test_select_with_wrong_options(vectors, options, code, message):
    assert message in run("select", vectors, *options, code=code).stderr


def test_select_writes_over_no_input(vectors):
    for option in ("-o", "--state"):
        assert (
            "is an input too" in run("select", vectors, "-b", "8x", option, vectors, code=3).stderr
        )


def test_select_in_little_memory(vectors, tmp_path):
    names = ("-c", "uniform:2", "-c", "kmeans:3", "--budget", "3.5bits")
    run("select", vectors, *names, "-o", tmp_path / "a.emcomp")
    run("select", vectors, *names, "-o", tmp_path / "b.emcomp", "--memory-limit", "1GB")
    assert (tmp_path / "a.emcomp").read_bytes() == (tmp_path / "b.emcomp").read_bytes()
    assert "--output" in run("select", vectors, *names, "--memory-limit", "1GB", code=2).stderr
