"""What all transforms have in common: reading, files, sizes, shapes, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import emcomp
from emcomp import InputError, _core, parse_codec
from emcomp.engine.base import Engine
from emcomp.io.sources.base import ArraySource, block_rows
from emcomp.transforms.linear import LatentSource, Transformed

CODECS = [
    "svd:5",
    "svd:5(map_dtype=float16)+float:16",
    "svd:5+uniform:8",
    "rotate+uniform:4",
    "rotate(scales=row)+uniform:4",
    "whiten+uniform:4",
    "whiten(1.0,centre=none,scales=none,map_dtype=float32)+uniform:3",
    "direction:5+uniform:8",
    "direction:6+rotate(scales=row)+uniform:6",
    "whiten(scales=none)+rotate+uniform:4(granularity=row)",
    "whiten+kmeans:3",
    "rotate+pq:3x4",
    "autoencoder:5(epochs=2,batch=16)+uniform:8",
    "principal+allocate:3",
    "principal(0.5)+allocate:0.85",
    "principal(0.0,centre=none,scales=none)+allocate:1",
]


def table(rows: int = 300, dim: int = 9) -> NDArray[np.float32]:
    rng = np.random.default_rng(5)
    spectrum = np.arange(1, dim + 1) ** -0.7
    return (rng.standard_normal((rows, dim)) * spectrum + 0.3).astype(np.float32)


@pytest.fixture(scope="module", params=CODECS)
def compressed(request: Any) -> emcomp.CompressedEmbedding:
    return emcomp.compress(table(dim=37), request.param)


def formula(compressed: emcomp.CompressedEmbedding) -> NDArray[np.float64]:
    """``scale * latents @ map + offset`` from the tensors alone."""
    codec, tensors = compressed.codec, dict(compressed.tensors)
    rows, dim = compressed.shape
    if not isinstance(codec, Transformed):
        return emcomp.CompressedEmbedding(codec, compressed.shape, tensors).decode().astype(float)
    own = {
        name.removeprefix("transform."): tensors.pop(name)
        for name in list(tensors)
        if name.startswith("transform.") and not name.startswith("transform.transform.")
    }
    inner = {name.removeprefix("transform."): tensor for name, tensor in tensors.items()}
    latents = formula(
        emcomp.CompressedEmbedding(codec.latents, (rows, codec.transform.latent_dim(dim)), inner)
    )
    if codec.transform.name == "rotate":
        eye = np.eye(dim, dtype=np.float32)
        decoder = _core.rotation(dim, codec.transform.seed, True).apply(eye)
    else:
        decoder = own["map"]
    scales = own["scales"].astype(float)[:, None] if "scales" in own else 1.0
    gain = own["gain"][0] if "gain" in own else 1.0
    offset = own.get("offset", 0.0)
    return gain * scales * (latents @ decoder.astype(float)) + offset


def test_rows_are_scaled_mapped_latents_and_an_offset(
    compressed: emcomp.CompressedEmbedding,
) -> None:
    np.testing.assert_allclose(compressed.decode(), formula(compressed), rtol=1e-4, atol=1e-5)


def test_a_row_is_the_same_bits_however_it_is_asked_for(
    compressed: emcomp.CompressedEmbedding,
) -> None:
    rng = np.random.default_rng(1)
    rows = compressed.decode()
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(compressed.decode(threads=threads), rows)
    ids = np.concatenate((rng.integers(-300, 300, 1000), [0, 299, -300]))
    np.testing.assert_array_equal(compressed.lookup(ids, threads=2), rows[ids])
    for i in (0, 1, 63, 64, 299, -1):
        np.testing.assert_array_equal(compressed[i], rows[i])
    for first, count in ((0, 1), (5, 2), (7, 65), (298, 2), (3, 0)):
        np.testing.assert_array_equal(compressed.decode(first, count), rows[first : first + count])
    half = compressed.lookup([7, 9, 11], dtype=np.float16)
    np.testing.assert_array_equal(half, rows[[7, 9, 11]].astype(np.float16))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_agree_with_rows(compressed: emcomp.CompressedEmbedding, mode: Any) -> None:
    rng = np.random.default_rng(1)
    rows = compressed.decode().astype(np.float64)
    sizes = [0, 1, 3, 64, 65, 130, 0]
    ids = rng.integers(-300, 300, sum(sizes))
    offsets = np.cumsum([0, *sizes[:-1]])
    got = compressed.bag(ids, offsets, mode=mode)
    reduce = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode]
    for bag, (first, size) in enumerate(zip(offsets, sizes, strict=True)):
        expected = (
            reduce(rows[ids[first : first + size]], axis=0) if size else np.zeros(rows.shape[1])
        )
        np.testing.assert_allclose(got[bag], expected, rtol=1e-4, atol=1e-4)
    if mode == "sum":
        weights = rng.standard_normal(ids.size).astype(np.float32)
        got = compressed.bag(ids, offsets, weights=weights)
        for bag, (first, size) in enumerate(zip(offsets, sizes, strict=True)):
            part = slice(first, first + size)
            np.testing.assert_allclose(
                got[bag], weights[part].astype(float) @ rows[ids[part]], rtol=1e-4, atol=1e-3
            )


def test_similar_agrees_with_rows(compressed: emcomp.CompressedEmbedding) -> None:
    rng = np.random.default_rng(1)
    rows = compressed.decode().astype(np.float64)
    query = rng.standard_normal(rows.shape[1]).astype(np.float32)
    cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    found = compressed.similar(query, 300)
    np.testing.assert_allclose([c for _, c in found], np.sort(cosines)[::-1], atol=2e-6)
    np.testing.assert_allclose([c for _, c in found], cosines[[i for i, _ in found]], atol=2e-6)


def test_files_bring_back_the_same_rows_and_bytes(
    compressed: emcomp.CompressedEmbedding, tmp_path: Path
) -> None:
    path = tmp_path / "table.emcomp"
    compressed.save(path)
    opened = emcomp.open(path)
    assert opened.codec == compressed.codec
    assert opened.info == compressed.info
    np.testing.assert_array_equal(opened.decode(), compressed.decode())
    opened.save(tmp_path / "again.emcomp")
    assert (tmp_path / "again.emcomp").read_bytes() == path.read_bytes()


def test_sizes_are_known_beforehand(compressed: emcomp.CompressedEmbedding) -> None:
    assert compressed.nbytes == compressed.codec.nbytes(compressed.shape)


@pytest.mark.parametrize("codec", CODECS)
def test_tables_do_not_depend_on_threads_or_block_sizes(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = table(3000, 13)
    expected = emcomp.compress(X, codec, threads=1)
    for threads, block_bytes in ((2, 64 << 20), (3, 4 * 13 * 512)):
        monkeypatch.setattr("emcomp.io.sources.base.BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(block_rows, "__defaults__", (block_bytes,))
        got = emcomp.compress(X, codec, threads=threads)
        for name, tensor in expected.tensors.items():
            np.testing.assert_array_equal(got.tensors[name], tensor, err_msg=name)


@pytest.mark.parametrize("codec", ["svd:4", "whiten+uniform:4", "direction:4+uniform:6"])
@pytest.mark.parametrize("kind", ["<f2", ">f2", ">f4", "<f8", ">f8", "bfloat16", "strided"])
def test_any_type_and_layout_gives_the_table_of_its_values(codec: str, kind: str) -> None:
    values = table(200, 7).astype(ml_dtypes.bfloat16).astype(np.float16).astype(np.float32)
    if kind == "bfloat16":
        X: NDArray[Any] = values.astype(ml_dtypes.bfloat16)
        values = X.astype(np.float32)
    elif kind == "strided":
        X = np.repeat(np.repeat(values, 2, axis=0), 3, axis=1)[::-2, ::-3][::-1, ::-1]
    else:
        X = values.astype(kind)
    X.flags.writeable = False
    np.testing.assert_array_equal(X.astype(np.float32), values)
    got, expected = emcomp.compress(X, codec), emcomp.compress(values, codec)
    for name, tensor in expected.tensors.items():
        np.testing.assert_array_equal(got.tensors[name], tensor, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 40),
    dim=st.sampled_from([1, 2, 3, 7, 8, 9, 16, 63, 64, 65, 257]),
    codec=st.sampled_from(
        [
            "svd:1",
            "direction:1",
            "rotate+float:32",
            "rotate(scales=row)+float:32",
            "whiten+float:32",
            "whiten(1,centre=none)+float:32",
        ]
    ),
    kind=st.sampled_from(["random", "zeros", "constant columns", "rank one", "huge", "tiny"]),
    seed=st.integers(0, 99),
)
def test_any_table_comes_back_as_well_as_it_can(
    rows: int, dim: int, codec: str, kind: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    X = random.standard_normal((rows, dim)).astype(np.float32)
    if kind == "zeros":
        X[:] = 0
    elif kind == "constant columns":
        X[:, ::2] = 3
    elif kind == "rank one":
        X[:] = X[:, :1] * X[:1]
    elif kind in ("huge", "tiny"):
        X *= np.float32(1e12 if kind == "huge" else 1e-12)
        codec = codec.replace("whiten+", "whiten(map_dtype=float32)+")
        codec = codec.replace("centre=none)", "centre=none,map_dtype=float32)")
    rebuilt = emcomp.compress(X, codec).decode().astype(np.float64)
    assert np.isfinite(rebuilt).all()
    if "float:32" in codec or kind in ("zeros", "rank one") or dim == 1:
        scale = np.abs(X).max() or 1.0
        tolerance = 2e-3 if "whiten" in codec else 1e-5
        assert np.abs(rebuilt - X).max() <= tolerance * scale


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("svd:10", "10 latents of rows with 9 entries"),
        ("pca:10", "from 1 to 9"),
        ("direction:10+uniform:4", "10 latents"),
        ("svd:4+direction:5", "5 latents of rows with 4 entries"),
        ("svd:4+uniform:4(granularity=5)", "group of 5 columns"),
        ("rotate+pca:4", "put that first"),
        ("pca:4+pca:2", "put that first"),
    ],
)
def test_what_does_not_fit_the_table_is_refused(codec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        emcomp.compress(table(), codec)


@pytest.mark.parametrize("codec", CODECS)
def test_entries_that_are_not_finite_are_named(codec: str) -> None:
    X = table()
    X[17, 3] = np.nan
    X[250, 8] = np.inf
    with pytest.raises(InputError, match=r"2 of .* row 17, column 3"):
        emcomp.compress(X, codec)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("transform.map", None),
        ("transform.map", lambda tensor: tensor[:, :-1]),
        ("transform.offset", lambda tensor: tensor[:-1]),
        ("transform.scales", lambda tensor: tensor.astype(np.float32)),
        ("transform.scales", lambda tensor: tensor[:-1]),
        ("codes", None),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, change: Any) -> None:
    whole = emcomp.compress(table(), "whiten+uniform:4")
    tensors = dict(whole.tensors)
    tensor = tensors.pop(name)
    if change is not None:
        tensors[name] = change(tensor)
    with pytest.raises(emcomp.FormatError, match=name.removeprefix("transform.")):
        emcomp.CompressedEmbedding(whole.codec, whole.shape, tensors)


def test_latents_are_read_block_by_block() -> None:
    X = table(1000, 300)

    class Recording(ArraySource):
        most = 0

        def read(self, first: int, count: int) -> NDArray[Any]:
            self.most = max(self.most, count)
            return super().read(first, count)

    codec = parse_codec("rotate+uniform:4")
    assert isinstance(codec, Transformed)
    source = Recording(X)
    fitted = codec.transform.fit(source, Engine(1))
    latents = LatentSource(source, fitted, 1)
    whole = latents.read(0, 1000)
    np.testing.assert_array_equal(latents.read(100, 300), whole[100:400])
    assert whole.dtype == np.float32
    assert source.most <= block_rows(300)
