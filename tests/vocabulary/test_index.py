from __future__ import annotations

import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import CorruptFileError, EmcompError, InputError, UnknownWordError
from emcomp.tables import container
from emcomp.vocabulary.index import Vocabulary
from emcomp.vocabulary.word_list import WordList

AWKWARD = ["", "\0", "a\0b", "a", "two words", "straße", "日本語", "🙂", b"\xff\xfe", b"caf\xe9"]


def as_bytes(word):
    return word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")


def stretch(a: bytes, b: bytes) -> int:
    """Bytes of the longer word that are left between a common beginning and a common end."""
    a, b = a.lower(), b.lower()
    shorter = min(len(a), len(b))
    begin = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    end = next((i for i in range(shorter) if a[-1 - i] != b[-1 - i]), shorter)
    return max(len(a), len(b)) - min(begin + end, shorter)


def closest(words: list[str], word: str, k: int) -> list[str]:
    ranked = sorted((stretch(as_bytes(w), as_bytes(word)), row) for row, w in enumerate(words))
    most = (len(as_bytes(word)) + 1) // 2
    return [words[row] for length, row in ranked if length <= most][:k]


def test_finds_awkward_words():
    vocabulary = Vocabulary.from_words(AWKWARD)
    for row, word in enumerate(AWKWARD):
        assert vocabulary.find(word) == row
        assert word in vocabulary
        text = word if isinstance(word, str) else word.decode("utf-8", "surrogateescape")
        assert vocabulary.find(text) == row
        assert vocabulary.word(row) == vocabulary[row] == text
    assert list(vocabulary) == vocabulary[:] == [vocabulary.word(i) for i in range(len(AWKWARD))]
    assert vocabulary[-1] == vocabulary[len(AWKWARD) - 1]
    assert vocabulary.find("b") is None
    assert "b" not in vocabulary
    assert 3 not in vocabulary


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(), st.binary(max_size=40)), unique_by=as_bytes))
def test_is_a_dict_of_rows(words):
    vocabulary = Vocabulary.from_words(words)
    expected = {as_bytes(word): row for row, word in enumerate(words)}
    asked = [*words, "missing", b"\xfe", ""]
    rows = vocabulary.find_many(asked)
    assert rows.dtype == np.int64
    assert rows.tolist() == [expected.get(as_bytes(word), -1) for word in asked]
    assert [vocabulary.find(word) for word in asked] == [expected.get(as_bytes(w)) for w in asked]
    assert [as_bytes(word) for word in vocabulary] == [as_bytes(word) for word in words]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_words_on_many_threads(threads):
    words = [f"word{i * i}" for i in range(20_000)]
    vocabulary = Vocabulary.from_words(words, threads=threads)
    one = Vocabulary.from_words(words, threads=1)
    np.testing.assert_array_equal(
        vocabulary.tensors()["vocabulary.index"], one.tensors()["vocabulary.index"]
    )
    asked = [*words[::-1], "word2", "word3"]
    expected = [*range(len(words) - 1, -1, -1), -1, -1]
    assert vocabulary.find_many(asked, threads=threads).tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 9, 10, 614, 615])
def test_index_is_as_the_format_says(count):
    words = [f"w{i}" for i in range(count)]
    index = Vocabulary.from_words(words).tensors()["vocabulary.index"]
    slots = len(index)
    assert slots & (slots - 1) == 0
    assert count <= 0.6 * slots
    assert slots == 1 or count > 0.6 * (slots // 2)
    expected = np.full(slots, 0xFFFFFFFF, np.uint32)
    for row, word in enumerate(words):
        slot = xxhash.xxh64(word.encode()).intdigest() % slots
        while expected[slot] != 0xFFFFFFFF:
            slot = (slot + 1) % slots
        expected[slot] = row
    np.testing.assert_array_equal(index, expected)


def test_packed_words_are_used_as_they_are():
    packed = Vocabulary.from_words(["x", "yy", "zzz"]).tensors()

    listed = WordList(packed["vocabulary.bytes"], packed["vocabulary.offsets"])
    vocabulary = Vocabulary.from_words(listed)
    assert list(vocabulary) == ["x", "yy", "zzz"]
    assert vocabulary.tensors()["vocabulary.bytes"] is listed.bytes


def test_refuses_what_cannot_be_a_vocabulary():
    with pytest.raises(InputError, match="'cat' is in rows 1 and 4"):
        Vocabulary.from_words(["a", "cat", "b", "c", "cat"])
    with pytest.raises(InputError, match="put it into a list"):
        Vocabulary.from_words("cat")
    with pytest.raises(InputError, match="put it into a list"):
        Vocabulary.from_words(["a"]).find_many("cat")
    with pytest.raises(InputError, match="word 1 is 3, not a string"):
        Vocabulary.from_words(["a", 3])
    with pytest.raises(TypeError, match="not NoneType"):
        Vocabulary.from_words(["a"]).find(None)
    for use in (Vocabulary.from_words, Vocabulary.from_words(["a"]).find_many):
        with pytest.raises(InputError, match=r"'\\ud800' has a surrogate"):
            use(["b", "\ud800"])
    for row in (-1, 1, 10**6):
        with pytest.raises(IndexError, match=str(row)):
            Vocabulary.from_words(["a"]).word(row)
    with pytest.raises(InputError, match="negative"):
        Vocabulary.from_words(["a"]).closest("a", k=-1)


@settings(deadline=None)
@given(
    st.lists(st.text("abAB ×ñÑжЖ日🙂", max_size=9), unique=True, max_size=30),
    st.text("abAB ×ñÑжЖ日🙂", max_size=9),
    st.integers(0, 6),
)
def test_closest_words_against_the_definition(words, word, k):
    assert Vocabulary.from_words(words).closest(word, k) == closest(words, word, k)


def test_closest_words_are_those_of_one_slip():
    vocabulary = Vocabulary.from_words(["dog", "cab", "CAT", "cart", "Cat", "act", "catastrophe"])
    assert vocabulary.closest("cat", 3) == ["CAT", "Cat", "cab"]
    assert vocabulary.closest("caat", 2) == ["CAT", "cart"]
    assert vocabulary.closest("cta", 1) == ["cab"]
    assert vocabulary.closest("catastrofe") == ["catastrophe"]
    assert Vocabulary.from_words([b"caf\xe9", "tea"]).closest("café") == ["caf\udce9"]
    assert vocabulary.closest("c" * 1_000_000) == []


def test_unknown_word_is_a_lazy_key_error():
    vocabulary = Vocabulary.from_words(["cat", "car", "dog"])
    assert vocabulary.row("dog") == 2
    with pytest.raises(KeyError) as caught:
        vocabulary.row("caat")
    error = caught.value
    assert isinstance(error, UnknownWordError)
    assert isinstance(error, EmcompError)
    assert error.word == "caat"
    copy = pickle.loads(pickle.dumps(error))
    message = "the word 'caat' is not in the vocabulary; the closest are 'cat', 'car'"
    assert str(error) == str(copy) == message
    with pytest.raises(UnknownWordError, match=r"^the word 'zzzzzz' is not in the vocabulary$"):
        vocabulary.row("zzzzzz")

    searches = []
    lazy = UnknownWordError("x", lambda: searches.append(1) or ["y"])
    assert searches == []
    for _ in range(2):
        assert str(lazy) == "the word 'x' is not in the vocabulary; the closest are 'y'"
    assert searches == [1]


def hostile(**changes):
    tensors = Vocabulary.from_words(["cat", "dog", "eel"]).tensors()
    for name, change in changes.items():
        array = tensors[f"vocabulary.{name}"].copy()
        tensors[f"vocabulary.{name}"] = change(array)
    return tensors


def put(place, value):
    def change(array):
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    "changes",
    [
        {"index": put(slice(None), 3)},
        {"index": put(slice(None), 0xFFFFFFFE)},
        {"index": put(slice(None), 0)},  # full: probing must end
        {"offsets": put(slice(None), 2**64 - 1)},
        {"offsets": put(slice(None), [9, 6, 3, 0])},
        {"offsets": put(slice(1, None), 2**63)},
    ],
)
def test_hostile_contents_raise_and_do_not_crash(tmp_path, changes):
    path = tmp_path / "hostile.emcomp"
    container.write(path, hostile(**changes), {})
    file = container.open(path)
    file.verify()
    vocabulary = Vocabulary.from_tensors({name: file.tensor(name) for name in file.names})
    word = "cat" if "offsets" in changes else "missing"
    for call in (
        lambda: vocabulary.find(word),
        lambda: vocabulary.find_many([word] * 40),
        lambda: vocabulary.row(word),
    ):
        with pytest.raises(CorruptFileError):
            call()
    if "offsets" in changes:
        for call in (
            lambda: vocabulary.word(1),
            lambda: list(vocabulary),
            lambda: vocabulary.closest("cat"),
        ):
            with pytest.raises(CorruptFileError):
                call()


@pytest.mark.parametrize(
    "changes",
    [
        {"index": lambda a: a[:-1]},
        {"index": lambda a: np.concatenate([a, a])},
        {"index": lambda a: a[:0]},
        {"index": lambda a: a.astype(np.int32)},
        {"index": lambda a: a.reshape(1, -1)},
        {"offsets": lambda a: a[:0]},
        {"offsets": lambda a: a.astype(np.uint32)},
        {"bytes": lambda a: a.view(np.int8)},
    ],
)
def test_hostile_lengths_and_types_are_refused_at_once(changes):
    with pytest.raises(CorruptFileError):
        Vocabulary.from_tensors(hostile(**changes))


def test_missing_tensors_are_named():
    tensors = Vocabulary.from_words(["a"]).tensors()
    del tensors["vocabulary.index"]
    with pytest.raises(CorruptFileError, match=r"vocabulary\.index"):
        Vocabulary.from_tensors(tensors)


def test_reads_from_many_threads():
    words = [f"w{i}" for i in range(5000)]
    vocabulary = Vocabulary.from_words(words)
    failures = []

    def read():
        for _ in range(5):
            if vocabulary.find_many(words, threads=2).tolist() != list(range(5000)):
                failures.append("find_many")
            if vocabulary.find("w77") != 77 or vocabulary.closest("w777", 1) != ["w777"]:
                failures.append("find")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_keeps_its_arrays_alive_and_lets_them_go():
    vocabulary = Vocabulary.from_words(["a", "b"])
    array = weakref.ref(vocabulary.tensors()["vocabulary.bytes"])
    gc.collect()
    assert vocabulary.find("b") == 1
    del vocabulary
    gc.collect()
    assert array() is None


def test_is_a_sequence_of_words(tmp_path):
    words = [f"w{i}" for i in range(500)] + ["straße", ""]
    emcomp.compress(np.eye(502, 3) + 1, "uniform:2", words=words).save(tmp_path / "t.emcomp")
    table = emcomp.open(tmp_path / "t.emcomp")
    found = table.words
    assert len(found) == len(table) == 502
    assert list(found) == words
    assert list(reversed(found)) == words[::-1]
    assert (found[0], found[-1], found[-2], found[3:9:2]) == ("w0", "", "straße", words[3:9:2])
    for word in ("w0", "w499", "straße", ""):
        assert found.index(word) == words.index(word)
        assert found.count(word) == 1
        np.testing.assert_array_equal(table[word], table[words.index(word)])
    assert "straße" in found
    assert found.index("w9", 9, 10) == found.index("w9", -493) == 9
    for arguments in (("absent",), ("w9", 10), ("w9", 0, 9), ("w9", -492), (9,)):
        with pytest.raises(ValueError, match="not in the vocabulary"):
            found.index(*arguments)
    assert [found.count(word) for word in ("absent", 9, None)] == [0, 0, 0]
    for row in (502, -503):
        with pytest.raises(IndexError):
            found[row]


def test_pickles():
    again = pickle.loads(pickle.dumps(Vocabulary.from_words(AWKWARD)))
    assert list(again) == list(Vocabulary.from_words(AWKWARD))
    assert [again.find(word) for word in AWKWARD] == list(range(len(AWKWARD)))
