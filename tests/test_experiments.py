"""What the experiments' figures rest on: points that are kept, sizes that are met, the linear model."""

from __future__ import annotations

import json

import numpy as np
import pytest

import emcomp
from experiments.evidence_points import MEASURES, groups
from experiments.evidence_selection import selection
from experiments.measuring import Bench, is_random, largest, with_seed
from experiments.points import Points
from experiments.rivals import BITS, SLACK, rivals
from experiments.tables import figure, markdown
from experiments.word_tasks import accuracy, fit_logistic, split_clitics


def test_points_are_measured_once_and_kept(tmp_path, capsys):
    path = tmp_path / "deeper" / "points.json"
    first, second = Points(path, ("codec",)), Points(path, ("codec",))
    assert first.get({"codec": "a"}, lambda: {"loss": 0.123456789}) == {
        "codec": "a",
        "loss": 0.12346,
    }
    second.put({"codec": "b", "loss": 2})  # of another process: must not lose the first's
    again = Points(path, ("codec",))
    assert again.get({"codec": "a"}, lambda: pytest.fail("measured again"))["loss"] == 0.12346
    again.put({"codec": "a", "loss": 1})
    assert json.loads(path.read_text()) == [{"codec": "a", "loss": 1}, {"codec": "b", "loss": 2}]
    assert capsys.readouterr().out.count("\n") == 3


def test_points_of_a_slice_are_not_kept(tmp_path):
    path = tmp_path / "points.json"
    Points(path, ("codec",)).put({"codec": "a", "value": 1})
    before = path.read_bytes()
    points = Points(path, ("codec",), kept=False)
    assert points.get({"codec": "a"}, lambda: {"value": 2}) == {"codec": "a", "value": 2}
    assert points.get({"codec": "a"}, lambda: {"value": 3})["value"] == 2
    assert path.read_bytes() == before


def test_a_seed_goes_where_it_matters():
    assert with_seed("uniform:4", 3) == "uniform:4"
    assert with_seed("uniform:4(rounding=stochastic)", 3).endswith("seed=3)")
    assert with_seed("svd:4+pq:2x4", 3) == "svd:4+pq:2x4(seed=3)"
    assert with_seed("rotate+uniform:4", 3) == "rotate(seed=3)+uniform:4"
    assert is_random("pq:2x4")
    assert not is_random("svd:4+kmeans:2")


@pytest.mark.parametrize("template", ["svd:{}", "direction:{}+uniform:4", "pq:{}x4"])
def test_the_largest_that_fits(template):
    shape, nbytes = (1000, 64), 20_000
    codec = largest(template, shape, nbytes, 64)
    number = int(codec.partition(":")[2].split("+")[0].split("x")[0])
    assert emcomp.parse_codec(codec).nbytes(shape) <= nbytes
    assert emcomp.parse_codec(template.format(number + 1)).nbytes(shape) > nbytes
    assert largest(template, shape, 1, 64) is None
    assert largest(template, shape, 10**9, 64) == template.format(64)


def test_rivals_are_of_one_size():
    shape = (50_000, 100)
    for bits in BITS:
        named = dict(rivals(shape, bits))
        assert "dccl" in named
        for method in ("pca", "svd", "pq", "direction, 2 bits"):
            if method in named:
                codec = emcomp.parse_codec(named[method])
                assert codec.nbytes(shape) <= SLACK * shape[0] * shape[1] * bits / 8
        assert ("uniform" in named) == (bits >= 1)


def test_logistic_regression_is_at_its_optimum():
    random = np.random.default_rng(0)
    X = random.standard_normal((400, 6))
    y = (X @ [1, -2, 0.5, 0, 0, 3] + random.standard_normal(400) > 0.5).astype(float)
    weights = fit_logistic(X, y, penalty=2.0)
    p = 1 / (1 + np.exp(-(X @ weights[:-1] + weights[-1])))
    np.testing.assert_allclose(X.T @ (p - y) + 2.0 * weights[:-1], 0, atol=1e-4)
    assert abs((p - y).sum() + 1e-3 * weights[-1]) < 1e-4


def test_accuracy_of_several_classes_and_of_two():
    random = np.random.default_rng(1)
    for classes in (2, 5):
        y = random.integers(0, classes, 600)
        X = 4 * np.eye(classes)[y] + random.standard_normal((600, classes))
        assert accuracy((X[:400], y[:400]), (X[400:], y[400:]), 1.0) > 0.93
        assert accuracy((X[:400], y[:400]), (X[400:], (y[400:] + 1) % classes), 1.0) < 0.1


def test_clitics_are_words():
    assert split_clitics("It's what they don't say") == [
        "it",
        "'s",
        "what",
        "they",
        "do",
        "n't",
        "say",
    ]
    assert split_clitics("'s n't") == ["'s", "n't"]


def test_measures_of_a_bench():
    X = np.random.default_rng(2).standard_normal((500, 8)).astype(np.float32)
    bench = Bench("random", X)
    table, point = bench.compress("uniform:3")
    error = np.square(table.decode() - X, dtype=np.float64).sum() / np.square(X).sum()
    assert point["squared_error"] == pytest.approx(error, rel=1e-6)
    assert point["overlap_lost"] == pytest.approx(1 - emcomp.eos(X, table), abs=1e-12)
    assert point["bytes"] == table.nbytes
    lengths = np.linalg.norm(table.decode(), axis=1) / np.linalg.norm(X, axis=1)
    assert point["length_error"] == pytest.approx(np.abs(lengths - 1).mean(), rel=1e-5)


def test_codecs_without_a_seed_stand_for_themselves_with_every_seed():
    rows = [
        ("uniform", 1, 0, 0.5, 0.7),
        ("uniform", 2, 0, 0.2, 0.8),
        ("pq", 1, 0, 0.4, 0.75),
        ("pq", 1, 1, 0.45, 0.65),
    ]
    points = [
        {
            "table": "t",
            "method": method,
            "budget": bits,
            "seed": seed,
            "task": score,
            **dict.fromkeys(MEASURES, loss),
        }
        for method, bits, seed, loss, score in rows
    ]
    result = selection(points, "t", "task", ("uniform", "pq"), fewest=3)["overlap_lost"]
    assert selection(points, "t", "task", ("uniform", "pq"), fewest=4) is None
    assert result.pairs == 6  # three of each of two seeds
    assert result.error == pytest.approx((0 + 1 / 3) / 2)  # pq loses to uniform with seed 1
    assert result.worst_loss == pytest.approx(0.05)
    assert len(groups(points)[("pq", 1)]) == 2


def test_figures_and_tables():
    assert [figure(x) for x in (0.1234567, 12.3456, 1234.5, -0.5, 0, None)] == [
        ".123",
        "12.3",
        "1234",
        "-.5",
        "0",
        "-",
    ]
    assert markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | --: |\n| x | 1 |\n"
