"""Choosing a codec: against brute force, resumed, with bad candidates and every kind of measure."""

import dataclasses
import json

import numpy as np
import pytest

import emcomp
from emcomp import InputError, RankWarning, compress, evaluate, select
from emcomp.codecs import grammar, uniform
from emcomp.codecs.grammar import default_candidates
from emcomp.errors import FormatError
from emcomp.measures.registry import measures

SOME = ["uniform:1", "uniform:2", "uniform:2(granularity=row)", "uniform:4", "uniform:8"]
STEP_TOO_LARGE = "uniform:2(clip=1000000,step_dtype=float16)"


@pytest.fixture(scope="module")
def X():
    normal = np.random.default_rng(0).standard_normal((700, 40))
    return (normal * np.arange(1, 41) ** -0.4 + 0.1).astype(np.float32)


def score(X, codec, measure="eos"):
    return evaluate(X, compress(X, codec), [measure])["table"][measure]


@pytest.fixture
def fits(monkeypatch):
    """Codecs as they are fitted."""
    seen = []
    fit = uniform.Uniform.fit

    def counted(self, *arguments):
        seen.append(str(self))
        return fit(self, *arguments)

    monkeypatch.setattr(uniform.Uniform, "fit", counted)
    return seen


# what is picked


@pytest.mark.parametrize("measure", ["eos", "pip_loss", "similarity_spearman_centred"])
@pytest.mark.parametrize("budget", ["16x", "9.6x", "3bits", 15_000, None])
def test_pick_and_front_are_those_of_brute_force(measure, budget, X):
    minimum = None if budget is not None else score(X, "uniform:2(granularity=row)", measure)
    result = select(X, budget, SOME, measure, minimum=minimum)
    sign = 1 if measures()[measure.removesuffix("_centred")].higher_is_better else -1
    limit = {"16x": 7_000, "9.6x": 11_667, "3bits": 10_500, 15_000: 15_000, None: 10**9}[budget]
    tried = {name: compress(X, name) for name in SOME}
    tried = {name: table for name, table in tried.items() if table.nbytes <= limit * 1.001}
    scores = {name: sign * score(X, name, measure) for name in tried}
    if minimum is None:
        best = min(tried, key=lambda name: (-scores[name], tried[name].nbytes))
    else:
        good = [name for name in tried if scores[name] >= sign * minimum]
        best = min(good, key=lambda name: (tried[name].nbytes, -scores[name]))
    front = [
        name
        for name, table in tried.items()
        if not any(
            other.nbytes <= table.nbytes
            and scores[rival] >= scores[name]
            and (other.nbytes < table.nbytes or scores[rival] > scores[name])
            for rival, other in tried.items()
        )
    ]
    assert result.pick.codec == best
    assert {c.codec for c in result.front} == set(front)
    assert [c.nbytes for c in result.front] == sorted(tried[name].nbytes for name in front)
    assert {c.codec: sign * c.scores[measure] for c in result.ranked} == scores
    assert result.ranked[0] == result.pick
    assert {c.codec for c in result.too_large} == set(SOME) - set(tried)
    assert result.table.decode().tobytes() == tried[best].decode().tobytes()
    assert str(result.table.codec) == best


def test_ranking_without_a_minimum_is_by_score(X):
    result = select(X, "4x", SOME)
    scores = [c.scores["eos"] for c in result.ranked]
    assert scores == sorted(scores, reverse=True)
    assert result.budget == 28_028


def test_ranking_with_a_minimum_puts_the_smallest_that_suffices_first(X):
    result = select(X, candidates=SOME, minimum=score(X, "uniform:2"))
    assert [c.codec for c in result.ranked] == [
        "uniform:2",
        "uniform:2(granularity=row)",
        "uniform:4",
        "uniform:8",
        "uniform:1",
    ]


def test_a_minimum_within_a_budget(X):
    assert select(X, "7x", SOME, minimum=0.01).pick.codec == "uniform:1"
    result = select(X, "7x", SOME, minimum=0.9999)
    assert result.pick is None
    assert result.table is None
    assert "No candidate has eos of at least 0.9999" in result.why
    assert result.ranked[0].codec == "uniform:4"
    assert result.ranked[0].codec in result.why
    assert json.loads(result.to_json())["pick"] is None


def test_a_minimum_of_a_measure_where_lower_is_better_is_a_maximum(X):
    limit = score(X, "uniform:4", "frobenius_error")
    result = select(X, candidates=SOME, measure="frobenius_error", minimum=limit)
    assert result.pick.codec == "uniform:4"
    assert "of at most" in result.why


def test_ties_go_to_the_smaller_then_to_the_first_string(X):
    zeros_and_ones = np.where(X > 0.1, 1, -1).astype(np.float32)
    names = ["uniform:4(clip=max)", "uniform:1(clip=max)", "uniform:1(clip=1.0)"]
    result = select(zeros_and_ones, "4x", names, "frobenius_error")
    assert all(c.scores["frobenius_error"] == 0 for c in result.ranked if "1" in c.codec[:9])
    assert result.pick.codec == "uniform:1(clip=1.0)"
    assert len(result.front) == 1
    again = select(zeros_and_ones, "4x", names[::-1], "frobenius_error")
    assert again.ranked == result.ranked


def test_scores_that_differ_by_rounding_alone_are_ties(X):
    few_rows = X[:4, :6]  # every table spans all that four rows can
    with pytest.warns(RankWarning):
        result = select(few_rows, "2x", ["uniform:1", "uniform:2", "uniform:3", "uniform:4"])
    full = [c for c in result.ranked if c.scores["eos"] == pytest.approx(4 / 6, abs=1e-9)]
    assert len(full) > 1
    assert result.pick == min(full, key=lambda c: c.nbytes)
    assert result.front[-1] == result.pick


def test_default_candidates_come_from_every_codec_but_three():
    # pca gives rows of another dimension, which is the user's decision; autoencoder trains for long
    # to end where direction is at once; allocate is for principal.
    silent = {
        name for name, stage in grammar._stages.items() if not stage.candidates((10_000, 300))
    }
    assert silent == {"pca", "autoencoder", "allocate"}
    for shape in ((1000, 300), (256, 8), (255, 1), (3, 1)):
        offered = default_candidates(shape)
        assert len(set(offered)) == len(offered)
        for name in offered:
            candidate = emcomp.parse_codec(name)
            candidate.check(shape)
            assert str(candidate) == name


@pytest.mark.parametrize(("times", "kind"), [(64, "principal"), (32, "svd"), (32, "principal")])
def test_transform_coding_is_offered_at_round_sizes(times, kind):
    shape = 100_000, 300
    budget = shape[0] * shape[1] * 4 / times
    own = [name for name in default_candidates(shape) if name.startswith(kind)]
    sizes = [emcomp.parse_codec(name).nbytes(shape) for name in own]
    assert any(0.94 * budget < size <= budget for size in sizes)


def test_no_default_is_larger_than_float16(X):
    largest = emcomp.parse_codec("float:16").nbytes(X.shape)
    offered = {c: emcomp.parse_codec(c).nbytes(X.shape) for c in default_candidates(X.shape)}
    assert max(offered.values()) > largest
    result = select(X, minimum=0.9)
    assert {c.codec for c in result.ranked} == {c for c, size in offered.items() if size <= largest}
    named = max(offered, key=offered.get)
    assert select(X, minimum=0.9, candidates=[named]).ranked[0].codec == named


def test_select_tries_the_defaults_that_fit(X):
    result = select(X, "17x")
    assert {c.codec for c in result.ranked} >= {"uniform:1", "uniform:1(granularity=row)"}


def test_several_measures_the_first_decides(X):
    result = select(X, "4x", SOME, ["mean_cosine_distance", "eos"])
    assert list(result.pick.scores) == ["mean_cosine_distance", "eos"]
    assert result.pick.scores["eos"] == score(X, result.pick.codec)
    assert result.ranking.measure == "mean_cosine_distance"
    assert result.pick.codec == "uniform:8"


# what cannot be


def test_an_impossible_budget_names_the_smallest_size(fits, X):
    with pytest.raises(InputError, match=r"below the smallest size.*uniform:1 takes 3,504 bytes"):
        select(X, "3kB", SOME[::-1])
    with pytest.raises(InputError, match=r"svd:4\+allocate:2 takes 3,400 bytes"):
        select(X, "100x")
    assert fits == []


def test_candidates_too_large_are_never_fitted(fits, X):
    select(X, "16x", SOME)
    assert fits == ["uniform:1", "uniform:2"]


def test_a_bad_candidate_is_reported(X):
    result = select(X, "4x", [*SOME, STEP_TOO_LARGE, "uniform:1(granularity=64)"])
    assert set(result.failed) == {STEP_TOO_LARGE, "uniform:1(granularity=64)"}
    assert "do not fit float16" in result.failed[STEP_TOO_LARGE]
    assert "wider than the table's 40" in result.failed["uniform:1(granularity=64)"]
    assert result.pick.codec == "uniform:8"
    assert f"Not tried: {STEP_TOO_LARGE}: steps from" in str(result)
    assert json.loads(result.to_json())["failed"] == result.failed


def test_only_bad_candidates(X):
    with pytest.raises(InputError, match=r"none of 1 candidates could be measured.*float16"):
        select(X, "4x", [STEP_TOO_LARGE])
    with pytest.raises(InputError, match=r"no candidate fits a table of this shape.*wider"):
        select(X, "4x", ["uniform:1(granularity=64)"])


def test_a_measure_that_is_not_defined_for_a_candidate(monkeypatch):
    constant = np.ones((50, 3), np.float32)
    constant[:25] = -1
    with pytest.warns(RankWarning, match="X has"):
        result = select(constant, "4x", ["uniform:1", "uniform:2"], "eos")
    assert result.pick.codec == "uniform:1"
    with pytest.raises(InputError, match="could be measured"):
        select(constant[:25], "4x", ["uniform:1"], "similarity_pearson")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a budget, a minimum"),
        ({"budget": "4 parsecs"}, "a budget is bytes"),
        ({"budget": "4x", "candidates": []}, "no candidates were given"),
        ({"budget": "4x", "candidates": "uniform:4"}, "a list of codecs"),
        ({"budget": "4x", "candidates": ["nothing:4"]}, "unknown codec"),
        ({"budget": "4x", "measure": "niceness"}, "unknown measure"),
        ({"budget": "4x", "measure": []}, "no measure"),
        ({"minimum": float("nan")}, "finite"),
    ],
)
def test_wrong_arguments(arguments, message, X):
    with pytest.raises(InputError, match=message):
        select(X, **arguments)


def test_bad_entries_are_found_before_any_work(fits, X):
    bad = X.copy()
    bad[600, 3] = np.nan
    with pytest.raises(InputError, match="row 600, column 3"):
        select(bad, "4x")
    assert fits == []


# how it runs


def test_threads_do_not_matter(X):
    results = [select(X, "8x", threads=threads) for threads in (1, 2, 3)]
    assert results[0].to_json() == results[1].to_json() == results[2].to_json()


def test_every_input_and_the_words(tmp_path, X):
    expected = select(X, "8x", SOME).ranked
    words = [f"w{i}" for i in range(700)]
    emcomp.write_vectors(tmp_path / "x.txt", X, words)
    np.save(tmp_path / "x.npy", X)
    for given in (tmp_path / "x.txt", str(tmp_path / "x.npy"), np.asfortranarray(X)):
        assert select(given, "8x", SOME).ranked == expected
    result = select(emcomp.read_vectors(tmp_path / "x.txt"), "8x", SOME)
    assert result.table["w5"].tobytes() == result.table[5].tobytes()
    bits = (X.view(np.uint32) >> 16).astype(np.uint16)
    assert select(bits, "8x", SOME, dtype="bfloat16").pick.codec == "uniform:4"


def test_no_fit_is_done_twice(fits, X):
    select(X, "4x", SOME)
    assert sorted(fits) == sorted(SOME)


def test_progress_rises_to_its_end(fits, X):
    seen = []
    select(X, "4x", SOME, progress=lambda *event: seen.append(event))
    assert {event[0] for event in seen} == {"select"}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {total for _, _, total in seen} == {2 * 700 * 5}
    assert seen[-1][1] == seen[-1][2]


def test_a_resumed_run_does_no_work_twice_and_gives_the_same(fits, tmp_path, X):
    state = tmp_path / "state.json"
    expected = select(X, "4x", [*SOME, STEP_TOO_LARGE])
    fits.clear()

    def interrupt(_phase, done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        select(X, "4x", [*SOME, STEP_TOO_LARGE], state=state, progress=interrupt)
    assert json.loads(state.read_text())["finished"]
    again = select(X, "4x", [*SOME, STEP_TOO_LARGE], state=state)
    assert again.to_json() == expected.to_json()
    assert again.table.decode().tobytes() == expected.table.decode().tobytes()
    assert max(fits.count(name) for name in fits) == 2  # only the one that was interrupted
    assert sum(fits.count(name) == 2 for name in set(fits)) == 1
    fits.clear()
    third = select(X, "4x", [*SOME, STEP_TOO_LARGE], state=state)
    assert third.to_json() == expected.to_json()
    assert fits == [expected.pick.codec]  # for the table alone
    fits.clear()
    select(X, "4x", [*SOME, "uniform:3"], state=state)
    assert fits == ["uniform:3", expected.pick.codec]
    assert list(tmp_path.iterdir()) == [state]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: {"X": X[:-1]}, "shape was"),
        (lambda X: {"X": X + 1}, "checksum was"),
        (lambda X: {"X": X.astype(np.float64)}, "dtype was <f4, is <f8"),
        (lambda X: {"measure": "delta"}, "measures was"),
        (lambda X: {"seed": 1}, "seed was 0, is 1"),
    ],
)
def test_the_state_of_another_selection_is_refused(tmp_path, change, message, X):
    state = tmp_path / "state.json"
    select(X, "16x", SOME, state=state)
    before = state.read_bytes()
    with pytest.raises(InputError, match=f"state of another selection: .*{message}"):
        select(**{"X": X, "budget": "16x", "candidates": SOME, "state": state, **change(X)})
    assert state.read_bytes() == before


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "x"}', "\xff"])
def test_a_file_that_is_no_state_is_left_alone(tmp_path, content, X):
    state = tmp_path / "notes"
    state.write_text(content, "latin-1")
    with pytest.raises(FormatError, match="not the state of a selection"):
        select(X, "16x", SOME, state=state)
    assert state.read_text("latin-1") == content


def test_a_state_that_cannot_be_written_is_found_before_any_work(tmp_path, fits, X):
    with pytest.raises(FileNotFoundError):
        select(X, "16x", SOME, state=tmp_path / "nowhere" / "state.json")
    assert fits == []


# what is printed


def test_printed_and_plain_forms(X):
    result = select(X, "7x", SOME)
    text = str(result)
    lines = text.splitlines()
    assert lines[0] == result.why
    assert [line.split()[0] for line in lines if line.startswith("> ")] == [">"]
    assert "> uniform:4" in text
    assert "Too large: uniform:8 (28 kB)" in text
    table = json.loads(result.to_json())
    assert table == result.to_dict()
    assert table["pick"] == "uniform:4"
    assert table["budget_bytes"] == result.budget
    assert [c["front"] for c in table["candidates"]] == [c in result.front for c in result.ranked]
    best = table["candidates"][0]
    assert best["bits_per_entry"] == pytest.approx(8 * best["bytes"] / X.size)
    assert best["ratio"] == pytest.approx(4 * X.size / best["bytes"])
    assert "table=" not in repr(result)


def test_scores_beyond_numbers_are_null_in_json(X):
    result = select(X, "16x", ["uniform:1"])
    pick = dataclasses.replace(result.pick, scores={"eos": float("inf")})
    assert dataclasses.replace(result, ranked=(pick,)).to_dict()["candidates"][0]["scores"] == {
        "eos": None
    }
