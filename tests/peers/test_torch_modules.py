"""Embedding and EmbeddingBag in the place of torch.nn's, and what torch does to modules."""

from __future__ import annotations

import copy
import gc
import io
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file
from torch import nn

import emcomp
from emcomp.torch import Embedding, EmbeddingBag, readers

CODECS = ["uniform:8", "uniform:3(granularity=row)", "whiten+kmeans:4", "pq:9x6"]
IDS = torch.tensor([[1, 3, 299], [4, 0, 3]])


@pytest.fixture
def float_module() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(300, 33, padding_idx=3)


@pytest.fixture(params=CODECS)
def module(request, float_module) -> Embedding:
    return Embedding.from_module(float_module, codec=request.param)


def reference(module: Embedding, padding: torch.Tensor) -> nn.Embedding:
    """The float embedding with the decoded rows."""
    weight = torch.from_numpy(module.to_table().decode())
    weight[3] = padding
    return nn.Embedding.from_pretrained(weight, padding_idx=3)


def test_lookup_is_that_of_the_decoded_embedding(module, float_module):
    expected = reference(module, torch.zeros(33))
    for ids in (IDS, IDS.int(), IDS.T, torch.tensor(5), torch.empty(0, 4, dtype=torch.int64)):
        assert torch.equal(module(ids), expected(ids))
    assert torch.equal(module.decode(), expected.weight)
    assert not module(IDS).requires_grad
    assert not list(module.parameters())


def test_a_padding_row_that_is_not_zeros_is_kept_exactly(float_module):
    with torch.no_grad():
        float_module.weight[3] = 0.123
    module = Embedding.from_module(float_module, codec="uniform:2")
    assert torch.equal(module(torch.tensor(3)), float_module.weight[3])
    table = emcomp.compress(float_module.weight.detach().numpy(), "uniform:2")
    module = Embedding.from_table(table, padding_idx=-297)
    assert module.padding_idx == 3
    assert np.array_equal(module(torch.tensor(3)).numpy(), table[3])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_casts_change_the_rows_type_and_nothing_else(module, dtype):
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    expected = module(IDS).to(dtype)
    module.to(dtype)
    assert module(IDS).dtype == module.dtype == dtype
    assert torch.equal(module(IDS), expected)
    after = module.state_dict()
    assert all(
        torch.equal(before[n], after[n]) and before[n].dtype == after[n].dtype for n in after
    )
    assert torch.equal(module.half().float()(IDS), expected.float().to(module.dtype)) or (
        dtype != torch.float64  # float64 rows were rounded on the way
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_other_types(float_module, dtype):
    weight = float_module.weight.detach().to(dtype)
    module = Embedding.from_pretrained(weight, codec="uniform:6")
    expected = emcomp.compress(weight.float().numpy(), "uniform:6").lookup(IDS.numpy())
    assert module(IDS).dtype == dtype
    assert torch.equal(module(IDS), torch.from_numpy(expected).to(dtype))


def test_state_of_one_module_fills_another(module, tmp_path):
    expected = module(IDS)
    codec = str(module.codec)
    save_file(module.state_dict(), tmp_path / "state.safetensors")
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    states = (load_file(tmp_path / "state.safetensors"), torch.load(buffer, weights_only=True))
    for state in states:
        other = Embedding(300, 33, 3, codec=codec)
        assert not torch.equal(other(IDS), expected)
        other.load_state_dict(state, strict=True)
        assert torch.equal(other(IDS), expected)
    assert module.codec_name.numpy().tobytes().decode() == codec


def test_a_state_of_another_codec_is_refused(float_module):
    rotated = [
        Embedding.from_module(float_module, codec=f"rotate(seed={seed})+uniform:4")
        for seed in (1, 2)
    ]
    with pytest.raises(RuntimeError, match=r"encoded as 'rotate\(seed=1\)\+uniform:4'"):
        rotated[1].load_state_dict(rotated[0].state_dict())
    with pytest.raises(RuntimeError, match="weight is a float matrix"):
        rotated[0].load_state_dict(float_module.state_dict())


def test_copies_pickles_and_files(module, tmp_path):
    expected = module(IDS)
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    copies = [
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(buffer, weights_only=False),
    ]
    module.to_table().save(tmp_path / "table.emcomp")
    copies.append(Embedding.from_table(tmp_path / "table.emcomp", padding_idx=3))
    copies[-1].padding.zero_()
    module.codes.zero_()
    for other in copies:
        assert torch.equal(other(IDS), expected)
    assert not torch.equal(module(IDS), expected)


def test_changes_in_place_are_seen(float_module):
    module = Embedding.from_module(float_module, codec="uniform:4")
    other = Embedding.from_module(nn.Embedding(300, 33, padding_idx=3), codec="uniform:4")
    first, second = module(IDS), other(IDS)
    with torch.no_grad():
        module.steps.mul_(2)
    assert torch.equal(module(IDS), 2 * first)
    module.codes[299] = 255  # among the rows of which the reader has a copy
    assert torch.equal(module(torch.tensor(299)), torch.full((33,), 7.5) * module.steps)
    module.load_state_dict(other.state_dict())
    assert torch.equal(module(IDS), second)
    module.share_memory()
    assert module.codes.is_shared()
    module.codes.zero_()
    assert torch.equal(module(torch.tensor(0)), torch.full((33,), -7.5) * module.steps)
    assert torch.equal(other(IDS), second)


def test_readers_do_not_keep_tables_alive(float_module):
    module = Embedding.from_module(float_module, codec="uniform:5")
    module(IDS)
    key = (module.codes.untyped_storage()._cdata, module.codes.data_ptr())
    entry = readers._entries[key]
    del module
    gc.collect()
    assert entry.storages[0].expired()
    Embedding.from_module(float_module, codec="uniform:5")(IDS)
    assert readers._entries.get(key) is not entry


def test_reading_in_inference_mode(float_module):
    with torch.inference_mode():
        module = Embedding.from_module(float_module, codec="uniform:4")
        first = module(IDS)
        module.steps.mul_(2)
        assert torch.equal(module(IDS), 2 * first)


class Lookups(torch.utils.data.Dataset):
    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.module(torch.arange(index, index + 40))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_data_loader_workers(start, float_module):
    module = Embedding.from_module(float_module, codec="uniform:4").share_memory()
    expected = module(torch.arange(300))  # the native threads have run before the fork
    loader = torch.utils.data.DataLoader(
        Lookups(module), batch_size=4, num_workers=2, multiprocessing_context=start
    )
    for number, batch in enumerate(loader):
        for row in range(4):
            index = number * 4 + row
            assert torch.equal(batch[row], expected[index : index + 40])


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("codec", ["uniform:4", "whiten+kmeans:4"])
def test_compiled_without_a_break(float_module, backend, codec):
    torch.compiler.reset()
    model = nn.Sequential(Embedding.from_module(float_module, codec=codec), nn.Linear(33, 5))
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(IDS), model(IDS))
        model[0].load_state_dict(
            Embedding.from_module(nn.Embedding(300, 33, padding_idx=3), codec=codec).state_dict()
        )
        assert torch.equal(compiled(IDS), model(IDS))
    bags = EmbeddingBag.from_pretrained(float_module.weight, codec=codec, mode="mean")
    compiled = torch.compile(bags, backend=backend, fullgraph=True)
    offsets = torch.tensor([0, 2, 2])
    assert torch.equal(compiled(IDS[0], offsets), bags(IDS[0], offsets))


def test_exported(float_module):
    model = nn.Sequential(Embedding.from_module(float_module, codec="uniform:4"), nn.ReLU())
    length = torch.export.Dim("length", min=2, max=100)
    program = torch.export.export(model, (IDS,), dynamic_shapes=({1: length},))
    longer = torch.randint(0, 300, (2, 17))
    assert torch.equal(program.module()(longer), model(longer))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    assert torch.equal(torch.export.load(buffer).module()(longer), model(longer))


def test_what_is_refused(float_module):
    weight = float_module.weight
    for options in ({"max_norm": 1.0}, {"sparse": True}, {"scale_grad_by_freq": True}):
        for kind in (Embedding, EmbeddingBag):
            with pytest.raises(emcomp.InputError, match=next(iter(options))):
                kind(300, 33, **options)
            with pytest.raises(emcomp.InputError, match=next(iter(options))):
                kind.from_pretrained(weight, **options)
    with pytest.raises(emcomp.InputError, match="freeze"):
        Embedding.from_pretrained(weight, freeze=False)
    with pytest.raises(emcomp.InputError, match="matrix"):
        Embedding.from_pretrained(torch.zeros(3))
    with pytest.raises(emcomp.InputError, match="padding_idx 300"):
        Embedding(300, 33, 300)
    with pytest.raises(emcomp.InputError, match="rows of 10 entries"):
        Embedding(300, 33, codec="pca:10")
    module = Embedding.from_module(float_module)
    with pytest.raises(emcomp.InputError, match="gradients stop"):
        module.requires_grad_()
    with pytest.raises(AttributeError, match="no weight"):
        module.weight  # noqa: B018
    assert not hasattr(module, "weight")
    with pytest.raises(emcomp.InputError, match="int64 or int32"):
        module(torch.tensor([1.0]))
    for bad in (300, -1):
        with pytest.raises(IndexError):
            module(torch.tensor([0, bad]))


# Bags


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 3])
@pytest.mark.parametrize("include_last_offset", [False, True])
def test_bags_are_those_of_torch(float_module, mode, padding_idx, include_last_offset):
    table = emcomp.compress(float_module.weight.detach().numpy(), "uniform:4")
    options = {
        "mode": mode,
        "padding_idx": padding_idx,
        "include_last_offset": include_last_offset,
    }
    expected = nn.EmbeddingBag.from_pretrained(torch.from_numpy(table.decode()), **options)
    module = EmbeddingBag.from_table(table, **options)
    ids = torch.tensor([3, 5, 299, 3, 17, 3, 20, 1, 7])
    starts = [0, 3, 3, 4, 6]
    for kind in (torch.int64, torch.int32):
        offsets = torch.tensor(starts + [9] * include_last_offset, dtype=kind)
        given = ids.to(kind)
        torch.testing.assert_close(module(given, offsets), expected(given, offsets))
    matrix = ids.reshape(3, 3)
    torch.testing.assert_close(module(matrix), expected(matrix))
    if mode == "sum":
        weights = torch.randn(9)
        torch.testing.assert_close(
            module(ids, offsets.long(), weights), expected(ids, offsets.long(), weights)
        )
        torch.testing.assert_close(
            module(matrix, per_sample_weights=weights.reshape(3, 3)),
            expected(matrix, per_sample_weights=weights.reshape(3, 3)),
        )


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_a_table_are_those_of_torch(mode):
    rng = np.random.default_rng(0)
    table = emcomp.compress(rng.standard_normal((50, 20)).astype(np.float32), "uniform:6")
    weight = torch.from_numpy(table.decode())
    ids, offsets = rng.integers(0, 50, 40), np.array([0, 0, 7, 30])
    theirs = torch.nn.functional.embedding_bag(
        torch.from_numpy(ids), weight, torch.from_numpy(offsets), mode=mode
    )
    np.testing.assert_allclose(table.bag(ids, offsets, mode=mode), theirs, rtol=1e-5, atol=1e-6)


def test_empty_bags_and_types(float_module):
    module = EmbeddingBag.from_pretrained(float_module.weight, mode="max").half()
    none = torch.empty(0, dtype=torch.int64)
    assert torch.equal(module(none, torch.tensor([0, 0])), torch.zeros(2, 33, dtype=torch.half))
    assert module(none.reshape(2, 0)).shape == (2, 33)


def test_bags_that_do_not_fit_are_refused(float_module):
    bags = EmbeddingBag.from_pretrained(float_module.weight, mode="sum")
    ids, offsets = torch.tensor([1, 2, 3]), torch.tensor([0, 2])
    with pytest.raises(emcomp.InputError, match="require gradients"):
        bags(ids, offsets, torch.ones(3, requires_grad=True))
    with pytest.raises(emcomp.InputError, match="do not fit"):
        bags(ids, offsets, torch.ones(2))
    with pytest.raises(emcomp.InputError, match="need offsets"):
        bags(ids)
    with pytest.raises(emcomp.InputError, match="first offset"):
        bags(ids, torch.tensor([1, 2]))
    with pytest.raises(IndexError):
        bags(ids, torch.tensor([0, 4]))
    with pytest.raises(emcomp.InputError, match="mode='sum'"):
        EmbeddingBag(300, 33, mode="mean")(ids, offsets, torch.ones(3))


STATES = [
    ("codec_name", torch.tensor([255, 254], dtype=torch.uint8), "not the string of a codec"),
    ("codec_name", torch.tensor(3, dtype=torch.uint8), "not the string of a codec"),
    ("codec_name", torch.tensor([117.5]), "expected torch.uint8"),
    ("codec_name", torch.tensor(list(b"uniform:3"), dtype=torch.uint8), "encoded as 'uniform:3'"),
    ("codes", torch.zeros(20, 4), "expected torch.uint8"),
    ("codes", torch.zeros(3, 3, dtype=torch.uint8), "size mismatch"),
    ("codes", "none", "has str for codes"),
    ("steps", torch.zeros(1, dtype=torch.float64), "expected torch.float32"),
]


@pytest.mark.parametrize(("name", "value", "message"), STATES)
def test_a_damaged_state_is_refused_with_what_is_wrong(name, value, message):
    module = Embedding.from_pretrained(torch.randn(20, 8), codec="uniform:4")
    state = {**module.state_dict(), name: value}
    with pytest.raises(RuntimeError, match=message):
        module.load_state_dict(state)
