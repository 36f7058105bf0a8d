"""Compressing the embeddings inside a model."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn.utils import parametrize

import emcomp
from emcomp.torch import Embedding, EmbeddingBag, OutputLayer, compress_

IDS = torch.tensor([[1, 3, 299], [4, 0, 3]])


class Language(nn.Module):
    """A language model in small, with its output tied to its input."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(300, 32, padding_idx=3)
        self.places = nn.Embedding(40, 32)
        self.inner = nn.ModuleDict({"again": self.words})
        self.output = nn.Linear(32, 300)
        self.output.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.words(ids) + self.inner["again"](ids) + self.places(ids % 40)
        return self.output(torch.tanh(hidden))


def decoded_twin(model: Language) -> Language:
    """The float model whose input tables are those of a compressed model."""
    twin = Language()
    weights = {"words": model.words.decode(), "places": model.places.decode()}
    twin.words.weight = nn.Parameter(weights["words"])
    twin.places.weight = nn.Parameter(weights["places"])
    return twin


def test_the_root_is_replaced():
    for module, kind in (
        (nn.Embedding(100, 16, padding_idx=2), Embedding),
        (nn.EmbeddingBag(100, 16, mode="max", include_last_offset=True), EmbeddingBag),
    ):
        new, report = compress_(module.eval(), "uniform:4")
        assert type(new) is kind
        assert not new.training
        assert (new.shape, new.padding_idx) == ((100, 16), module.padding_idx)
        if kind is EmbeddingBag:
            assert (new.mode, new.include_last_offset) == ("max", True)
        assert report.replacements[0].names == ("",)
        assert report.before == 6400
        assert report.after == new.nbytes


def test_tied_layers_are_refused_and_the_model_left_alone():
    model = Language()
    before = list(model.modules())
    with pytest.raises(emcomp.InputError, match=r"words, inner\.again is also that of output"):
        compress_(model)
    assert list(model.modules()) == before


def test_tied_layers_keep_the_float_weight():
    model = Language()
    weight = model.words.weight
    _, report = compress_(model, "uniform:8", tied="keep")
    assert model.output.weight is weight
    assert model.inner["again"] is model.words
    twin = decoded_twin(model)
    twin.output.weight = weight
    twin.output.bias = model.output.bias
    torch.testing.assert_close(model(IDS), twin(IDS))
    words = report.replacements[0]
    assert words.names == ("words", "inner.again")
    assert words.kept_for == ("output",)
    assert words.before == 300 * 32 * 4
    assert words.after == words.before + model.words.nbytes
    assert "float weight kept for output" in str(report)


def test_tied_layers_share_the_compressed_table():
    model = Language()
    _, report = compress_(model, "uniform:8", tied="share")
    assert type(model.output) is OutputLayer
    assert model.output.embedding is model.words
    assert not [
        name for name in model.state_dict() if name.startswith("output.") and "bias" not in name
    ]
    twin = decoded_twin(model)
    twin.output.weight = twin.words.weight
    twin.output.bias = model.output.bias
    torch.testing.assert_close(model(IDS), twin(IDS))
    hidden = torch.randn(5, 32, requires_grad=True)
    own = torch.autograd.grad(model.output(hidden).square().sum(), (hidden, model.output.bias))
    expected = torch.autograd.grad(twin.output(hidden).square().sum(), (hidden, twin.output.bias))
    torch.testing.assert_close(own, expected)
    other = copy.deepcopy(model)
    assert other.output.embedding is other.words
    with torch.no_grad():
        assert torch.equal(other.half()(IDS).float(), other(IDS).float())
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(IDS), model(IDS))
    assert report.replacements[0].shared_with == ("output",)
    assert report.after == sum(t.nbytes for t in (*model.parameters(), *model.buffers()))


def test_select_by_names_and_by_function():
    model, _ = compress_(Language(), select=["pla*"])
    assert type(model.places) is Embedding
    assert type(model.words) is nn.Embedding
    model, _ = compress_(Language(), select=lambda name, module: len(module.weight) < 100)
    assert type(model.places) is Embedding
    assert type(model.words) is nn.Embedding
    with pytest.raises(emcomp.InputError, match="no embedding is called 'nothing'"):
        compress_(Language(), select=["nothing"])
    with pytest.raises(emcomp.InputError, match="names in a list"):
        compress_(Language(), select="places")
    with pytest.raises(emcomp.InputError, match="to compress"):
        compress_(nn.Linear(2, 2))


def test_embeddings_that_share_a_weight_become_one():
    first, second = nn.Embedding(50, 8), nn.Embedding(50, 8)
    second.weight = first.weight
    bag = nn.EmbeddingBag(50, 8)
    bag.weight = first.weight
    model, report = compress_(nn.Sequential(first, second, bag))
    assert model[0] is model[1]
    assert type(model[2]) is EmbeddingBag
    assert len(report.replacements) == 1
    assert report.replacements[0].after == model[0].nbytes + model[2].nbytes


class Scaled(nn.Embedding):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) * 2


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * 2


def test_what_would_be_lost_is_refused():
    with pytest.raises(emcomp.InputError, match="0 is a Scaled"):
        compress_(nn.Sequential(Scaled(10, 4)))
    hooked = nn.Embedding(10, 4)
    hooked.register_forward_hook(lambda *_: None)
    with pytest.raises(emcomp.InputError, match="hooks"):
        compress_(hooked)
    parametrized = nn.Embedding(10, 4)
    parametrize.register_parametrization(parametrized, "weight", Doubled())
    with pytest.raises(emcomp.InputError, match="parametrizations"):
        compress_(parametrized)
    with pytest.raises(emcomp.InputError, match="0: max_norm"):
        compress_(nn.Sequential(nn.Embedding(10, 4, max_norm=1.0)))
    with pytest.raises(emcomp.InputError, match="1: codec pq:2x8: 256 codewords"):
        compress_(nn.Sequential(nn.Embedding(300, 4), nn.Embedding(10, 4)), "pq:2x8")
    model = nn.ModuleList([nn.Embedding(10, 4), nn.LayerNorm((10, 4))])
    model[1].weight = model[0].weight
    with pytest.raises(emcomp.InputError, match="Linear layers"):
        compress_(model, tied="share")


def test_the_report_prints_as_a_table():
    _, report = compress_(Language(), "uniform:4", tied="share")
    lines = str(report).splitlines()
    assert lines[0].split() == ["module", "shape", "codec", "before", "after", "ratio"]
    assert lines[1].startswith("words, inner.again  300 x 32")
    assert lines[1].endswith("shared with output")
    assert lines[-1].startswith("whole model")
    assert report.ratio == pytest.approx(report.before / report.after)
