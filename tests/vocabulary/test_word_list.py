import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emcomp.errors import InputError
from emcomp.vocabulary.word_list import WordList

some_words = st.lists(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.binary()))


def text_of(word):
    return word if isinstance(word, str) else word.decode("utf-8", "surrogateescape")


@given(some_words)
def test_words_come_back(strings):
    words = WordList.from_strings(strings)
    expected = [text_of(word) for word in strings]
    assert len(words) == len(strings)
    assert words.tolist() == expected == [words[i] for i in range(len(words))]
    assert words == expected
    assert words == WordList.from_strings(expected)
    assert words.offsets[-1] == words.bytes.size


@given(some_words, st.data())
def test_indices_slices_and_masks_are_those_of_a_list(strings, data):
    words, expected = WordList.from_strings(strings), [text_of(word) for word in strings]
    part = data.draw(st.slices(len(strings)))
    assert words[part].tolist() == expected[part]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words))))
    mask = mask.astype(bool)
    assert words.take(mask).tolist() == [w for w, kept in zip(expected, mask, strict=True) if kept]
    if strings:
        i = data.draw(st.integers(-len(strings), len(strings) - 1))
        assert words[i] == expected[i]
    for outside in (len(strings), -len(strings) - 1):
        with pytest.raises(IndexError, match=str(outside)):
            words[outside]


def test_iteration_crosses_the_blocks_it_decodes():
    strings = [f"w{i}" for i in range((1 << 16) + 3)]
    assert list(WordList.from_strings(strings)) == strings


@given(st.lists(some_words, max_size=4))
def test_concatenation(parts):
    words = WordList.concatenate([WordList.from_strings(part) for part in parts])
    assert words.tolist() == [text_of(word) for part in parts for word in part]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\nb c\n", ["a", "b c"]),
        (b"a\r\n\r\nb\rc\r\nd", ["a", "", "b\rc", "d"]),
        (b"\n\n", ["", ""]),
        (b"\xff\n", ["\udcff"]),
    ],
)
def test_lines(text, expected):
    assert WordList.from_lines(text).tolist() == expected


def test_equality():
    words = WordList.from_strings(["ab", "c"])
    assert words != WordList.from_strings(["a", "bc"])
    assert words != ["ab"]
    assert words != "abc"
    assert repr(words) == "WordList(2: ['ab', 'c'])"
    with pytest.raises(TypeError, match="unhashable"):
        hash(words)


@pytest.mark.parametrize(
    "offsets",
    [[], [1, 3], [0, 2], [0, 4], [0, 2, 1, 3]],
    ids=["none", "first", "short", "long", "falling"],
)
def test_offsets_are_checked(offsets):
    with pytest.raises(InputError, match="offsets"):
        WordList(np.zeros(3, np.uint8), np.array(offsets, np.uint64))


def test_other_types_are_refused():
    with pytest.raises(InputError, match="uint64"):
        WordList(np.zeros(3, np.uint8), np.array([0, 3]))
    with pytest.raises(InputError, match="word 1 is 5"):
        WordList.from_strings(["a", 5])
    with pytest.raises(InputError, match=r"'\\ud800' has a surrogate"):
        WordList.from_strings(["\ud800"])
