from __future__ import annotations

import numpy as np
import pytest

from emcomp import _core
from tests.helpers.learned import correlated_table
from tests.helpers.reference import philox


def random_parameters(dim, codes, codewords, rng):
    logits, hidden = codes * codewords, codes * codewords // 2
    shapes = [(hidden, dim), (1, hidden), (logits, hidden), (1, logits), (logits, dim)]
    return tuple((0.5 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes)


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


@pytest.mark.parametrize(("dim", "codes", "codewords"), [(1, 1, 2), (5, 3, 4), (9, 1, 8)])
def test_gradient_is_that_of_finite_differences(dim, codes, codewords):
    rng = np.random.default_rng(dim)
    parameters = random_parameters(dim, codes, codewords, rng)
    X = rng.standard_normal((35, dim)).astype(np.float32)
    noise = rng.random((35, codes * codewords), np.float32)
    loss, squared_norm, gradients = _core.compositional_gradient(
        X, noise, parameters, codes, codewords, 2
    )
    exact = tuple(p.astype(np.float64) for p in parameters)
    exact_X, exact_noise = X.astype(np.float64), noise.astype(np.float64)

    def expected():
        return reference_loss(exact_X, exact_noise, exact, codes)

    assert loss == pytest.approx(expected(), rel=2e-7)
    squares = sum((g.astype(np.float64) ** 2).sum() for g in gradients)
    assert squared_norm == pytest.approx(squares, rel=1e-12)
    for gradient, slopes in zip(gradients, finite_differences(expected, exact, 1e-5), strict=True):
        # Float32 arithmetic: errors are small beside the largest entry.
        assert np.abs(gradient - slopes).max() <= 2e-6 * np.abs(slopes).max()


def test_gradient_does_not_depend_on_threads():
    rng = np.random.default_rng(4)
    parameters = random_parameters(65, 9, 16, rng)
    X = rng.standard_normal((300, 65)).astype(np.float32)
    noise = rng.random((300, 144)).astype(np.float32)
    first, *others = (
        _core.compositional_gradient(X, noise, parameters, 9, 16, threads) for threads in (1, 2, 3)
    )
    for other in others:
        assert other[:2] == first[:2]
        for a, b in zip(first[2], other[2], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("clip_norm", [0.0, 0.001])
def test_steps_are_those_of_adam(clip_norm):
    """Batches of all rows: the order does not matter to the gradient, and noise goes by place."""
    dim, codes, codewords, rows, seed = 6, 3, 4, 8, 5
    X = correlated_table(rows, dim)
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
            X[order],
            noise.astype(np.float32),
            tuple(value.astype(np.float32) for value in values),
            codes,
            codewords,
            1,
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
    X = correlated_table(50, 7)
    whole, parts = (_core.CompositionalTrainer(X, 2, 4, 16, 1e-2, 0.0, False, 1) for _ in range(2))
    whole.train(7, 1)
    for steps in (1, 4, 2):
        parts.train(steps, 3)
    assert whole.steps_per_epoch == 3
    for a, b in zip(whole.parameters, parts.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_best_parameters_come_back():
    trainer = _core.CompositionalTrainer(correlated_table(100, 5), 2, 4, 10, 1e-2, 0.0, True, 0)
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
    X = correlated_table(700, 9).astype(np.float16)
    trainer = _core.CompositionalTrainer(X, 5, 8, 32, 1e-2, 0.0, True, 0)
    trainer.train(60, 1)
    W1, b1, W2, b2, _ = (p.astype(np.float64) for p in trainer.parameters)
    logits = (np.tanh(X.astype(np.float64) @ W1.T + b1) @ W2.T + b2).reshape(len(X), 5, 8)
    codes = np.empty((len(X), 5), np.uint8)
    _core.CompositionalEncoder(trainer.parameters, 5, 8).encode(X, codes, 2)
    best = logits.max(axis=2)
    chosen = np.take_along_axis(logits, codes[:, :, None].astype(int), axis=2)[:, :, 0]
    np.testing.assert_allclose(chosen, best, rtol=0, atol=1e-5)
    assert len(np.unique(codes)) > 4
