"""fastText models, npy, npz and safetensors, and real files where they are at hand."""

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.safetensors import TensorInfo, read_header
from emcomp.io.reading import read_vectors
from emcomp.io.sources.base import as_source
from emcomp.io.writing import write_vectors, write_words
from tests.helpers.real_data import DATA, needs_data

# ---- fastText


def ngrams_of(word, shortest, longest, buckets):
    """Buckets of the n-grams of a word, from fastText's definition, on characters."""
    if word == "</s>":
        return []
    marked = f"<{word}>"
    found = []
    for begin in range(len(marked)):
        for length in range(1, longest + 1):
            end = begin + length
            if end > len(marked) or length < shortest:
                continue
            if length == 1 and (begin == 0 or end == len(marked)):
                continue
            state = 2166136261
            for byte in marked[begin:end].encode():
                state ^= byte if byte < 128 else byte | 0xFFFFFF00
                state = state * 16777619 & 0xFFFFFFFF
            found.append(state % buckets)
    return found


def fasttext_file(words, matrix, *, shortest=2, longest=4, buckets=50, kept=None, quantized=0,
                  version=12, kind=2, labels=()):  # fmt: skip
    dim = matrix.shape[1]
    parts = [struct.pack("<2i", 793712314, version)]
    arguments = [dim, 5, 5, 1, 5, 1, 2, kind, buckets, shortest, longest, 100]
    parts.append(struct.pack("<12id", *arguments, 1e-4))
    pruned = -1 if kept is None else len(kept)
    total = len(words) + len(labels)
    parts.append(struct.pack("<3i2q", total, len(words), len(labels), 1000, pruned))
    for i, word in enumerate([*words, *labels]):
        parts.append(word.encode() + b"\0" + struct.pack("<qb", 7, i >= len(words)))
    parts.extend(struct.pack("<2i", bucket, row) for bucket, row in (kept or {}).items())
    parts.append(struct.pack("<B2q", quantized, *matrix.shape))
    parts.append(matrix.astype("<f4").tobytes())
    parts.append(b"output matrix")
    return b"".join(parts)


WORDS = ["</s>", "the", "größer", "日本語", "a", "", "x" * 50]


def fasttext_matrix(rows, dim=9):
    return np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)


@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (1, 3), (3, 6), (0, 0), (2, 0)])
@pytest.mark.parametrize("kept", [None, {}, {3: 0, 17: 1, 4: 2, 49: 3}])
def test_fasttext_words_are_means_of_their_ngrams(tmp_path, shortest, longest, kept):
    matrix = fasttext_matrix(len(WORDS) + (50 if kept is None else len(kept)))
    options = {"shortest": shortest, "longest": longest, "kept": kept, "labels": ["__label__x"]}
    (tmp_path / "f").write_bytes(fasttext_file(WORDS, matrix, **options))
    expected = []
    for i, word in enumerate(WORDS):
        rows = [i]
        for bucket in ngrams_of(word, shortest, longest, 50):
            if kept is None:
                rows.append(len(WORDS) + bucket)
            elif bucket in kept:
                rows.append(len(WORDS) + kept[bucket])
        total = np.zeros(9, np.float32)
        for row in rows:
            total += matrix[row]
        expected.append(total * np.float32(1 / len(rows)))
    for threads in (1, 2):
        read = read_vectors(tmp_path / "f", threads=threads)
        assert read.words.tolist() == WORDS
        assert np.array_equal(read.vectors, expected)
    part = read_vectors(tmp_path / "f", limit=3)
    assert np.array_equal(part.vectors, expected[:3])
    assert part.words.tolist() == WORDS[:3]


def test_old_supervised_fasttext_models_have_no_ngrams(tmp_path):
    matrix = fasttext_matrix(len(WORDS) + 50)
    (tmp_path / "f").write_bytes(fasttext_file(WORDS, matrix, version=11, kind=3))
    assert np.array_equal(read_vectors(tmp_path / "f").vectors, matrix[: len(WORDS)])


@pytest.mark.parametrize("kind", [2, 3])
def test_fasttext_models_of_before_they_had_a_number(tmp_path, kind):
    matrix = fasttext_matrix(len(WORDS) + 50)
    new = fasttext_file(WORDS, matrix, kind=kind, version=11)
    (tmp_path / "new").write_bytes(new)
    # Without number and version, pruned n-grams, and whether it is quantized.
    arguments, words = new[8:64], new[64:]
    end = words.index(matrix.tobytes())
    old = arguments + words[:20] + words[28 : end - 17] + words[end - 16 :]
    (tmp_path / "old").write_bytes(old)
    expected = read_vectors(tmp_path / "new")
    read = read_vectors(tmp_path / "old")
    assert read.words == expected.words
    assert np.array_equal(read.vectors, expected.vectors)
    for end in range(64, len(old) - len(b"output matrix"), 131):
        (tmp_path / "cut").write_bytes(old[:end])
        with pytest.raises(CorruptFileError, match="byte"):
            read_vectors(tmp_path / "cut")


def test_bad_fasttext_models(tmp_path):
    path = tmp_path / "f"
    matrix = fasttext_matrix(len(WORDS) + 50)
    whole = fasttext_file(WORDS, matrix)
    for end in range(4, len(whole) - len(b"output matrix"), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(CorruptFileError, match="byte"):
            read_vectors(path)
    for options, message in [
        ({"quantized": 1}, "quantized"),
        ({"version": 13}, "version 13"),
        ({"buckets": 51}, "too few"),
        ({"buckets": 0}, "buckets"),
        ({"kept": {5: 1}}, "row outside"),
    ]:
        path.write_bytes(fasttext_file(WORDS, matrix, **options))
        with pytest.raises(FormatError, match=message):
            read_vectors(path)
    path.write_bytes(fasttext_file([], matrix))
    with pytest.raises(FormatError, match="no words"):
        read_vectors(path)


# ---- npy and npz


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_as_it_is(tmp_path, dtype, order):
    array = np.asarray(fasttext_matrix(5), dtype, order)
    np.save(tmp_path / "f", array)
    read = read_vectors(tmp_path / "f.npy")
    assert isinstance(read.vectors, np.memmap)
    assert read.vectors.dtype == array.dtype
    assert np.array_equal(read.vectors, array)
    assert read.words is None
    assert read.shape == as_source(read).shape == (5, 9)
    assert np.array_equal(as_source(read).read(1, 2), array[1:3])


def test_words_beside_an_npy(tmp_path):
    array = fasttext_matrix(3)
    write_vectors(tmp_path / "f", array, format="npy")
    write_words(tmp_path / "words", ["a b", "c", "d"])
    read = read_vectors(tmp_path / "f", words=tmp_path / "words")
    assert read.words.tolist() == ["a b", "c", "d"]
    assert read_vectors(tmp_path / "f", words=["x", "y", "z"], limit=2).words.tolist() == ["x", "y"]
    with pytest.raises(InputError, match=r"2 words \(from 'a' to 'b'\) for 3 rows"):
        read_vectors(tmp_path / "f", words=["a", "b"])
    with pytest.raises(InputError, match="lines 1 and 3"):
        read_vectors(tmp_path / "f", words=["a", "b", "a"])
    last = read_vectors(tmp_path / "f", words=["a", "b", "a"], duplicates="last")
    assert np.array_equal(last.vectors, array[1:])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    table, other = fasttext_matrix(4), fasttext_matrix(6)[:, ::-1].T
    path = tmp_path / "f.npz"
    save(path, table=table, numbers=np.arange(4), ids=np.zeros((2, 2), int))
    read = read_vectors(path)
    assert np.array_equal(read.vectors, table)
    assert isinstance(read.vectors, np.memmap)  # a compressed one from a temporary file
    save(path, table=table, other=other)
    with pytest.raises(FormatError, match=r"several.*'table' \(4, 9\), 'other' \(9, 6\)"):
        read_vectors(path)
    assert np.array_equal(read_vectors(path, tensor="other").vectors, other)
    with pytest.raises(InputError, match="no tensor 'x'"):
        read_vectors(path, tensor="x")
    content = path.read_bytes()
    for end in range(5, len(content), len(content) // 23):
        path.write_bytes(content[:end])
        with pytest.raises(FormatError):
            read_vectors(path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.zeros((2, 3, 4)),
        np.zeros((0, 3)),
        np.zeros((2, 2), int),
        np.zeros((2, 2), "g"),
    ],
)
def test_arrays_that_are_no_tables(tmp_path, array):
    np.save(tmp_path / "f.npy", array)
    with pytest.raises(FormatError):
        read_vectors(tmp_path / "f.npy")


def test_pickled_and_absurd_arrays(tmp_path):
    path = tmp_path / "f.npy"
    np.save(path, np.array([["a", None]], object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"\|O"):
        read_vectors(path)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 40)}
        )
        file.write(b"\0" * 100)
    with pytest.raises(CorruptFileError, match="the file ends at byte"):
        read_vectors(path)


# ---- safetensors


def safetensors_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_safetensors_of_the_reference_package(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "f"
    table = fasttext_matrix(4)
    tensors = {"bert.embeddings.word_embeddings.weight": table, "head": fasttext_matrix(2),
               "bias": np.zeros(3, np.float16)}  # fmt: skip
    reference.save_file(tensors, path, {"format": "pt"})
    assert np.array_equal(read_vectors(path).vectors, table)
    assert np.array_equal(read_vectors(path, tensor="head", limit=1).vectors, tensors["head"][:1])
    with pytest.raises(InputError, match="not a table"):
        read_vectors(path, tensor="bias")
    metadata, found = read_header(path.read_bytes())
    assert metadata == {"format": "pt"}
    assert {name: info.shape for name, info in found.items()} == {
        name: tensor.shape for name, tensor in tensors.items()
    }
    reference.save_file({"a": table, "b": table}, path)
    with pytest.raises(FormatError, match=r"several.*'a' \(4, 9\), 'b' \(4, 9\)"):
        read_vectors(path)


@pytest.mark.parametrize(("dtype", "kind"), [("F16", "<f2"), ("F32", "<f4"), ("F64", "<f8")])
def test_safetensors_types_at_any_byte(tmp_path, dtype, kind):
    data = fasttext_matrix(4).astype(kind)
    header = {"weight": entry(dtype, [4, 9], 1, 1 + data.nbytes), "x": entry("U8", [1], 0, 1)}
    (tmp_path / "f").write_bytes(safetensors_file(header, b"x" + data.tobytes()))
    read = read_vectors(tmp_path / "f")
    assert np.array_equal(read.vectors, data)
    assert read.read(1, 2).flags.aligned


def test_bfloat16_stays_bits(tmp_path):
    bits = np.array([[0x3F80, 0xC000]], "<u2")
    header = {"w": entry("BF16", [1, 2], 0, 4)}
    (tmp_path / "f").write_bytes(safetensors_file(header, bits.tobytes()))
    read = read_vectors(tmp_path / "f")
    assert read.dtype == "bfloat16"
    assert np.array_equal(read.vectors, bits)


GOOD = {"a": entry("F32", [2, 3], 0, 24), "b": entry("U8", [4], 24, 28), "__metadata__": {"k": "v"}}


def test_header():
    content = safetensors_file(GOOD, bytes(28))
    at = len(content) - 28
    for buffer in (content, memoryview(content), np.frombuffer(content, np.uint8)):
        metadata, tensors = read_header(buffer)
        assert metadata == {"k": "v"}
        assert list(tensors.items()) == [
            ("a", TensorInfo("F32", (2, 3), at, at + 24)),
            ("b", TensorInfo("U8", (4,), at + 24, at + 28)),
        ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 1 << 63) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        safetensors_file(b"[]"),
        safetensors_file(b"{"),
        safetensors_file(b"[" * 100_000),
        safetensors_file(b"\xff"),
        safetensors_file(b'{"a": 1, "a": 2}'),
        safetensors_file({"__metadata__": {"k": 1}}),
        safetensors_file({"a": 5}),
        safetensors_file({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
        safetensors_file({"a": entry("F33", [1], 0, 4)}, bytes(4)),
        safetensors_file({"a": entry("F32", [1.0], 0, 4)}, bytes(4)),
        safetensors_file({"a": entry("F32", [True], 0, 4)}, bytes(4)),
        safetensors_file({"a": entry("F32", [-1, -1], 0, 4)}, bytes(4)),
        safetensors_file({"a": entry("F32", [1], 0, 8)}, bytes(8)),
        safetensors_file({"a": entry("F32", [1], 4, 0)}, bytes(4)),
        safetensors_file({"a": entry("F32", [2], 0, 8)}, bytes(4)),
        safetensors_file({"a": entry("F32", [1], 0, 4)}, bytes(5)),
        safetensors_file({"a": entry("F32", [1 << 62, 1 << 62], 0, 4)}, bytes(4)),
        safetensors_file({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, bytes(3)),
        safetensors_file({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 3, 5)}, bytes(5)),
    ],
)
def test_bad_headers(content):
    with pytest.raises(FormatError):
        read_header(content)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
@given(st.data())
def test_mutated_headers_give_errors_of_ours(data):
    content = bytearray(safetensors_file(GOOD, bytes(28)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 29))] = data.draw(st.integers(0, 255))
    try:
        _, tensors = read_header(bytes(content))
    except FormatError:
        return
    assert all(0 <= tensor.begin <= tensor.end <= len(content) for tensor in tensors.values())


# ---- real files


@needs_data
@pytest.mark.parametrize(
    ("name", "shape", "header"),
    [
        ("glove-6b-100d-top2604.txt", (2604, 100), 0),
        ("fasttext-polarity-100d.vec.txt", (1694, 100), 1),
        ("wiki-imdb-glove-100d-top5000.word2vec.txt", (5000, 100), 1),
    ],
)
def test_real_text(tmp_path, name, shape, header):
    path = DATA / "formats" / name
    read = read_vectors(path)
    assert read.shape == shape
    lines = path.read_bytes().split(b"\n")[header : header + shape[0]]
    fields = [line.split(b" ") for line in lines]
    assert read.words.tolist() == [f[0].decode("utf-8", "surrogateescape") for f in fields]
    expected = np.array([f[1 : 1 + shape[1]] for f in fields]).astype(np.float32)
    assert np.array_equal(read.vectors, expected)
    for form in ("glove", "word2vec", "word2vec-binary"):
        write_vectors(tmp_path / "f", read.vectors, read.words, format=form)
        again = read_vectors(tmp_path / "f")
        assert again.words == read.words
        assert np.array_equal(again.vectors, read.vectors)


@needs_data
def test_real_binary():
    read = read_vectors(DATA / "formats" / "wiki-imdb-sgns-300d-top5000.word2vec.bin")
    folder = DATA / "embeddings" / "wiki-imdb-sgns-300d"
    whole = read_vectors(folder / "vectors.npy", words=folder / "vocab.txt", limit=5000)
    assert read.words == whole.words
    assert np.array_equal(read.vectors, whole.vectors)
    emoji = read_vectors(DATA / "formats" / "emoji2vec-300d.word2vec.bin")
    assert emoji.shape == (1661, 300)
    assert emoji.words[0] == "\U0001f1f8\U0001f1f0"
    assert np.all(np.isfinite(emoji.vectors))
