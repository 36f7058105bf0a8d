"""emcomp.gensim against gensim itself on the decoded matrix."""

from __future__ import annotations

import copy
import pickle
import sys
import tracemalloc

import numpy as np
import pytest

import emcomp
from tests.helpers.real_data import DATA, needs_data

pytest.importorskip("gensim", reason="needs emcomp[gensim]")

from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model

from emcomp.errors import InputError
from emcomp.gensim import CompressedKeyedVectors

# gensim calls a function of its own that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated `init_sims`:DeprecationWarning")

CODECS = [
    "uniform:4",
    "uniform:3(granularity=row)",
    "kmeans:2",
    "pq:8x6",
    "svd:8",
    "whiten+uniform:5",
]


def words_of(count):
    """Distinct words in both cases, some that differ in nothing else."""
    names = ["king", "King", "queen", "man", "Man", "woman", "straße", "日本", "two-words", "x.y"]
    return names + [f"word{i}" if i % 3 else f"WORD{i}" for i in range(count - len(names))]


def pair_of(table):
    """gensim on the decoded matrix, and ours on the table."""
    plain = KeyedVectors(table.dim)
    plain.add_vectors(list(table.words), table.decode())
    return plain, CompressedKeyedVectors(table)


@pytest.fixture(scope="module", params=CODECS)
def pair(request):
    random = np.random.default_rng(1)
    X = random.standard_normal((700, 24)) @ np.diag(np.arange(1, 25) ** -0.5)
    return pair_of(emcomp.compress(X, request.param, words=words_of(700)))


@pytest.fixture(scope="module")
def glove():
    folder = DATA / "embeddings" / "wiki-imdb-glove-100d"
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:20_000]
    return pair_of(
        emcomp.compress(np.load(folder / "vectors.npy")[:20_000], "uniform:4", words=words)
    )


def assert_same(ours, theirs):
    """The same numbers, or the same words in the same order with the same numbers."""
    if isinstance(theirs, list) and theirs and isinstance(theirs[0], tuple):
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        ours, theirs = ([value for _, value in pairs] for pairs in (ours, theirs))
    if isinstance(theirs, (list, str)):
        assert ours == pytest.approx(theirs, abs=2e-6) if theirs[:1] else ours == theirs
    else:
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


VECTOR = np.cos(np.arange(24, dtype=np.float32))

CALLS = {
    "most_similar": lambda v: v.most_similar("king"),
    "topn": lambda v: v.most_similar("king", topn=600),
    "topn one": lambda v: v.most_similar(["king"], topn=1),
    "topn zero": lambda v: v.most_similar("king", topn=0),
    "analogy": lambda v: v.most_similar(positive=["king", "woman"], negative=["man"]),
    "weights": lambda v: v.most_similar(positive=[("king", 0.3), ("queen", 2.0)], topn=20),
    "row number": lambda v: v.most_similar(positive=[650], topn=5),
    "restricted": lambda v: v.most_similar("queen", restrict_vocab=300, topn=40),
    "restricted beyond": lambda v: v.most_similar("queen", restrict_vocab=10**6, topn=40),
    "clipped": lambda v: v.most_similar("queen", clip_start=100, clip_end=150, topn=9),
    "all": lambda v: v.most_similar("woman", topn=None),
    "by word": lambda v: v.similar_by_word("日本", topn=7),
    "by key": lambda v: v.similar_by_key("straße", topn=7, restrict_vocab=99),
    "by vector": lambda v: v.similar_by_vector(VECTOR, topn=7),
    "by vector and word": lambda v: v.most_similar(positive=[VECTOR, "king"], negative=[VECTOR * 2]),
    "cosmul": lambda v: v.most_similar_cosmul(positive=["king", "woman"], negative=["man"]),
    "similarity": lambda v: v.similarity("king", "queen"),
    "distance": lambda v: v.distance("king", "queen"),
    "distances": lambda v: v.distances("king"),
    "distances to some": lambda v: v.distances("king", ["queen", "man", 600]),
    "distances of vector": lambda v: v.distances(VECTOR.astype(np.float64)),
    "n_similarity": lambda v: v.n_similarity(["king", "queen"], ["man", "word11"]),
    "doesnt_match": lambda v: v.doesnt_match(["king", "queen", "man", "word11"]),
    "centrality": lambda v: [(w, s) for s, w in v.rank_by_centrality(["king", "queen", "man"])],
    "rank": lambda v: v.rank("king", "word200"),
    "closer_than": lambda v: " ".join(v.closer_than("king", "word200")),
    "to given": lambda v: v.most_similar_to_given("king", ["queen", "man", "woman"]),
    "relative": lambda v: v.relative_cosine_similarity("king", "queen", topn=5),
    "mean": lambda v: v.get_mean_vector(["king", "absent", 5], weights=[1, 2, 3]),
    "row": lambda v: v["king"],
    "rows": lambda v: v[["king", "two-words", 12]],
    "get_vector": lambda v: v.get_vector("x.y", norm=True),
    "index": lambda v: v.get_index("queen"),
    "index or": lambda v: v.get_index("absent", default=-7),
    "size": len,
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_answers_as_gensim_does_on_the_decoded_matrix(pair, call):
    plain, ours = pair
    assert_same(call(ours), call(plain))


def test_random_queries(pair):
    plain, ours = pair
    random = np.random.default_rng(2)
    for _ in range(40):
        chosen = random.choice(list(plain.index_to_key), 5, replace=False).tolist()
        arguments = {
            "positive": chosen[: random.integers(1, 4)],
            "negative": chosen[3 : 3 + random.integers(0, 3)],
            "topn": int(random.integers(1, 50)),
            "restrict_vocab": [None, 60, 500][random.integers(3)],
        }
        assert_same(ours.most_similar(**arguments), plain.most_similar(**arguments))


def test_keys(pair):
    plain, ours = pair
    assert "king" in ours
    assert 3 in ours
    assert "absent" not in ours
    assert 700 not in ours
    assert list(ours.index_to_key) == plain.index_to_key
    assert ours.index_to_key[2:5] == plain.index_to_key[2:5]
    assert dict(ours.key_to_index) == plain.key_to_index
    assert ours.key_to_index.get(b"king") is None
    assert str(ours) == "CompressedKeyedVectors<vector_size=24, 700 keys>"
    for call in (ours.get_vector, ours.similar_by_word, ours.__getitem__, ours.get_index):
        with pytest.raises(KeyError, match="absent"):
            call("absent")


def test_word_movers_distance(pair, monkeypatch):
    pytest.importorskip("ot")
    plain, ours = pair
    documents = ["king", "queen", "absent"], ["man", "woman", "man"]
    assert_same(ours.wmdistance(*documents), plain.wmdistance(*documents))
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ImportError, match="ot"):
        ours.wmdistance(*documents)


def write_questions(path, words, count=300):
    random = np.random.default_rng(3)
    lines = [": first"]
    for i in range(count):
        if i == count // 2:
            lines.append(": second part")
        four = random.choice(words, 4).tolist()
        lines.append(" ".join([*four, "fifth"] if i % 50 == 7 else four))
    lines += ["king man Queen woman", "king king king king", "king man queen absent"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("arguments", [
    {},
    {"restrict_vocab": 120},
    {"restrict_vocab": None},
    {"case_insensitive": False},
    {"dummy4unknown": True, "restrict_vocab": 200},
])  # fmt: skip
def test_analogies(pair, arguments, tmp_path, monkeypatch):
    plain, ours = pair
    questions = list(plain.index_to_key[:60])
    # Questions with the right answer: without them everything would be "incorrect" on both sides.
    limit = arguments.get("restrict_vocab")
    right = [
        (a, b, c, plain.most_similar([b, c], [a], topn=1, restrict_vocab=limit)[0][0])
        for a, b, c in np.random.default_rng(4).choice(questions[10:], (30, 3)).tolist()
    ]
    path = write_questions(tmp_path / "questions.txt", questions)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(" ".join(four) + "\n" for four in right)
    expected = plain.evaluate_word_analogies(str(path), **arguments)
    monkeypatch.setattr("emcomp.gensim._QUESTIONS_TOGETHER", 64)
    assert ours.evaluate_word_analogies(str(path), **arguments) == expected
    assert ours.evaluate_word_analogies(path, **arguments) == expected
    assert len(expected[1][-1]["correct"]) >= 10
    assert "_answers" not in vars(ours)


def test_analogies_are_answered_together(pair, tmp_path, monkeypatch):
    ours = pair[1]
    path = write_questions(tmp_path / "questions.txt", list(ours.index_to_key[10:60]))

    def one_by_one(*args, **kwargs):
        raise AssertionError("a question was answered on its own")

    monkeypatch.setattr(KeyedVectors, "most_similar", one_by_one)
    ours.evaluate_word_analogies(path)


def test_word_pairs(pair, tmp_path):
    plain, ours = pair
    random = np.random.default_rng(6)
    path = tmp_path / "pairs.tsv"
    rows = [
        f"{a}\t{b}\t{random.random():.3f}"
        for a, b in random.choice(plain.index_to_key, (80, 2)).tolist()
    ]
    path.write_text("# words\nabsent\tking\t0.5\n" + "\n".join(rows), encoding="utf-8")
    for arguments in ({}, {"case_insensitive": False}, {"restrict_vocab": 400}):
        for mine, theirs in zip(
            ours.evaluate_word_pairs(path, **arguments),
            plain.evaluate_word_pairs(path, **arguments),
            strict=True,
        ):
            assert mine == pytest.approx(theirs, abs=1e-6)


@needs_data
def test_real_words(glove):
    plain, ours = glove
    for call in (
        lambda v: v.most_similar("king"),
        lambda v: v.most_similar(positive=["paris", "germany"], negative=["france"]),
        lambda v: v.rank("cat", "dog"),
        lambda v: v.doesnt_match(["breakfast", "lunch", "dinner", "car"]),
        lambda v: v.distances("music"),
    ):
        assert_same(call(ours), call(plain))
    pairs = str(DATA / "similarity" / "men.tsv")
    mine, theirs = (v.evaluate_word_pairs(pairs) for v in (ours, plain))
    assert mine[1].statistic == pytest.approx(theirs[1].statistic, abs=1e-6)
    assert theirs[1].statistic > 0.3


@needs_data
def test_real_analogies(glove, tmp_path):
    plain, ours = glove
    lines = (DATA / "analogy" / "google.txt").read_text(encoding="utf-8").split("\n")
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(s for i, s in enumerate(lines) if s[:1] == ":" or i % 20 == 0))
    expected = plain.evaluate_word_analogies(path)
    assert ours.evaluate_word_analogies(path) == expected
    assert expected[0] > 0.1


# Nothing as large as the decoded matrix is made.


def test_memory_stays_below_the_decoded_matrix(tmp_path):
    rows, dim = 40_000, 256
    X = np.random.default_rng(0).standard_normal((rows, dim), np.float32)
    words = [f"w{i}" for i in range(rows)]
    emcomp.compress(X, "uniform:2", words=words).save(tmp_path / "t.emcomp")
    del X, words
    path = write_questions(tmp_path / "questions.txt", [f"w{i}" for i in range(10, 50)])
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"w{i}\tw{i + 1}\t{i}\n" for i in range(9)))
    decoded = 4 * rows * dim
    tracemalloc.start()
    try:
        ours = CompressedKeyedVectors.load(tmp_path / "t.emcomp")
        assert tracemalloc.get_traced_memory()[1] < 200_000  # words are not copied
        ours.most_similar(positive=["w1", "w2"], negative=["w3"], topn=None)
        ours.rank("w5", "w6")
        ours.distances("w5")
        ours.evaluate_word_pairs(pairs)
        assert tracemalloc.get_traced_memory()[1] < decoded / 3  # the pairs make dicts of words
        ours.evaluate_word_analogies(path, restrict_vocab=20_000)
        assert tracemalloc.get_traced_memory()[1] < decoded * 0.8
    finally:
        tracemalloc.stop()


def test_the_matrix_is_never_made_by_accident(pair):
    plain, ours = pair
    for call in (
        lambda: np.asarray(ours.vectors),
        lambda: ours.get_normed_vectors(),
        lambda: ours.vectors - plain.vectors,
        lambda: np.vstack([ours.vectors, ours.vectors]),
        lambda: np.linalg.norm(ours.vectors),
        lambda: np.linalg.norm(ours.vectors, axis=0),
        lambda: np.dot(VECTOR[:, None], ours.vectors),
    ):
        with pytest.raises(InputError, match=r"67,200 bytes.*table\.decode\(\)"):
            call()


def test_measures_take_keyed_vectors(pair):
    plain, ours = pair
    assert emcomp.eos(plain, ours) == pytest.approx(1.0)
    assert emcomp.measures.frobenius_error(plain.vectors, ours) == 0.0


# Import, files, pickles


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_import(dtype):
    X = np.random.default_rng(3).standard_normal((50, 8)).astype(dtype)
    plain = KeyedVectors(8, dtype=dtype)
    plain.add_vectors(words_of(50), X)
    table = emcomp.compress(plain, "uniform:4")
    assert list(table.words) == words_of(50)
    np.testing.assert_array_equal(table.decode(), emcomp.compress(X, "uniform:4").decode())
    renamed = emcomp.compress(plain, "uniform:4", words=[f"w{i}" for i in range(50)])
    assert renamed.words[3] == "w3"
    again = emcomp.compress(CompressedKeyedVectors(table), "float:32")
    np.testing.assert_array_equal(again.decode(), table.decode())
    assert list(again.words) == words_of(50)


def test_selection_and_writing_take_keyed_vectors(pair, tmp_path):
    plain, ours = pair
    best = emcomp.select(plain, "8x", ["uniform:3", "uniform:2"])
    assert list(best.table.words) == plain.index_to_key
    for vectors, name in ((plain, "plain.txt"), (ours, "ours.txt")):
        emcomp.write_vectors(tmp_path / name, vectors)
    assert (tmp_path / "ours.txt").read_bytes() == (tmp_path / "plain.txt").read_bytes()


def test_import_refuses_keys_that_are_no_strings():
    plain = KeyedVectors(4)
    plain.add_vectors(["a", 17, "c"], np.eye(3, 4, dtype=np.float32))
    with pytest.raises(InputError, match="key 1 is 17, of type int"):
        emcomp.compress(plain)
    with pytest.raises(InputError, match="key 0 is None"):
        emcomp.compress(KeyedVectors(4, count=2))


def test_save_load_pickle_copy(pair, tmp_path):
    plain, ours = pair
    ours.save(tmp_path / "t.emcomp")
    loaded = CompressedKeyedVectors.load(str(tmp_path / "t.emcomp"), mmap="r")
    ours.set_vecattr("queen", "count", 12)
    copies = pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours), loaded
    for other in copies:
        assert type(other) is CompressedKeyedVectors
        assert_same(other.most_similar("king"), plain.most_similar("king"))
    assert [other.expandos.keys() == {"count"} for other in copies] == [True, True, False]
    assert copies[0].get_vecattr("queen", "count") == 12
    ours.expandos.clear()
    with pytest.raises(InputError, match="mmap='w'"):
        CompressedKeyedVectors.load(tmp_path / "t.emcomp", mmap="w")


def test_written_as_word2vec(pair, tmp_path):
    plain, ours = pair
    for vectors, name in ((plain, "plain"), (ours, "ours")):
        vectors.save_word2vec_format(str(tmp_path / name), binary=True)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "plain").read_bytes()


def test_subset_as_plain_keyed_vectors(pair):
    plain, ours = pair
    chosen = ours.vectors_for_all(["queen", "absent", "king"])
    assert chosen.index_to_key == ["queen", "king"]
    np.testing.assert_array_equal(chosen["king"], plain["king"])


@pytest.mark.parametrize("change", [
    lambda v: v.add_vector("new", VECTOR),
    lambda v: v.add_vectors(["new"], VECTOR[None]),
    lambda v: v.__setitem__("king", VECTOR),
    lambda v: v.unit_normalize_all(),
    lambda v: v.resize_vectors(),
    lambda v: v.sort_by_descending_frequency(),
    lambda v: v.intersect_word2vec_format("file"),
])  # fmt: skip
def test_changes_are_refused(pair, change):
    with pytest.raises(InputError, match="cannot be changed"):
        change(pair[1])


def test_what_else_is_refused(pair):
    ours = pair[1]
    with pytest.raises(InputError, match="no words"):
        CompressedKeyedVectors(emcomp.compress(np.eye(4)))
    with pytest.raises(InputError, match=r"emcomp\.compress\(path"):
        CompressedKeyedVectors.load_word2vec_format("file.bin", binary=True)
    with pytest.raises(ValueError, match="read-only"):
        ours["king"][0] = 1


def test_a_fasttext_model(tmp_path):
    text = [["the", "größer", "日本語", "word"], ["the", "words", "of", "größe"]] * 20
    model = FastText(text, vector_size=20, min_count=1, bucket=100, epochs=1, seed=1)
    path = tmp_path / "model.bin"
    save_facebook_model(model, str(path))
    theirs = load_facebook_vectors(str(path))
    read = emcomp.read_vectors(path)
    assert read.words.tolist() == theirs.index_to_key
    np.testing.assert_allclose(read.vectors, theirs.vectors, rtol=1e-5, atol=1e-8)
