"""Evaluating many tables: the same numbers as the single measures, one pass, honest samples."""

import json

import numpy as np
import pytest

from emcomp import InputError
from emcomp import measures as m
from emcomp.measures.evaluation import evaluate
from emcomp.measures.registry import DEFAULT_MEASURES, MEASURE_NAMES
from emcomp.measures.sampling import GROUPS, jackknife, sample_size


def noisy(X, amount, seed):
    noise = np.random.default_rng(seed).standard_normal(X.shape)
    return (X + amount * noise).astype(np.float32)


@pytest.fixture(scope="module")
def X():
    normal = np.random.default_rng(0).standard_normal((3000, 16))
    return (normal * np.arange(1, 17) ** -0.5 + 0.2).astype(np.float32)


@pytest.fixture(scope="module")
def close(X):
    return noisy(X, 0.05, 1)


@pytest.fixture(scope="module")
def far(X):
    return noisy(X, 0.4, 2)


@pytest.fixture(scope="module")
def narrow(far):
    return far[:, :9]


class CountingSource:
    def __init__(self, array):
        self.array = array
        self.reads = 0

    @property
    def shape(self):
        return self.array.shape

    def read(self, first, count):
        self.reads += 1
        return self.array[first : first + count]


SINGLE = {
    "eos": m.eos,
    "eos_k": m.eos_k,
    "pip_loss": m.pip_loss,
    "delta1": m.delta1,
    "delta2": m.delta2,
    "delta": m.delta,
    "delta_max": m.delta_max,
    "frobenius_error": m.frobenius_error,
    "spectral_error": m.spectral_error,
    "linear_map_error": m.linear_map_error,
    "linear_map_spectral_error": m.linear_map_spectral_error,
    "orthogonal_map_error": m.orthogonal_map_error,
    "mean_euclidean_distance": m.mean_euclidean_distance,
    "mean_cosine_distance": m.mean_cosine_distance,
    "neighbour_overlap": m.neighbour_overlap,
    "similarity_pearson": lambda *a, **k: m.similarity_preservation(*a, method="pearson", **k),
    "similarity_spearman": lambda *a, **k: m.similarity_preservation(*a, method="spearman", **k),
}


def test_every_measure_agrees_with_its_function(X, far):
    assert set(SINGLE) == set(MEASURE_NAMES)
    names = [name + ending for name in MEASURE_NAMES for ending in ("", "_centred")]
    report = evaluate(X, {"far": far}, names)
    for name, measure in SINGLE.items():
        assert report["far"][name] == measure(X, far)
        assert report["far"][name + "_centred"] == measure(X, far, centred=True)


def test_measures_that_a_table_does_not_have(X, close, narrow):
    report = evaluate(X, {"close": close, "narrow": narrow})
    assert report["narrow"]["frobenius_error"] is None
    assert report["narrow"]["eos"] == m.eos(X, narrow)
    assert report["close"]["frobenius_error"] == m.frobenius_error(X, close)
    assert any("frobenius_error of narrow" in note for note in report.notes)


def test_one_pass_over_each_candidate(X, close, far):
    original, candidates = (
        CountingSource(X),
        {n: CountingSource(t) for n, t in (("a", close), ("b", far))},
    )
    names = [n for n in MEASURE_NAMES if not n.startswith(("neighbour", "similarity"))]
    evaluate(original, candidates, names)
    assert [c.reads for c in candidates.values()] == [1, 1]
    assert original.reads == 3  # its own sums once, and once beside each candidate


def test_prints_and_converts(X, close, far, narrow):
    report = evaluate(
        X, {"close": close, "narrow": narrow}, ["eos", "frobenius_error", "eos_centred"]
    )
    lines = str(report).splitlines()
    assert lines[0].split() == ["measure", "better", "close", "narrow"]
    assert lines[1].split() == [
        "eos",
        "higher",
        f"{m.eos(X, close):.6g}",
        f"{m.eos(X, narrow):.6g}",
    ]
    assert lines[2].split()[3] == "-"
    assert len({len(line) for line in lines[:4]}) == 1
    assert json.loads(report.to_json()) == report.to_dict()
    assert report.to_dict()["tables"]["narrow"]["frobenius_error"] is None
    assert list(evaluate(X, far, ["eos"]).scores) == ["table"]
    assert set(evaluate(X, far)["table"]) == set(DEFAULT_MEASURES)


def test_rank_deficient_tables_are_noted(X, far):
    flat = far.copy()
    flat[:, 3] = flat[:, 2]
    notes = evaluate(X, {"flat": flat}, ["eos"]).notes
    assert any("flat has numerical rank 15" in note for note in notes)


def test_samples_are_seeded_and_cover_the_truth(X, far):
    names = ["eos", "pip_loss", "frobenius_error", "mean_cosine_distance", "linear_map_error"]
    first = evaluate(X, far, names, sample=0.2, seed=1)
    assert first.sample == 600
    assert first.to_dict() == evaluate(X, far, names, sample=600, seed=1, threads=2).to_dict()
    assert first.to_dict() != evaluate(X, far, names, sample=600, seed=2).to_dict()
    truth = evaluate(X, far, names)["table"]
    covered = 0
    for seed in range(20):
        for name, score in evaluate(X, far, names, sample=600, seed=seed).scores["table"].items():
            low, high = score.interval
            assert low < score.value < high
            assert score.value == pytest.approx(truth[name], rel=0.1)
            covered += low <= truth[name] <= high
    assert covered >= 85  # of 100, and 95 expected


def test_measures_that_are_never_sampled(X, far):
    report = evaluate(X, far, ["neighbour_overlap", "similarity_spearman", "eos_k"], sample=100)
    assert all(score.interval is None for score in report.scores["table"].values())
    assert report["table"]["neighbour_overlap"] == m.neighbour_overlap(X, far)
    assert "neighbour_overlap" not in evaluate(X, far, sample=100)["table"]


def test_jackknife_of_a_mean_is_the_mean():
    values = np.random.default_rng(0).standard_normal(100)
    groups = np.arange(100) % GROUPS
    without = [values[groups != g].mean() for g in range(GROUPS)]
    estimate, (low, high) = jackknife([values.mean(), *without])
    means = np.array([values[groups == g].mean() for g in range(GROUPS)])
    assert estimate == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 2.262157 * means.std(ddof=1) / np.sqrt(GROUPS))


def test_sample_sizes():
    assert sample_size(0.5, 1000) == 500
    assert sample_size(200, 1000) == 200
    assert sample_size(5000, 1000) == 1000
    for bad in (0, -3, 1.5, float("nan"), float("inf"), True, 5):
        with pytest.raises(InputError):
            sample_size(bad, 1000)


def test_bad_requests(X, far):
    with pytest.raises(InputError, match="unknown measure 'eso'; there are eos"):
        evaluate(X, far, ["eso"])
    with pytest.raises(InputError, match="no tables"):
        evaluate(X, {})
    with pytest.raises(InputError, match="no measures"):
        evaluate(X, far, [])
    with pytest.raises(InputError, match="short has 10"):
        evaluate(X, {"short": far[:10]})
