from __future__ import annotations

import itertools

import numpy as np
import pytest

import emcomp
from emcomp import _core
from emcomp.codec import parse_codec
from emcomp.dccl import DeepCompositionalCodes
from emcomp.errors import FormatError, InputError
from emcomp.sources import ArraySource

QUICK = "epochs=2,batch=16,refine=2"


def table(rows, dim, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dim, dim)) / np.sqrt(dim)
    return (rng.standard_normal((rows, dim)) @ mixing).astype(np.float32)


def random_parameters(dim, codes, codewords, rng, dtype=np.float64):
    logits, hidden = codes * codewords, codes * codewords // 2
    shapes = [(hidden, dim), (1, hidden), (logits, hidden), (1, logits), (logits, dim)]
    return tuple((0.5 * rng.standard_normal(shape)).astype(dtype) for shape in shapes)


def reference_loss(X, noise, parameters, codes):
    """The definition, step by step (Shu & Nakayama 2018, section 4)."""
    W1, b1, W2, b2, codebooks = parameters
    hidden = np.tanh(X @ W1.T + b1)
    logits = np.log(np.logaddexp(0, hidden @ W2.T + b2) + 1e-8)
    gumbel = -np.log(-np.log(noise + 1e-20) + 1e-20)
    scores = (logits + gumbel).reshape(len(X), codes, -1)
    soft = np.exp(scores - scores.max(axis=2, keepdims=True))
    soft /= soft.sum(axis=2, keepdims=True)
    return 0.5 * ((soft.reshape(len(X), -1) @ codebooks - X) ** 2).sum() / len(X)


@pytest.mark.parametrize(("dim", "codes", "codewords"), [(1, 1, 2), (5, 3, 4), (9, 1, 8)])
def test_gradient_is_that_of_finite_differences(dim, codes, codewords):
    rng = np.random.default_rng(dim)
    parameters = random_parameters(dim, codes, codewords, rng)
    X = rng.standard_normal((35, dim))
    noise = rng.random((35, codes * codewords))
    loss, squared_norm, gradients = _core.compositional_gradient(
        X, noise, parameters, codes, codewords, 2
    )
    assert loss == pytest.approx(reference_loss(X, noise, parameters, codes), rel=1e-12)
    assert squared_norm == pytest.approx(sum((g**2).sum() for g in gradients), rel=1e-12)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            parameter[index] = kept + 1e-5
            above = reference_loss(X, noise, parameters, codes)
            parameter[index] = kept - 1e-5
            below = reference_loss(X, noise, parameters, codes)
            parameter[index] = kept
            assert gradient[index] == pytest.approx((above - below) / 2e-5, abs=2e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_is_that_of_autograd(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    dim, codes, codewords, batch = 17, 7, 8, 65
    parameters = random_parameters(dim, codes, codewords, rng, dtype)
    X = rng.standard_normal((batch, dim)).astype(dtype)
    noise = rng.random((batch, codes * codewords)).astype(dtype)
    loss, _, gradients = _core.compositional_gradient(X, noise, parameters, codes, codewords, 1)

    tensors = [torch.tensor(p.astype(np.float64), requires_grad=True) for p in parameters]
    W1, b1, W2, b2, codebooks = tensors
    rows, uniform = (torch.tensor(a.astype(np.float64)) for a in (X, noise))
    hidden = torch.tanh(rows @ W1.T + b1)
    logits = torch.log(torch.nn.functional.softplus(hidden @ W2.T + b2) + 1e-8)
    gumbel = -torch.log(-torch.log(uniform + 1e-20) + 1e-20)
    soft = torch.softmax((logits + gumbel).reshape(batch, codes, codewords), dim=2)
    expected = 0.5 * ((soft.reshape(batch, -1) @ codebooks - rows) ** 2).sum() / batch
    expected.backward()
    tolerance = 1e-11 if dtype == np.float64 else 2e-4
    assert loss == pytest.approx(expected.item(), rel=tolerance)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        wanted = tensor.grad.numpy()
        assert np.abs(gradient - wanted).max() <= tolerance * np.abs(wanted).max()


def test_gradient_does_not_depend_on_threads():
    rng = np.random.default_rng(4)
    parameters = random_parameters(65, 9, 16, rng, np.float32)
    X = rng.standard_normal((300, 65)).astype(np.float32)
    noise = rng.random((300, 144)).astype(np.float32)
    first, *others = (
        _core.compositional_gradient(X, noise, parameters, 9, 16, threads) for threads in (1, 2, 3)
    )
    for other in others:
        assert other[:2] == first[:2]
        for a, b in zip(first[2], other[2], strict=True):
            np.testing.assert_array_equal(a, b)


def philox(counter, key):
    """Philox 4x32-10, from its definition."""
    mask = 2**32 - 1
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


@pytest.mark.parametrize("clip_norm", [0.0, 0.001])
def test_steps_are_those_of_adam(clip_norm):
    """Batches of all rows: the order does not matter to the gradient, and noise goes by place."""
    dim, codes, codewords, rows, seed = 6, 3, 4, 8, 5
    X = table(rows, dim)
    trainer = _core.CompositionalTrainer(X, codes, codewords, rows, 1e-2, clip_norm, False, seed)
    values = [p.astype(np.float64) for p in trainer.parameters]
    assert all(np.abs(p).max() <= 0.01 for p in values)
    means = [np.zeros_like(p) for p in values]
    variances = [np.zeros_like(p) for p in values]
    for step in range(1, 6):
        order = list(range(rows))
        for i in range(rows - 1, 0, -1):
            four = philox([(step - 1) * rows + i, 0, 0, 2], [seed, 0])
            other = ((four[0] << 32) | four[1]) % (i + 1)
            order[i], order[other] = order[other], order[i]
        noise = np.array(
            [
                [
                    number >> 8
                    for group in range(codes * codewords // 4)
                    for number in philox([(step - 1) * rows + row, 0, group, 0], [seed, 0])
                ]
                for row in range(rows)
            ]
        ) * (2.0**-24)
        _, squared_norm, gradients = _core.compositional_gradient(
            X[order].astype(np.float64), noise, tuple(values), codes, codewords, 1
        )
        norm = np.sqrt(squared_norm)
        scale = clip_norm / norm if 0 < clip_norm < norm else 1.0
        for value, mean, variance, gradient in zip(
            values, means, variances, gradients, strict=True
        ):
            mean += 0.1 * (scale * gradient - mean)
            variance += 0.001 * ((scale * gradient) ** 2 - variance)
            rate = 1e-2 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            value -= rate * mean / (np.sqrt(variance) + 1e-8)
        trainer.train(1, 2)
        for value, found in zip(values, trainer.parameters, strict=True):
            np.testing.assert_allclose(found, value, rtol=0, atol=2e-4)


def test_steps_in_one_call_or_many_are_the_same():
    X = table(50, 7)
    whole, parts = (_core.CompositionalTrainer(X, 2, 4, 16, 1e-2, 0.0, False, 1) for _ in range(2))
    whole.train(7, 1)
    for steps in (1, 4, 2):
        parts.train(steps, 3)
    assert whole.steps_per_epoch == 3
    for a, b in zip(whole.parameters, parts.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_best_parameters_come_back():
    trainer = _core.CompositionalTrainer(table(100, 5), 2, 4, 10, 1e-2, 0.0, True, 0)
    trainer.train(20, 1)
    trainer.keep()
    kept, loss = trainer.parameters, trainer.validation_loss(1)
    trainer.train(20, 1)
    assert trainer.validation_loss(1) != loss
    trainer.restore()
    assert trainer.validation_loss(2) == loss
    for a, b in zip(kept, trainer.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_encoder_takes_the_largest_logit():
    X = table(700, 9).astype(np.float16)
    trainer = _core.CompositionalTrainer(X, 5, 8, 32, 1e-2, 0.0, True, 0)
    trainer.train(60, 1)
    W1, b1, W2, b2, _ = (p.astype(np.float64) for p in trainer.parameters)
    logits = (np.tanh(X.astype(np.float64) @ W1.T + b1) @ W2.T + b2).reshape(len(X), 5, 8)
    codes = np.empty((len(X), 5), np.uint8)
    trainer.encoder.encode(X, codes, 2)
    best = logits.max(axis=2)
    chosen = np.take_along_axis(logits, codes[:, :, None].astype(int), axis=2)[:, :, 0]
    np.testing.assert_allclose(chosen, best, rtol=0, atol=1e-5)
    assert len(np.unique(codes)) > 4


def squared_error(X, codes, codebooks):
    total = X.astype(np.float64)
    for m, codebook in enumerate(codebooks):
        total = total - codebook[codes[:, m]].astype(np.float64)
    return (total**2).sum()


def test_least_squares_codebooks_are_those_of_lstsq():
    rng = np.random.default_rng(0)
    X, codes = table(400, 7), rng.integers(0, 4, (400, 3)).astype(np.uint8)
    whole, first, second = (_core.AdditiveStatistics(7, 3, 4) for _ in range(3))
    whole.update(X, codes, 3)
    first.update(X[:150], codes[:150], 1)
    second.update(X[150:], codes[150:], 2)
    first.merge(second)
    before = np.zeros((3, 4, 7), np.float32)
    found = whole.solve(before, 2)
    np.testing.assert_array_equal(found, first.solve(before, 1))
    indicators = np.zeros((400, 12))
    for m in range(3):
        indicators[np.arange(400), 4 * m + codes[:, m]] = 1
    best = X - indicators @ np.linalg.lstsq(indicators, X.astype(np.float64), rcond=None)[0]
    assert squared_error(X, codes, found) == pytest.approx((best**2).sum(), rel=1e-6)


def test_codewords_without_rows_stay():
    X, codes = table(40, 5), np.zeros((40, 2), np.uint8)
    codes[:, 0] = np.arange(40) % 2
    statistics = _core.AdditiveStatistics(5, 2, 4)
    statistics.update(X, codes, 1)
    before = table(8, 5, seed=1).reshape(2, 4, 5)
    after = statistics.solve(before, 1)
    np.testing.assert_allclose(after[0, 2:], before[0, 2:], rtol=1e-6)
    np.testing.assert_allclose(after[1, 1:], before[1, 1:], rtol=1e-6)


def test_search_ends_where_no_single_code_helps():
    X, codebooks = table(130, 9), 0.5 * table(4 * 8, 9, seed=1).reshape(4, 8, 9)
    search = _core.AdditiveSearch(codebooks, 1)
    codes = np.zeros((130, 4), np.uint8)
    search.pursue(X, codes, 1)
    pursued = squared_error(X, codes, codebooks)
    error = search.improve(X, 0, 0, 0, codes, 2)
    assert error == pytest.approx(squared_error(X, codes, codebooks), rel=1e-5)
    assert error <= pursued * (1 + 1e-6)
    sums = sum(codebooks[m][codes[:, m]] for m in range(4)).astype(np.float64)
    own = ((X - sums) ** 2).sum(axis=1)
    for m, k in itertools.product(range(4), range(8)):
        other = ((X - sums + codebooks[m][codes[:, m]] - codebooks[m][k]) ** 2).sum(axis=1)
        assert (other >= own - 1e-4).all()


def test_restarts_come_near_the_best_codes():
    X, codebooks = table(60, 6), 0.6 * table(3 * 4, 6, seed=1).reshape(3, 4, 6)
    search = _core.AdditiveSearch(codebooks, 1)
    all_codes = np.array(list(itertools.product(range(4), repeat=3)))
    sums = sum(codebooks[m][all_codes[:, m]] for m in range(3))
    best = ((X[:, None] - sums[None]) ** 2).sum(axis=2).min(axis=1).sum()
    errors = []
    for restarts in (0, 1, 50):
        codes = np.zeros((60, 3), np.uint8)
        errors.append(search.improve(X, 0, restarts, 0, codes, 1))
    assert best * (1 - 1e-6) < errors[2] < errors[1] < errors[0]
    assert errors[2] < 1.05 * best


def test_search_depends_on_row_and_seed_alone():
    X, codebooks = table(300, 16), 0.3 * table(8 * 16, 16, seed=1).reshape(8, 16, 16)
    search = _core.AdditiveSearch(codebooks, 2)

    def improved(threads, seed=0, cut=None):
        codes = np.zeros((300, 8), np.uint8)
        for rows in [slice(0, 300)] if cut is None else [slice(0, cut), slice(cut, 300)]:
            search.improve(X[rows], rows.start, 3, seed, codes[rows], threads)
        return codes

    first = improved(1)
    for other in (improved(2), improved(3), improved(2, cut=77)):
        np.testing.assert_array_equal(first, other)
    assert (first != improved(1, seed=1)).any()


@pytest.mark.parametrize(
    ("rows", "dim", "codewords", "expected"),
    [
        (400_000, 300, (4, 4, 8), (143, 286, 376)),
        (999_994, 300, (8, 4, 8), (98, 294, 390)),
        (400_001, 400, (4, 4, 8), (188, 376, 491)),
    ],
)
def test_codes_for_a_budget_are_those_of_may(rows, dim, codewords, expected):
    for bits, words, codes in zip((1, 2, 4), codewords, expected, strict=True):
        codec = parse_codec(f"dccl:{bits}(codewords={words})")
        assert codec.layout((rows, dim)) == (codes, words)
        entries = 8 * codec.nbytes((rows, dim)) / (rows * dim)
        assert entries == pytest.approx(bits, rel=0.02)
    assert parse_codec("dccl:1").layout((400_000, 300)) == (143, 4)


@pytest.mark.parametrize(
    "text", ["dccl:32x16", "dccl:2", "dccl:1(codewords=8)", "dccl:4x2(preset=published,epochs=3)"]
)
def test_strings_go_there_and_back(text):
    assert str(parse_codec(text)) == text
    assert parse_codec(str(parse_codec(text))) == parse_codec(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dccl", "dccl:codesxcodewords or dccl:bits"),
        ("dccl:1x2x3", "whole numbers"),
        ("dccl:0x4", "codes must be"),
        ("dccl:4x1", "codewords must be"),
        ("dccl:4x512", "codewords must be"),
        ("dccl:4x12", "power of two"),
        ("dccl:9", "bits must be"),
        ("dccl:4x4(preset=best)", "preset must be"),
        ("dccl:4x4(learning_rate=0)", "learning_rate must be"),
        ("dccl:4x4(learning_rate=nan)", "learning_rate must be"),
        ("dccl:4x4(clip_norm=high)", "clip_norm must be"),
        ("dccl:4x4(batch=0)", "batch must be"),
        ("dccl:4x4(epochs=-1)", "epochs must be"),
        ("dccl:4x4(refine=1.5)", "refine must be"),
        ("dccl:4x4(bits=2)", "codes and codewords, or bits"),
    ],
)
def test_bad_settings_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_codec(text)


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="fewer codewords"):
        emcomp.compress(table(10, 4), "dccl:2x16")
    with pytest.raises(InputError, match="fewer codewords"):
        emcomp.compress(table(100, 4), "dccl:2x16(sample=8)")
    with pytest.raises(InputError, match="single codebook"):
        emcomp.compress(table(10, 4), "dccl:1")
    X = table(50, 4)
    X[7, 2] = np.nan
    with pytest.raises(InputError, match="row 7, column 2"):
        emcomp.compress(X, "dccl:2x4")


def test_divergence_is_reported():
    with pytest.raises(InputError, match="diverged in step 1: use a lower learning_rate"):
        emcomp.compress(1e30 * table(100, 8), "dccl:2x4(preset=published,epochs=1)")


def decode(found, codes, codewords):
    """Rows from the tensors, bit by bit."""
    width = codewords.bit_length() - 1
    bits = np.unpackbits(found.tensors["codes"], axis=1, bitorder="little")
    assert not bits[:, codes * width :].any()
    groups = bits[:, : codes * width].reshape(len(bits), codes, width).astype(np.int64)
    numbers = (groups << np.arange(width)).sum(axis=2)
    books = found.tensors["codebooks"]
    rows = books[0][numbers[:, 0]]
    for m in range(1, codes):
        rows = rows + books[m][numbers[:, m]]
    return rows


@pytest.mark.parametrize(
    ("dim", "codes", "codewords"),
    [(1, 1, 2), (7, 3, 2), (8, 5, 8), (63, 2, 32), (65, 3, 128), (257, 2, 256), (64, 9, 4)],
)
def test_rows_are_sums_of_codewords(dim, codes, codewords):
    X = table(300, dim)
    found = emcomp.compress(X, f"dccl:{codes}x{codewords}({QUICK})", threads=2)
    rows = decode(found, codes, codewords)
    np.testing.assert_array_equal(found.decode(), rows)
    ids = np.array([299, 0, 17, 17])
    np.testing.assert_array_equal(found.lookup(ids), rows[ids])
    np.testing.assert_array_equal(found[5], rows[5])
    np.testing.assert_allclose(found.bag(ids, [0, 3])[0], rows[ids[:3]].sum(axis=0), atol=1e-5)
    assert found.nbytes == found.codec.nbytes(X.shape)


def test_similar_rows_are_those_of_the_decoded_table():
    X = table(200, 12)
    found = emcomp.compress(X, f"dccl:6x8({QUICK})")
    rows = decode(found, 6, 8).astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ids, cosines = _similar(found, X[3])
    expected = unit @ (X[3] / np.linalg.norm(X[3]))
    np.testing.assert_allclose(cosines, np.sort(expected)[::-1][:5], atol=1e-6)
    np.testing.assert_allclose(expected[ids], cosines, atol=1e-6)


def _similar(found, query):
    reader = found.codec.reader(found.shape, found.tensors)
    ids, cosines = reader.similar(query[None], 5, 1)
    return ids[0], cosines[0]


@pytest.mark.parametrize("preset", ["fast", "published"])
def test_threads_do_not_matter_and_seeds_do(preset):
    X = table(400, 33)
    codec = f"dccl:5x8(preset={preset},epochs=2"
    first, *others = (emcomp.compress(X, codec + ")", threads=t) for t in (1, 2, 3))
    for other in others:
        for name, tensor in first.tensors.items():
            np.testing.assert_array_equal(tensor, other.tensors[name])
    seeded = emcomp.compress(X, codec + ",seed=1)")
    assert (seeded.tensors["codebooks"] != first.tensors["codebooks"]).any()


def test_training_learns_without_refinement():
    centres = table(16, 20)
    X = np.repeat(centres, 40, axis=0)
    codec = "dccl:4x4(epochs=60,batch=32,learning_rate=0.003,patience=0,refine=0)"
    found = emcomp.compress(X, codec)
    assert ((found.decode() - X) ** 2).sum() < 0.35 * (X**2).sum()
    assert found.info["epochs"] == 60


def test_refinement_never_raises_the_error():
    X = table(600, 24)
    found = emcomp.compress(X, "dccl:6x8(epochs=3,refine=6)")
    errors = found.info["refined_squared_error"]
    assert len(errors) == 6
    assert all(b <= a * (1 + 1e-5) for a, b in itertools.pairwise(errors))
    final = ((found.decode().astype(np.float64) - X) ** 2).sum()
    assert final <= errors[-1] * (1 + 1e-5)
    plain = emcomp.compress(X, "dccl:6x8(epochs=3,refine=0)")
    assert final < 0.7 * ((plain.decode().astype(np.float64) - X) ** 2).sum()


def test_patience_ends_training():
    found = emcomp.compress(table(80, 6), "dccl:2x2(epochs=5000,patience=2,refine=0)")
    assert found.info["epochs"] < 5000
    assert found.info["epochs"] == found.info["best_epoch"] + 2


def test_a_sample_teaches_all_rows():
    X = table(2000, 16)
    found = emcomp.compress(X, f"dccl:8x8(sample=1000,{QUICK})")
    errors = ((found.decode() - X) ** 2).sum(axis=1) / (X**2).sum(axis=1)
    assert np.median(errors) < 0.45
    assert found.codec.nbytes(X.shape) == found.nbytes


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((40, 5), np.float32),
        np.full((40, 5), 3.0, np.float32),
        np.repeat(table(2, 5), 20, axis=0),
    ],
    ids=["zeros", "constant", "duplicates"],
)
def test_degenerate_tables_come_back(X):
    found = emcomp.compress(X, "dccl:3x4(epochs=1,refine=6)")
    np.testing.assert_allclose(found.decode(), X, atol=2e-2)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_types_and_strides_give_the_same(dtype):
    X = table(100, 10).astype(np.float16)
    expected = emcomp.compress(X.astype(np.float32), f"dccl:3x8({QUICK})")
    wide = np.zeros((100, 20), dtype)
    wide[:, ::2] = X
    found = emcomp.compress(wide[:, ::2], f"dccl:3x8({QUICK})")
    np.testing.assert_array_equal(found.tensors["codes"], expected.tensors["codes"])


def test_saved_tables_open(tmp_path):
    X = table(300, 20)
    found = emcomp.compress(X, f"dccl:1({QUICK})")
    found.save(tmp_path / "table.emcomp")
    opened = emcomp.open(tmp_path / "table.emcomp")
    assert str(opened.codec) == f"dccl:1({QUICK})"
    np.testing.assert_array_equal(opened.decode(), found.decode())


def test_tensors_that_do_not_fit_are_refused():
    codec = DeepCompositionalCodes(4, 8)
    tensors = {
        "codes": np.zeros((10, 2), np.uint8),
        "codebooks": np.zeros((4, 8, 6), np.float32),
    }
    assert codec.reader((10, 6), tensors).dim == 6
    for name, bad in [
        ("codes", np.zeros((10, 1), np.uint8)),
        ("codebooks", np.zeros((4, 4, 6), np.float32)),
        ("codebooks", np.zeros((4, 8, 6))),
    ]:
        with pytest.raises(FormatError, match=name):
            codec.reader((10, 6), {**tensors, name: bad})
    with pytest.raises(FormatError, match="missing"):
        codec.reader((10, 6), {"codes": tensors["codes"]})


@pytest.mark.parametrize("phase", ["train", "refine", "encode"])
def test_interruption_leaves_everything_usable(phase):
    X = table(200, 8)
    calls = []

    def stop(current, done, total):
        calls.append((current, done, total))
        assert 0 <= done <= total
        if current == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emcomp.compress(X, f"dccl:3x4({QUICK})", progress=stop)
    again = emcomp.compress(ArraySource(X), f"dccl:3x4({QUICK})")
    np.testing.assert_array_equal(again.decode(), emcomp.compress(X, f"dccl:3x4({QUICK})").decode())


def test_published_settings_train_on_the_rows_as_they_are():
    """Other settings do not depend on the table's scale."""
    X = table(300, 10)
    for preset, same in (("fast", True), ("published", False)):
        codec = f"dccl:3x8(preset={preset},epochs=3,refine=0)"
        plain, scaled = (emcomp.compress(c * X, codec).tensors for c in (1, 64))
        assert np.array_equal(plain["codes"], scaled["codes"]) == same
        assert np.array_equal(64 * plain["codebooks"], scaled["codebooks"]) == same
