"""The selection protocol on cases worked by hand, and the published tables from published points."""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from emcomp import InputError
from emcomp._support.correlation import pearson, ranks, spearman
from emcomp.errors import UndefinedError
from emcomp.selection.error import Point, evaluate_selection
from tests.helpers.real_data import DATA, needs_data


def points(*rows):
    """Rows of (seed, performance, error, size)."""
    return [
        Point(f"p{i}", seed, performance, {"error": error}, size)
        for i, (seed, performance, error, size) in enumerate(rows)
    ]


def test_one_wrong_pair_of_three():
    result = evaluate_selection(points((0, 3.0, 1.0, 1), (0, 2.0, 5.0, 1), (0, 1.0, 4.0, 1)))[
        "error"
    ]
    assert result.error == pytest.approx(1 / 3)
    assert result.worst_loss == 1.0
    assert (result.pairs, result.ties, result.groups) == (3, 0, 1)
    assert result.oracle_gap_mean == result.oracle_gap_max == 0
    assert result.spearman == pytest.approx(-0.5)


def test_scores_are_turned_round():
    rows = points((0, 3.0, 9.0, 1), (0, 2.0, 5.0, 1))
    assert evaluate_selection(rows)["error"].error == 1
    turned = evaluate_selection(rows, higher_is_better=["error"])["error"]
    assert turned.error == 0
    assert turned.spearman == pytest.approx(-1)


def test_error_is_averaged_over_seeds_not_pairs():
    wrong = [(0, 1.0, 1.0, 1), (0, 2.0, 2.0, 1)]
    right = [(1, float(i), -float(i), 1) for i in range(4)]
    result = evaluate_selection(points(*wrong, *right))["error"]
    assert result.error == 0.5
    assert result.pairs == 7


def test_ties():
    measure_tie = points((0, 1.0, 5.0, 1), (0, 2.0, 5.0, 1))
    assert evaluate_selection(measure_tie)["error"].error == 0.5
    assert evaluate_selection(measure_tie)["error"].ties == 1
    assert evaluate_selection(measure_tie)["error"].worst_loss == 1.0
    assert evaluate_selection(measure_tie, ties="first")["error"].error == 1
    assert evaluate_selection(measure_tie[::-1], ties="first")["error"].error == 0
    task_tie = points((0, 1.0, 6.0, 1), (0, 1.0, 5.0, 1))
    assert evaluate_selection(task_tie)["error"].error == 0
    assert evaluate_selection(task_tie)["error"].ties == 0
    assert evaluate_selection(task_tie, ties="first")["error"].error == 1
    assert evaluate_selection(task_tie)["error"].spearman is None


def test_oracle_gap_within_a_size():
    rows = points(
        (0, 5.0, 2.0, 8), (0, 3.0, 1.0, 8), (0, 9.0, 0.0, 4), (1, 5.0, 1.0, 8), (1, 4.0, 2.0, 8)
    )
    result = evaluate_selection(rows)["error"]
    assert result.groups == 2
    assert result.oracle_gap_mean == 1.0
    assert result.oracle_gap_max == 2.0
    cheap = evaluate_selection(rows[:3] + points((0, 1.0, 3.0, 4)), budget=4)["error"]
    assert cheap.pairs == 1


def test_seeds_crossed_pairs_other_configurations_only():
    rows = [
        Point(name, seed, performance, {"e": -performance})
        for seed, (name, performance) in itertools.product(
            range(5), [("a", 1.0), ("b", 2.0), ("c", 3.0)]
        )
    ]
    assert evaluate_selection(rows, across_seeds=True)["e"].pairs == 3 * 25
    assert evaluate_selection(rows)["e"].pairs == 3 * 5


def test_against_a_slow_count():
    random = np.random.default_rng(0)
    rows = [
        (int(s), float(random.integers(5)), float(random.integers(5)), 1)
        for s in range(4)
        for _ in range(9)
    ]
    table = points(*rows)
    rates, worst = [], 0.0
    for seed in range(4):
        votes = []
        group = [row for row in rows if row[0] == seed]
        for first, second in itertools.combinations(group, 2):
            better = np.sign(second[1] - first[1])
            vote = np.sign(first[2] - second[2])
            votes.append(0.0 if better == 0 else {-1: 1.0, 0: 0.5, 1: 0.0}[int(better * vote)])
            if votes[-1]:
                worst = max(worst, abs(first[1] - second[1]))
        rates.append(np.mean(votes))
    result = evaluate_selection(table)["error"]
    assert result.error == pytest.approx(np.mean(rates))
    assert result.worst_loss == worst


def test_bad_points():
    good = points((0, 1.0, 1.0, 1), (0, 2.0, 0.0, 1))
    with pytest.raises(InputError, match="no two points"):
        evaluate_selection(good[:1])
    with pytest.raises(InputError, match="ties"):
        evaluate_selection(good, ties="last")
    with pytest.raises(InputError, match="other measures"):
        evaluate_selection([*good, Point("x", 0, 1.0, {"eos": 1.0})])
    with pytest.raises(InputError, match="finite"):
        evaluate_selection(points((0, 1.0, float("nan"), 1), (0, 2.0, 0.0, 1)))
    with pytest.raises(InputError, match="size"):
        evaluate_selection([Point("x", 0, 1.0, {"e": 1.0})], budget=3)


def test_correlations():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(0)
    x, y = random.integers(0, 9, size=(2, 50)).astype(float)
    y += x / 2
    assert np.array_equal(ranks(x), stats.rankdata(x))
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0], rel=1e-12)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], rel=1e-12)
    assert spearman(x, -(x**3)) == -1
    with pytest.raises(UndefinedError):
        pearson([1, 1, 1], [1, 2, 3])
    with pytest.raises(InputError):
        spearman([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(InputError):
        pearson([1, 2], [1, 2, 3])


@needs_data
def test_published_tables():
    """All printed digits, but three that the published points themselves do not give."""
    path = Path(__file__).parents[2] / "experiments" / "may2019.py"
    spec = importlib.util.spec_from_file_location("may2019", path)
    may2019 = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(may2019)
    text = (DATA / "may2019" / "points.json").read_text(encoding="utf-8")
    comparison = may2019.compare(json.loads(text))
    assert comparison.figures == 135
    assert len(comparison.mismatches) == 3
    squad = evaluate_selection(may2019.read_points(json.loads(text), "fastText", "qa_best-f1"))
    assert round(squad["1-EOS"].spearman, 2) == -0.91
    assert round(squad["1-EOS"].error, 3) == 0.113
    assert round(squad["Delta_max"].error, 3) == 0.218
