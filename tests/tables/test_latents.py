"""Column spans of compressed tables, from their latents."""

import numpy as np
import pytest

import emcomp
from emcomp import measures as m

LOW_RANK = [
    "svd:7",
    "svd:5(map_dtype=float16)+float:16",
    "direction:9+uniform:4",
    "svd:8+rotate(scales=row)+kmeans:3",
]


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("codec", LOW_RANK)
def test_spans_of_low_rank_tables_are_those_of_their_latents(codec, centred):
    X = (np.random.default_rng(3).standard_normal((700, 24)) + 0.5).astype(np.float32)
    Y = (X + np.random.default_rng(4).standard_normal(X.shape)).astype(np.float32)
    table = emcomp.compress(X, codec)
    tensors = {
        k.removeprefix("transform."): v for k, v in table.tensors.items() if k != "transform.map"
    }
    k = table.codec.transform.k
    latents = emcomp.CompressedEmbedding(table.codec.latents, (700, k), tensors).decode()
    decoded = latents.astype(float) @ table.tensors["transform.map"].astype(float)

    def left(matrix):
        matrix = matrix.astype(float) - (matrix.mean(axis=0, dtype=float) if centred else 0)
        u, s, _ = np.linalg.svd(matrix, full_matrices=False)
        return u[:, s > s[0] * 1e-10]

    overlap = left(Y).T @ left(decoded)
    expected = float(np.square(overlap).sum()) / 24
    assert m.eos(Y, table, centred=centred) == pytest.approx(expected, abs=1e-10)
    assert m.eos(table, Y, centred=centred) == pytest.approx(expected, abs=1e-10)
    angles = np.degrees(np.arccos(np.linalg.svd(overlap, compute_uv=False)))
    np.testing.assert_allclose(m.principal_angles(Y, table, centred=centred), angles, atol=1e-6)


@pytest.mark.parametrize("k", [1, 6, 23])
def test_a_factorization_keeps_its_share_of_the_overlap_exactly(k):
    X = np.random.default_rng(3).standard_normal((200, 24)).astype(np.float32)
    assert m.eos(X, emcomp.compress(X, f"svd:{k}")) == pytest.approx(k / 24, abs=1e-10)


def test_only_decoders_that_keep_all_latents_pass_on_their_span():
    X = np.random.default_rng(3).standard_normal((200, 8)).astype(np.float32)
    for codec in ("svd:8", "whiten+kmeans:3", "rotate+uniform:4", "pca:3", "uniform:4"):
        table = emcomp.compress(X, codec)
        assert table.codec.latent_factor(table.shape, table.tensors) is None
    table = emcomp.compress(X, "svd:3")
    tensors = dict(table.tensors)
    assert table.codec.latent_factor(table.shape, tensors).width == 3
    tensors["transform.map"] = tensors["transform.map"][[0, 1, 1]]
    assert table.codec.latent_factor(table.shape, tensors) is None


def test_instability_compares_latents_too():
    random = np.random.default_rng(3)
    X, Y, A = (random.standard_normal((300, 12)).astype(np.float32) for _ in range(3))
    table = emcomp.compress(X, "svd:4")
    rows = table.tensors["values"]
    assert m.eis(table, Y, (A, A)) == pytest.approx(m.eis(rows, Y, (A, A)), abs=1e-10)
