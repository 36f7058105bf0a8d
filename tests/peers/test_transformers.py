"""Transformers models with compressed tables, saved and loaded."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import emcomp
from emcomp.torch import Embedding, OutputLayer, compress_
from emcomp.transformers import EmcompConfig

IDS = torch.randint(3, 300, (2, 9), generator=torch.Generator().manual_seed(0))
SMALL = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def bert() -> transformers.PreTrainedModel:
    config = transformers.BertConfig(**SMALL, max_position_embeddings=64)
    return transformers.BertForMaskedLM(config)


def llama() -> transformers.PreTrainedModel:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SMALL, tie_word_embeddings=True)
    )


def gpt2() -> transformers.PreTrainedModel:
    config = transformers.GPT2Config(vocab_size=300, n_embd=32, n_layer=1, n_head=2, n_positions=64)
    return transformers.GPT2LMHeadModel(config)


def t5() -> transformers.PreTrainedModel:
    config = transformers.T5Config(
        vocab_size=300, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2
    )
    return transformers.T5ForConditionalGeneration(config)


def outputs(model: transformers.PreTrainedModel) -> torch.Tensor:
    inputs = {"input_ids": IDS}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = IDS
    with torch.no_grad():
        return model.eval()(**inputs)[0]


def load(kind: type, folder: object) -> transformers.PreTrainedModel:
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model


@pytest.mark.parametrize("make", [bert, llama, gpt2, t5])
@pytest.mark.parametrize("tied", ["keep", "share"])
def test_saved_models_load_with_identical_outputs(make, tied, tmp_path):
    torch.manual_seed(0)
    model = make()
    with pytest.raises(emcomp.InputError, match="is also that of"):
        compress_(copy.deepcopy(model))
    compress_(model, "uniform:5", tied=tied)
    expected = outputs(model)
    model.save_pretrained(tmp_path / "once")
    loaded = load(type(model), tmp_path / "once")
    assert torch.equal(outputs(loaded), expected)
    assert isinstance(loaded.get_input_embeddings(), Embedding)
    assert isinstance(loaded.get_output_embeddings(), OutputLayer) == (tied == "share")
    assert not hasattr(loaded.get_input_embeddings(), "weight")
    loaded.save_pretrained(tmp_path / "twice")
    assert torch.equal(outputs(load(type(model), tmp_path / "twice")), expected)
    half = type(model).from_pretrained(tmp_path / "once", dtype=torch.bfloat16)
    assert outputs(half).dtype == torch.bfloat16
    assert torch.equal(half.get_input_embeddings().codes, loaded.get_input_embeddings().codes)


def test_a_body_saved_alone_serves_a_model_with_a_head(tmp_path):
    model = bert().bert
    compress_(model, "whiten+kmeans:4", select=["*word_embeddings"])
    model.save_pretrained(tmp_path)
    headed = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    expected = model.embeddings.word_embeddings(IDS)
    assert torch.equal(headed.bert.embeddings.word_embeddings(IDS), expected)
    (tmp_path / "headed").mkdir()
    headed.save_pretrained(tmp_path / "headed")
    body = transformers.AutoModel.from_pretrained(tmp_path / "headed")
    assert torch.equal(body.embeddings.word_embeddings(IDS), expected)


def test_compressing_while_loading(tmp_path):
    model = bert().bert
    model.save_pretrained(tmp_path / "float")
    config = EmcompConfig("uniform:4", select=["*word_embeddings"])
    loaded = transformers.AutoModel.from_pretrained(tmp_path / "float", quantization_config=config)
    compress_(model, "uniform:4", select=["*word_embeddings"])
    assert torch.equal(outputs(loaded), outputs(model))
    loaded.save_pretrained(tmp_path / "small")
    assert torch.equal(outputs(load(transformers.AutoModel, tmp_path / "small")), outputs(model))


def test_resizing_the_vocabulary_is_refused_with_advice():
    model = bert().bert
    compress_(model, select=["*word_embeddings"])
    with pytest.raises(AttributeError, match="before compressing"):
        model.resize_token_embeddings(310)


def test_a_table_without_a_place_is_an_error(tmp_path):
    model = bert().bert
    compress_(model, select=["*word_embeddings"])
    tables = model.config.quantization_config.tables
    tables["embeddings.nowhere"] = tables["embeddings.word_embeddings"]
    model.save_pretrained(tmp_path)
    with pytest.raises(emcomp.FormatError, match="no place for"):
        transformers.AutoModel.from_pretrained(tmp_path)
