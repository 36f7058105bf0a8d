"""Theorems by Monte Carlo, the bound on its own validation experiment, the estimator on data."""

import numpy as np
import pytest

from emcomp import InputError, theory
from emcomp import measures as m
from emcomp.measures import gain_and_noise
from tests.helpers.real_data import DATA, needs_data


def stochastic_uniform(X, bits, random):
    """Unbiased rounding to 2^bits levels over [-1/sqrt(d), 1/sqrt(d)]."""
    limit = 1 / np.sqrt(X.shape[1])
    steps = 2**bits - 1
    place = (X + limit) / (2 * limit) * steps
    low = np.floor(place)
    return (low + (random.random(X.shape) < place - low)) / steps * 2 * limit - limit


def deterministic_uniform(X, bits, limit):
    steps = 2**bits - 1
    return (
        np.round((np.clip(X, -limit, limit) + limit) / (2 * limit) * steps) / steps * 2 * limit
        - limit
    )


@pytest.mark.parametrize("k", [3, 6, 9])
@pytest.mark.parametrize("noise_variance", [0.0, 0.5])
def test_expected_risk_gap_by_monte_carlo(k, noise_variance):
    random = np.random.default_rng(k)
    n, d, draws = 60, 6, 40_000
    X = random.standard_normal((n, d))
    Xq = np.hstack([X, X])[:, :k] + 0.5 * random.standard_normal((n, k))
    u, uq = np.linalg.qr(X)[0], np.linalg.qr(Xq)[0]
    clean = u @ random.standard_normal((d, draws))
    observed = clean + np.sqrt(noise_variance) * random.standard_normal((n, draws))
    risks = [np.square(q @ (q.T @ observed) - clean).mean(axis=0) for q in (u, uq)]
    gaps = risks[1] - risks[0]
    expected = theory.expected_risk_gap(m.eos(X, Xq), n, d, k, noise_variance)
    assert gaps.mean() == pytest.approx(expected, abs=4 * gaps.std() / np.sqrt(draws))


def test_no_gap_without_loss():
    assert theory.expected_risk_gap(1.0, 100, 10) == 0
    # Fewer columns fit less noise.
    assert theory.expected_risk_gap(0.5, 100, 10, 5, 1.0) == 0


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_bound_holds_on_its_validation_experiment(bits, decay):
    random = np.random.default_rng(bits)
    n, d = 2000, 10
    X = (2 * random.random((n, d)) - 1) / np.sqrt(d) * np.logspace(0, -decay, d)
    losses = [1 - m.eos(X, stochastic_uniform(X, bits, random)) for _ in range(3)]
    a = theory.bound_conditioning(m.spectrum(X).singular_values[-1], 1 / np.sqrt(d), n)
    bound = theory.uniform_eos_bound(bits, a)
    assert np.mean(losses) <= bound
    assert bound > 20 * np.mean(losses)  # loose, and the documentation says so
    step = 2 / np.sqrt(d) / (2**bits - 1)
    place = np.mod((X + 1 / np.sqrt(d)) / step, 1)
    noise = np.mean(place * (1 - place)) * step**2
    predicted = 1 - theory.predict_eos(m.spectrum(X).singular_values, n, noise)
    assert predicted == pytest.approx(np.mean(losses), rel=0.1)


def test_bound_values_and_inversion():
    assert theory.uniform_eos_bound(2, 1.0) == pytest.approx(20 / 9)
    assert theory.uniform_eos_bound(1, 0.54) == pytest.approx(235.2, abs=0.1)
    for a in (0.05, 0.3, 1.0):
        for bits in range(1, 20):
            assert theory.bits_for_eos(theory.uniform_eos_bound(bits, a), a) == bits
            assert theory.bits_for_eos(theory.uniform_eos_bound(bits, a) * 1.001, a) == bits
            assert theory.bits_for_eos(theory.uniform_eos_bound(bits, a) * 0.999, a) == bits + 1
    # The largest possible a: orthogonal columns of entries +-1/sqrt(d).
    X = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    X = np.vstack([X] * 20)
    s = m.spectrum(X).singular_values
    assert theory.bound_conditioning(s[-1], 1 / np.sqrt(2), 40) == pytest.approx(1)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_predicted_eos(bits, power):
    random = np.random.default_rng(bits)
    n, d = 3000, 40
    X = random.standard_normal((n, d)) * np.arange(1, d + 1) ** -power
    X = X @ np.linalg.qr(random.standard_normal((d, d)))[0]
    limit = {1: 0.8, 2: 1.5, 4: 2.5}[bits] * X.std()
    Xq = deterministic_uniform(X, bits, limit)
    gain, noise = gain_and_noise(X, Xq)
    assert gain == pytest.approx((X * Xq).sum() / (X * X).sum())
    assert noise == pytest.approx(np.square(Xq - gain * X).mean())
    s = m.spectrum(X).singular_values
    predicted = theory.predict_eos(s, n, noise, gain)
    assert 1 - predicted == pytest.approx(1 - m.eos(X, Xq), rel=0.12)


def test_predictions_for_many_widths_and_back():
    s = np.geomspace(100, 1, 30)
    variances = np.array([1e-1, 1e-2, 1e-3, 0.0])
    scores = theory.predict_eos(s, 1000, variances, [0.9, 1.0, 1.0, 1.0])
    assert scores.shape == (4,)
    assert (np.diff(scores) > 0).all()
    assert scores[3] == 1
    expected = np.mean(0.81 * s**2 / (0.81 * s**2 + 1000 * 0.1))
    assert scores[0] == pytest.approx(expected)
    for eos in (0.05, 0.5, 0.99):
        noise = theory.noise_variance_for_eos(s, 1000, eos)
        assert theory.predict_eos(s, 1000, noise) == pytest.approx(eos, abs=1e-12)


@needs_data
@pytest.mark.parametrize(
    "name", ["minilm-wordpiece-384d", "wiki-imdb-sgns-300d", "wiki-imdb-glove-100d"]
)
def test_prediction_and_bound_on_real_tables(name):
    X = np.load(DATA / "embeddings" / name / "vectors.npy", mmap_mode="r")
    spectrum = m.spectrum(X)
    for bits, width in ((2, 1.5), (4, 2.6)):
        full = X.astype(np.float32)
        Xq = deterministic_uniform(full, bits, np.float32(width * full.std()))
        gain, noise = gain_and_noise(X, Xq)
        loss = 1 - m.eos(X, Xq)
        predicted = 1 - theory.predict_eos(spectrum.singular_values, X.shape[0], noise, gain)
        assert predicted == pytest.approx(loss, rel=0.25)
        a = theory.bound_conditioning(
            spectrum.singular_values[-1], float(np.abs(full).max()), X.shape[0]
        )
        assert theory.uniform_eos_bound(bits, a) > 1  # says nothing about real embeddings


def test_bad_arguments():
    for call in (
        lambda: theory.expected_risk_gap(1.5, 100, 10),
        lambda: theory.expected_risk_gap(0.5, 5, 10),
        lambda: theory.expected_risk_gap(0.5, 100, 10, noise_variance=-1),
        lambda: theory.uniform_eos_bound(0, 0.5),
        lambda: theory.uniform_eos_bound(4, 0.0),
        lambda: theory.bits_for_eos(0.0, 0.5),
        lambda: theory.bound_conditioning(0.0, 1.0, 10),
        lambda: theory.predict_eos([], 10, 0.1),
        lambda: theory.predict_eos([1.0], 10, -0.1),
        lambda: theory.predict_eos([np.nan], 10, 0.1),
        lambda: theory.noise_variance_for_eos([1.0, 0.0], 10, 0.9),
        lambda: gain_and_noise(np.zeros((5, 2)), np.ones((5, 2))),
    ):
        with pytest.raises(InputError):
            call()
