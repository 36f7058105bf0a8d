"""``autoencoder:k`` as a codec."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import emcomp
from emcomp import InputError, _core, parse_codec
from emcomp.engine.base import silent
from emcomp.io.sources.base import ArraySource
from emcomp.transforms import Autoencoder
from emcomp.transforms.autoencoder_training import TrainingSettings, train

QUICK = "epochs=2,batch=16"
TRAINED = "batch=16,learning_rate=0.02,decay_epochs=6"  # tables here are small: longer steps


def table(rows=300, dim=24, rank=None, seed=0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0] * np.arange(1, dim + 1) ** -0.7
    if rank is not None:
        basis[:, rank:] = 0.0
    return (rng.standard_normal((rows, dim)) @ basis.T).astype(np.float32)


def cosine_distance(X, rows):
    X, rows = X.astype(np.float64), rows.astype(np.float64)
    lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(rows, axis=1)
    return 1 - np.mean((X * rows).sum(axis=1) / np.maximum(lengths, 1e-30))


def formula(found):
    """Rows from the tensors, for float32 latents."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in found.tensors.items()}
    latents = next(t for name, t in tensors.items() if not name.startswith("transform."))
    return latents @ tensors["transform.map"] + tensors["transform.offset"]


# Settings


@pytest.mark.parametrize(
    "text",
    [
        "autoencoder:75",
        "autoencoder:64+uniform:4",
        "autoencoder:8(epochs=3,rmse_weight=0.5,start=svd,seed=2)+float:16",
    ],
)
def test_strings_go_there_and_back(text):
    assert str(parse_codec(text)) == text
    assert parse_codec(str(parse_codec(text))) == parse_codec(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("autoencoder", "autoencoder:k"),
        ("autoencoder:0", "k must be"),
        ("autoencoder:4(epochs=0)", "epochs must be"),
        ("autoencoder:4(batch=0)", "batch must be"),
        ("autoencoder:4(learning_rate=0)", "learning_rate must be"),
        ("autoencoder:4(learning_rate=nan)", "learning_rate must be"),
        ("autoencoder:4(decay=1.5)", "decay must be"),
        ("autoencoder:4(decay_epochs=0)", "decay_epochs must be"),
        ("autoencoder:4(cosine_weight=-1)", "cosine_weight must be"),
        ("autoencoder:4(rmse_weight=inf)", "rmse_weight must be"),
        ("autoencoder:4(power_weight=much)", "power_weight must be"),
        ("autoencoder:4(last_power=0)", "last_power must be"),
        ("autoencoder:4(power_epochs=0)", "power_epochs must be"),
        ("autoencoder:4(start=best)", "start must be"),
        ("autoencoder:4(activation=relu)", "activation must be"),
        ("autoencoder:4(map_dtype=int8)", "map_dtype must be"),
        ("autoencoder:4(sample=0)", "sample must be"),
        ("autoencoder:4(seed=-1)", "seed must be"),
    ],
)
def test_bad_settings_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_codec(text)


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="25 latents of rows with 24 entries"):
        emcomp.compress(table(), "autoencoder:25")
    X = table()
    X[7, 2] = np.nan
    with pytest.raises(InputError, match="row 7, column 2"):
        emcomp.compress(X, "autoencoder:4")


def test_a_loss_without_any_term_is_refused():
    with pytest.raises(InputError, match="at least one"):
        parse_codec("autoencoder:4(cosine_weight=0,power_weight=0)")


def test_divergence_is_reported():
    with pytest.raises(InputError, match="diverged by step"):
        settings = Autoencoder(4, rmse_weight=1.0, epochs=1).settings
        train(np.float32(1e30) * table(), 4, False, settings, None, 0, 1, silent)


def test_the_published_schedule():
    codec = Autoencoder(75)
    settings = codec.settings
    rates = [settings.rate(epoch) for epoch in range(30)]
    assert rates[:4] == [1e-3] * 4
    assert rates[4:8] == [5e-4] * 4
    assert rates[28:] == pytest.approx([1e-3 / 2**7] * 2)
    powers = [settings.power(epoch) for epoch in range(30)]
    assert powers[:3] == pytest.approx([1.0, 0.955, 0.91])
    assert powers[20:] == pytest.approx([0.1] * 10)
    assert (codec.cosine_weight, codec.rmse_weight, codec.power_weight) == (0.9975 / 5, 0.0, 0.0025)
    assert set(TrainingSettings._fields) < set(codec.__dataclass_fields__)


@pytest.mark.parametrize(("ratio", "k"), [(2.5, 299), (5, 149), (10, 74)])
def test_latents_for_a_ratio(ratio, k):
    shape = (30522, 768)
    codec = Autoencoder.for_ratio(shape, ratio)
    assert codec.k == k
    whole = 4 * shape[0] * shape[1]
    assert whole / codec.then(None).nbytes(shape) >= ratio
    assert whole / Autoencoder(k + 1).then(None).nbytes(shape) < ratio


# Training


def test_a_table_of_low_rank_comes_back():
    X = table(600, 20, rank=5)
    settings = f"epochs=60,{TRAINED},power_weight=0,rmse_weight=1"
    found = emcomp.compress(X, f"autoencoder:5({settings})")
    rows = found.decode()
    assert ((rows - X) ** 2).sum() < 1e-4 * (X**2).sum()
    assert cosine_distance(X, rows) < 1e-4
    assert found.info["losses"][-1] < 0.02 * found.info["losses"][0]


def test_direction_is_kept_better_than_by_svd():
    X = table(1500, 16, seed=4) * np.exp(
        1.5 * np.random.default_rng(4).standard_normal((1500, 1))
    ).astype(np.float32)
    svd = emcomp.compress(X, "svd:4").decode()
    found = emcomp.compress(X, f"autoencoder:4({TRAINED})")
    assert cosine_distance(X, found.decode()) < cosine_distance(X, svd) - 1e-3
    distances = found.info["cosine_distances"]
    assert len(distances) == len(found.info["losses"]) == 30
    assert distances[-1] == pytest.approx(cosine_distance(X, found.decode()), rel=0.05)


def test_a_start_from_singular_vectors_is_no_worse():
    X = table(800, 20)
    random, svd = (
        cosine_distance(X, emcomp.compress(X, f"autoencoder:6(start={s},{TRAINED})").decode())
        for s in ("random", "svd")
    )
    assert svd < random + 1e-3
    first, start = (
        emcomp.compress(X, f"autoencoder:6(epochs=1,start={s})").info["cosine_distances"][0]
        for s in ("random", "svd")
    )
    assert start < 0.7 * first


def test_weights_are_weights():
    """More weight for a term, less of it left."""
    X = table(500, 12)
    plain = emcomp.compress(X, f"autoencoder:4({TRAINED})").decode()
    squared = emcomp.compress(X, f"autoencoder:4({TRAINED},rmse_weight=1)").decode()
    assert ((squared - X) ** 2).sum() < ((plain - X) ** 2).sum()


def test_threads_do_not_matter_and_seeds_do():
    X = table(200, 65)
    codec = f"autoencoder:33({QUICK}"
    first, *others = (emcomp.compress(X, codec + ")", threads=t) for t in (1, 2, 3))
    for other in others:
        for name, tensor in first.tensors.items():
            np.testing.assert_array_equal(tensor, other.tensors[name])
    seeded = emcomp.compress(X, codec + ",seed=1)")
    assert (seeded.tensors["transform.map"] != first.tensors["transform.map"]).any()


def test_a_sample_teaches_all_rows():
    X = table(2000, 16, rank=4)
    found = emcomp.compress(X, f"autoencoder:4(sample=500,{TRAINED})")
    whole = emcomp.compress(X, f"autoencoder:4({TRAINED})")
    assert cosine_distance(X, found.decode()) < 1.3 * cosine_distance(X, whole.decode()) + 0.01
    assert (found.tensors["transform.map"] != whole.tensors["transform.map"]).any()


# Tables and files


@pytest.mark.parametrize(
    ("rows", "dim", "k"),
    [(40, 1, 1), (33, 7, 7), (5, 64, 8), (1, 9, 3), (100, 63, 1), (65, 257, 9)],
)
def test_rows_are_latents_times_the_map_and_the_offset(rows, dim, k):
    X = table(rows, dim)
    found = emcomp.compress(X, f"autoencoder:{k}({QUICK})", threads=2)
    expected = formula(found)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.decode(), expected, atol=1e-5 * scale)
    ids = np.array([rows - 1, 0, 0])
    np.testing.assert_array_equal(found.lookup(ids), found.decode()[ids])
    np.testing.assert_allclose(found.bag(ids, [0])[0], expected[ids].sum(axis=0), atol=1e-4 * scale)
    assert found.nbytes == found.codec.nbytes(X.shape) == 4 * (rows * k + k * dim + dim)


def test_latents_have_no_mean():
    found = emcomp.compress(table() + np.float32(0.5), f"autoencoder:4({QUICK})")
    latents = next(t for name, t in found.tensors.items() if not name.startswith("transform."))
    assert np.abs(latents.mean(axis=0)).max() < 1e-5 * np.abs(latents).max()


@pytest.mark.parametrize("latents", ["float:16", "uniform:8", "rotate(scales=row)+uniform:8"])
def test_latents_can_be_quantized(latents):
    X = table()
    plain = emcomp.compress(X, "autoencoder:6")
    found = emcomp.compress(X, f"autoencoder:6+{latents}")
    difference = ((found.decode() - plain.decode()) ** 2).sum()
    assert 0 < difference < 1e-3 * (X**2).sum()
    assert found.nbytes == found.codec.nbytes(X.shape) < plain.nbytes


def test_a_decoder_in_float16():
    X = table()
    wide = emcomp.compress(X, f"autoencoder:6({QUICK})")
    half = emcomp.compress(X, f"autoencoder:6(map_dtype=float16,{QUICK})")
    np.testing.assert_array_equal(
        half.tensors["transform.map"], wide.tensors["transform.map"].astype(np.float16)
    )
    np.testing.assert_allclose(half.decode(), wide.decode(), atol=5e-3)


def test_similar_rows_are_those_of_the_decoded_table():
    X = table()
    found = emcomp.compress(X, f"autoencoder:6({QUICK})")
    rows = found.decode().astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    reader = found.codec.reader(found.shape, found.tensors)
    ids, cosines = reader.similar(X[3:4], 5, 1)
    expected = unit @ (X[3] / np.linalg.norm(X[3].astype(np.float64)))
    np.testing.assert_allclose(cosines[0], np.sort(expected)[::-1][:5], atol=1e-6)
    np.testing.assert_allclose(expected[ids[0]], cosines[0], atol=1e-6)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((40, 5), np.float32),
        np.full((40, 5), 3.0, np.float32),
        np.repeat(table(2, 5), 20, axis=0),
        np.vstack([np.zeros((3, 5), np.float32), table(37, 5, rank=2)]),
    ],
    ids=["zeros", "constant", "duplicates", "rank"],
)
@pytest.mark.parametrize("start", ["random", "svd"])
def test_degenerate_tables_have_finite_rows(X, start):
    found = emcomp.compress(X, f"autoencoder:3(start={start},epochs=100,{TRAINED})")
    rows = found.decode()
    assert np.isfinite(rows).all()
    live = np.linalg.norm(X, axis=1) > 0
    if live.any():
        assert cosine_distance(X[live], rows[live]) < 0.06


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_types_and_strides_give_the_same(dtype):
    X = table(100, 10).astype(np.float16)
    expected = emcomp.compress(X.astype(np.float32), f"autoencoder:3({QUICK})")
    wide = np.zeros((100, 20), dtype)
    wide[:, ::2] = X
    found = emcomp.compress(wide[:, ::2], f"autoencoder:3({QUICK})")
    np.testing.assert_array_equal(found.decode(), expected.decode())


def test_saved_tables_open(tmp_path):
    found = emcomp.compress(table(), f"autoencoder:6({QUICK})+uniform:4")
    found.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    assert str(opened.codec) == f"autoencoder:6({QUICK})+uniform:4"
    assert opened.info["losses"] == found.info["losses"]
    np.testing.assert_array_equal(opened.decode(), found.decode())


def test_interruption_leaves_everything_usable():
    X = table(200, 8)
    calls = []

    def stop(phase, done, total):
        calls.append((phase, done, total))
        assert 0 <= done <= total
        if phase == "train" and done >= total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emcomp.compress(X, f"autoencoder:3({QUICK},start=svd)", progress=stop)
    again = emcomp.compress(ArraySource(X), f"autoencoder:3({QUICK},start=svd)")
    whole = emcomp.compress(X, f"autoencoder:3({QUICK},start=svd)")
    np.testing.assert_array_equal(again.decode(), whole.decode())


# The ELU variant


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


@pytest.mark.parametrize("level", emcomp._native.available_levels())
def test_elu_is_exact_on_every_instruction_set(level):
    core = importlib.import_module(f"emcomp._core_{level}")
    rng = np.random.default_rng(0)
    magnitudes = 10.0 ** rng.uniform(-40, 3, (300, 17))
    values = (magnitudes * rng.choice([-1, 1], magnitudes.shape)).astype(np.float32)
    values[0, :5] = [0.0, -0.0, -1.0, 1.0, -1e38]
    found = values.copy()
    core.activate_latents(found, np.zeros(17, np.float32), 2)
    np.testing.assert_array_max_ulp(found, elu(values.astype(np.float64)).astype(np.float32), 1)
    ours = values.copy()
    _core.activate_latents(ours, np.zeros(17, np.float32), 1)
    np.testing.assert_array_equal(found, ours)


@pytest.mark.parametrize(("dim", "k"), [(1, 1), (24, 5), (65, 9)])
def test_elu_follows_both_layers(dim, k):
    X = table(200, dim)
    codec = f"autoencoder:{k}(activation=elu,{TRAINED})"
    found = emcomp.compress(X, codec, threads=2)
    latents = next(t for name, t in found.tensors.items() if not name.startswith("transform."))
    assert latents.min() > -1
    expected = elu(formula(found))
    rows = found.decode()
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert rows.min() > -1
    ids = np.array([199, 0, 3, 3])
    np.testing.assert_array_equal(found.lookup(ids), rows[ids])
    sums = np.array([expected[ids[:3]].sum(axis=0), expected[3]])
    np.testing.assert_allclose(found.bag(ids, [0, 3]), sums, atol=1e-5)
    means = np.array([expected[ids[:3]].mean(axis=0), expected[3]])
    np.testing.assert_allclose(found.bag(ids, [0, 3], mode="mean"), means, atol=1e-5)
    weights = np.array([0.5, 2.0, -1.0, 3.0], np.float32)
    weighted = np.array([weights[:3] @ expected[ids[:3]], 3 * expected[3]])
    np.testing.assert_allclose(found.bag(ids, [0, 3], weights=weights), weighted, atol=1e-5)
    largest = np.array([expected[ids[:3]].max(axis=0), expected[3]])
    np.testing.assert_allclose(found.bag(ids, [0, 3], mode="max"), largest, atol=1e-5)
    assert found.nbytes == found.codec.nbytes(X.shape)


def test_elu_learns_and_comes_back_from_a_file(tmp_path):
    X = np.float32(0.3) * table(600, 20)
    codec = f"autoencoder:8({TRAINED},activation=elu)+uniform:8"
    found = emcomp.compress(X, codec)
    linear = emcomp.compress(X, f"autoencoder:8({TRAINED})+uniform:8")
    distance = cosine_distance(X, linear.decode())
    assert cosine_distance(X, found.decode()) < 1.5 * distance
    found.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    assert str(opened.codec) == codec
    np.testing.assert_array_equal(opened.decode(), found.decode())
