"""The autoencoder's gradients and steps, against definitions in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from emcomp import _core
from tests.helpers.learned import correlated_table
from tests.helpers.reference import philox

OBJECTIVES = {
    "published": (0.1995, 0.0, 0.0025, 1.0),
    "cosine": (1.0, 0.0, 0.0, 1.0),
    "rmse": (0.0, 0.7, 0.0, 1.0),
    "power": (0.0, 0.0, 0.3, 0.55),
    "all": (0.5, 0.2, 0.3, 0.8),
}


def random_parameters(dim, latents, rng):
    shapes = [(latents, dim), (1, latents), (latents, dim), (1, dim)]
    return tuple((0.5 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes)


def exponential_linear_unit(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def reference_loss(X, parameters, elu, objective):
    """The definition (Bałazy et al. 2021), step by step."""
    encoder, encoder_bias, decoder, decoder_bias = parameters
    cosine_weight, rmse_weight, power_weight, power = objective
    activate = exponential_linear_unit if elu else (lambda x: x)
    Y = activate(activate(X @ encoder.T + encoder_bias) @ decoder + decoder_bias)
    lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(Y, axis=1)
    cosines = (X * Y).sum(axis=1) / np.maximum(lengths, 1e-6)
    return (
        cosine_weight * (1 - cosines).mean()
        + rmse_weight * np.sqrt(((Y - X) ** 2).mean())
        + power_weight * ((np.abs(Y - X) + 1e-10) ** power).mean()
    )


def finite_differences(loss, parameters, step):
    """The slopes of a float64 loss, parameter by parameter."""
    for parameter in parameters:
        slopes = np.empty_like(parameter)
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            parameter[index] = kept + step
            above = loss()
            parameter[index] = kept - step
            below = loss()
            parameter[index] = kept
            slopes[index] = (above - below) / (2 * step)
        yield slopes


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("elu", [False, True])
@pytest.mark.parametrize(("rows", "dim", "latents"), [(1, 1, 1), (35, 5, 3), (33, 3, 33)])
def test_gradient_is_that_of_finite_differences(rows, dim, latents, elu, objective):
    rng = np.random.default_rng(dim)
    settings = OBJECTIVES[objective]
    parameters = random_parameters(dim, latents, rng)
    X = rng.standard_normal((rows, dim)).astype(np.float32)
    loss, distance, gradients = _core.autoencoder_gradient(
        X, parameters, elu, _core.AutoencoderObjective(*settings), 2
    )
    exact, exact_X = tuple(p.astype(np.float64) for p in parameters), X.astype(np.float64)

    def expected():
        return reference_loss(exact_X, exact, elu, settings)

    assert loss == pytest.approx(expected(), rel=2e-7, abs=1e-7)
    cosine = reference_loss(exact_X, exact, elu, OBJECTIVES["cosine"])
    assert distance == pytest.approx(cosine, rel=2e-7, abs=1e-7)
    # Float32 arithmetic: errors are small beside the largest entry, less so where the slope is a
    # power of an error that is itself a difference.
    tolerance = 1e-4 if objective in ("power", "all") else 5e-6
    for gradient, slopes in zip(gradients, finite_differences(expected, exact, 1e-6), strict=True):
        assert np.abs(gradient - slopes).max() <= tolerance * np.abs(slopes).max() + 5e-7


def test_rows_too_short_for_a_cosine():
    """Zero rows count as a cosine of zero and move nothing; short ones have the eps of the loss."""
    rng = np.random.default_rng(1)
    parameters = random_parameters(4, 2, rng)
    X = rng.standard_normal((5, 4)).astype(np.float32)
    objective = _core.AutoencoderObjective(*OBJECTIVES["cosine"])
    X[1:] = 0.0
    loss, distance, gradients = _core.autoencoder_gradient(X, parameters, False, objective, 1)
    alone, _, expected = _core.autoencoder_gradient(X[:1], parameters, False, objective, 1)
    assert loss == distance == pytest.approx((alone + 4) / 5)
    for gradient, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, other / 5, rtol=1e-6)
    short = (1e-9 * rng.standard_normal((3, 4))).astype(np.float32)
    loss, _, gradients = _core.autoencoder_gradient(short, parameters, False, objective, 1)
    exact = tuple(p.astype(np.float64) for p in parameters)
    expected_loss = reference_loss(short.astype(np.float64), exact, False, OBJECTIVES["cosine"])
    assert 1 - loss == pytest.approx(1 - expected_loss, rel=1e-6)
    np.testing.assert_allclose(gradients[3][0], -short.mean(axis=0) / 1e-6, rtol=1e-6)


def test_exact_outputs_have_no_slope():
    """The powered error has an infinite slope near zero, and none at zero."""
    eye, zeros = np.eye(3, dtype=np.float32), np.zeros((1, 3), np.float32)
    objective = _core.AutoencoderObjective(0.0, 1.0, 1.0, 0.1)
    loss, _, gradients = _core.autoencoder_gradient(
        eye, (eye, zeros, eye, zeros), False, objective, 1
    )
    assert loss == pytest.approx(1e-10**0.1, rel=1e-6)
    assert not any(gradient.any() for gradient in gradients)


def test_gradient_does_not_depend_on_threads():
    rng = np.random.default_rng(4)
    parameters = random_parameters(257, 65, rng)
    X = rng.standard_normal((300, 257)).astype(np.float32)
    objective = _core.AutoencoderObjective(*OBJECTIVES["all"])
    first, *others = (
        _core.autoencoder_gradient(X, parameters, True, objective, threads) for threads in (1, 2, 3)
    )
    for other in others:
        assert other[:2] == first[:2]
        for a, b in zip(first[2], other[2], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("batch", [4, 10])
def test_steps_are_those_of_adam_on_shuffled_rows(batch):
    rows, dim, latents, seed = 10, 6, 3, 5
    X = correlated_table(rows, dim)
    trainer = _core.AutoencoderTrainer(X, latents, False, batch, seed)
    assert trainer.steps_per_epoch == -(-rows // batch)
    settings = OBJECTIVES["published"]
    objective = _core.AutoencoderObjective(*settings)
    values = [p.astype(np.float64) for p in trainer.parameters]
    for value, inputs in zip(values, (dim, dim, latents, latents), strict=True):
        assert 0.3 < np.abs(value).max() * np.sqrt(inputs) <= 1
    means = [np.zeros_like(p) for p in values]
    variances = [np.zeros_like(p) for p in values]
    step = 0
    for epoch in range(2):
        order = list(range(rows))
        for i in range(rows - 1, 0, -1):
            four = philox([epoch * rows + i, 0, 0, 0], [seed, 0])
            other = ((four[0] << 32) | four[1]) % (i + 1)
            order[i], order[other] = order[other], order[i]
        for first in range(0, rows, batch):
            step += 1
            chosen = X[order[first : first + batch]]
            expected, _, gradients = _core.autoencoder_gradient(
                chosen, tuple(value.astype(np.float32) for value in values), False, objective, 1
            )
            for value, mean, variance, gradient in zip(
                values, means, variances, gradients, strict=True
            ):
                mean += 0.1 * (gradient - mean)
                variance += 0.001 * (gradient**2 - variance)
                rate = 1e-2 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                value -= rate * mean / (np.sqrt(variance) + 1e-8)
            loss, _ = trainer.train(1, objective, 1e-2, 2)
            assert loss == pytest.approx(expected, rel=1e-4)
            for value, found in zip(values, trainer.parameters, strict=True):
                np.testing.assert_allclose(found, value, rtol=0, atol=2e-4)


def test_steps_in_one_call_or_many_are_the_same():
    X = correlated_table(50, 7)
    whole, parts = (_core.AutoencoderTrainer(X, 3, True, 16, 1) for _ in range(2))
    objective = _core.AutoencoderObjective(*OBJECTIVES["all"])
    whole.train(7, objective, 1e-2, 1)
    for steps in (1, 4, 2):
        parts.train(steps, objective, 1e-2, 3)
    assert whole.steps_per_epoch == 4
    for a, b in zip(whole.parameters, parts.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameters_can_be_set():
    trainer = _core.AutoencoderTrainer(correlated_table(20, 5), 2, False, 8, 0)
    parameters = random_parameters(5, 2, np.random.default_rng(0))
    trainer.parameters = parameters
    for a, b in zip(parameters, trainer.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="wrong shape"):
        trainer.parameters = parameters[::-1]
    with pytest.raises(TypeError, match="number of parameters"):
        trainer.parameters = parameters[:3]
