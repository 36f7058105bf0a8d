"""The decoder in torch operations against the native core, and the layout of tables."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import emcomp
from emcomp.torch import operators, products
from emcomp.torch.decode import unpack

EXACT = [
    "uniform:1",
    "uniform:3",
    "uniform:4(granularity=column)",
    "uniform:5(granularity=row)",
    "uniform:6(granularity=12,step_dtype=float16)",
    "uniform:8",
    "kmeans:3",
    "kmeans:2(granularity=10)",
    "pq:9x9",
    "pq:20x7",
    "rq:3x5",
    "dccl:6x8(epochs=1)",
    "trellis:2(rounds=1)",
    "trellis:0.5(rounds=1,window=10,widths=column)",
    "trellis:5.3(rounds=1,window=12,centre=none)",
    "float:16",
    "float:32",
    "pca:10",
    "pca:20+kmeans:4",
]
ROUNDED = [
    "svd:20",
    "svd:20(map_dtype=float16)+uniform:5",
    "whiten+kmeans:4",
    "principal(0.0,scales=none)+trellis:3(rounds=1)",
    "rotate(scales=row)+uniform:4",
    "rotate+svd:30+pq:10x6",
    "direction:16",
    "opq:13x5(rotations=2)",
    "autoencoder:16(epochs=1)",
    "autoencoder:16(epochs=1,activation=elu)+uniform:6",
]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.standard_normal((700, 65)) * random.uniform(0.3, 2, 65)).astype(np.float32)


@pytest.fixture(scope="module", params=EXACT + ROUNDED)
def table(request, rows) -> emcomp.CompressedEmbedding:
    return emcomp.compress(rows, request.param)


def arguments(table: emcomp.CompressedEmbedding) -> tuple:
    names = table.codec.tensor_layout(table.shape)
    return [torch.from_numpy(table.tensors[n]) for n in names], str(table.codec), *table.shape


def test_layout_is_what_compressing_makes(table):
    layout = table.codec.tensor_layout(table.shape)
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in table.tensors.items()}
    assert {name: (np.dtype(dtype), shape) for name, (dtype, shape) in layout.items()} == found


def test_rows_are_those_of_the_native_core(table):
    ids = torch.tensor([[0, 699, 3], [3, 698, 350]])
    expected = table.lookup(ids.numpy())
    for lookup in (operators.lookup, operators._lookup_anywhere):
        found = lookup(ids, *arguments(table), None, -1, torch.float32).numpy()
        if lookup is operators.lookup or str(table.codec) in EXACT:
            assert np.array_equal(found, expected)
        else:
            scale = np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [-1, 3])
def test_bags_agree(table, mode, padding_idx):
    ids = torch.tensor([3, 5, 699, 3, 17, 3, 20, 1])
    offsets = torch.tensor([0, 3, 3, 4, 6])
    weights = torch.tensor([0.5, -1, 2, 3, 1, 1, -0.25, 4]) if mode == "sum" else None
    for include_last_offset in (False, True):
        expected, found = (
            bag(ids, offsets, weights, *arguments(table), padding_idx, include_last_offset, mode)
            for bag in (operators.bag, operators._bag_anywhere)
        )
        assert expected.shape == (5 - include_last_offset, table.dim)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", range(1, 13))
@pytest.mark.parametrize("count", [1, 7, 8, 9, 65])
def test_unpack(bits, count):
    codes = np.random.default_rng(bits).integers(0, 2**bits, (3, count))
    bit_rows = (codes[:, :, None] >> np.arange(bits) & 1).reshape(3, -1).astype(np.uint8)
    packed = np.packbits(bit_rows, axis=1, bitorder="little")
    assert np.array_equal(unpack(torch.from_numpy(packed), count, bits).numpy(), codes)


def test_ids_beyond_the_table_are_refused_everywhere(rows):
    table = emcomp.compress(rows, "uniform:4")
    for lookup in (operators.lookup, operators._lookup_anywhere):
        for bad in (700, -1):
            with pytest.raises(IndexError):
                lookup(torch.tensor([bad]), *arguments(table), None, -1, torch.float32)


@pytest.mark.parametrize("codec", ["uniform:4", "whiten+kmeans:4", "pq:9x6"])
def test_operators_pass_torchs_own_checks(rows, codec):
    table = emcomp.compress(rows, codec)
    tensors = arguments(table)
    padding = torch.zeros(65)
    torch.library.opcheck(
        operators.lookup, (torch.tensor([1, 2]), *tensors, padding, 1, torch.float32)
    )
    torch.library.opcheck(
        operators.bag,
        (torch.tensor([1, 2, 5]), torch.tensor([0, 2]), None, *tensors, -1, False, "mean"),
    )
    x = torch.randn(3, 65, requires_grad=True)
    torch.library.opcheck(products.project, (x, *tensors, padding, 1))


def test_products_with_the_whole_table_go_block_by_block(rows, monkeypatch):
    monkeypatch.setattr(products, "_BLOCK_ENTRIES", 65 * 100)
    table = emcomp.compress(rows, "uniform:4")
    weight = torch.from_numpy(table.decode())
    weight[150] = 1.5
    x = torch.randn(4, 2, 65, requires_grad=True)
    found = products.project(x, *arguments(table), torch.full((65,), 1.5), 150)
    torch.testing.assert_close(found, x @ weight.T, rtol=1e-5, atol=1e-5)
    gradient = torch.randn_like(found)
    (own,) = torch.autograd.grad(found, x, gradient)
    torch.testing.assert_close(own, gradient @ weight, rtol=1e-5, atol=1e-4)
