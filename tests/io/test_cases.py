"""The examples of shared/cases, where they are at hand: each is read right, or refused."""

import os
from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp.errors import FormatError, InputError
from tests.helpers.real_data import DATA

CASES = Path(os.environ.get("EMCOMP_CASES", str(DATA.parent / "cases")))
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="needs EMCOMP_DATA, with the examples beside it"
)


@pytest.mark.parametrize(
    "name",
    [
        "phrases-no-newlines.bin", "phrases-newlines.bin", "bom-glove.txt", "bom-word2vec.txt",
        "projector/vectors.tsv", "savetxt.txt", "glove.zip", "word2vec.bin.gz", "all-phrases.vec",
        "control-first-word.txt", "table.csv", "checkpoint.pt", "wide.parquet",
    ],
)  # fmt: skip
def test_the_truth(name):
    truth = np.load(CASES / "truth.npy")
    words = (CASES / "truth-words.txt").read_text("utf-8").splitlines()
    changed = {
        "phrases-no-newlines.bin": {10: "New York", 30: "San Francisco Bay"},
        "phrases-newlines.bin": {10: "New York", 30: "San Francisco Bay"},
        "all-phrases.vec": {i: f"first{i} second{i}" for i in range(40)},
        "control-first-word.txt": {0: "\x0b"},
    }
    expected = [changed.get(name, {}).get(i, word) for i, word in enumerate(words)]
    read = emcomp.read_vectors(CASES / name)
    source = emcomp.open_source(CASES / name)
    np.testing.assert_allclose(read.vectors, truth, atol=1e-5)
    assert np.array_equal(source.read(0, 40), read.vectors)
    if name in ("projector/vectors.tsv", "savetxt.txt", "checkpoint.pt"):
        assert read.words is None
    else:
        assert read.words.tolist() == source.words().tolist() == expected


@pytest.mark.parametrize(
    "name",
    ["bom-words.txt", "vocab-with-counts.txt", "pieces.vocab", "vocab.json", "tokenizer.json",
     "projector/metadata.tsv", "model2vec-quantized"],
)  # fmt: skip
def test_words(name):
    words = (CASES / "truth-words.txt").read_text("utf-8").splitlines()
    mark = "\u2581" if name == "pieces.vocab" else ""
    made = emcomp.compress(np.load(CASES / "truth.npy"), words=CASES / name)
    assert list(made.words) == [mark + word for word in words]


def test_a_static_model():
    tensors = pytest.importorskip("safetensors.numpy").load_file(
        CASES / "model2vec-quantized" / "model.safetensors"
    )
    rows = tensors["embeddings"][tensors["mapping"]] * tensors["weights"][:, None]
    assert np.array_equal(emcomp.read_vectors(CASES / "model2vec-quantized").vectors, rows)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("utf16.txt", "UTF-16"),
        ("vectors.kv", "a pickle"),
        ("not-found.html", "a web page"),
        ("lfs-pointer.txt", "git lfs pull"),
        ("table-pq.emcomp", r"emcomp\.open"),
        ("table-svd.emcomp", r"emcomp\.open"),
    ],
)
def test_refused(name, message):
    for read in (emcomp.read_vectors, emcomp.open_source):
        with pytest.raises((FormatError, InputError), match=message):
            read(CASES / name)
