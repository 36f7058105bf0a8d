"""Gradients of the networks that the core trains, against torch's."""

from __future__ import annotations

import numpy as np
import pytest

from emcomp import _core

torch = pytest.importorskip("torch")

# Weights of cosine distance, root mean square and powered error, and the power.
OBJECTIVES = {"published": (0.1995, 0.0, 0.0025, 1.0), "all": (0.5, 0.2, 0.3, 0.8)}


def random_arrays(shapes, rng):
    return tuple((0.5 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes)


def tensors_of(arrays, requires_grad=False):
    return [torch.tensor(a.astype(np.float64), requires_grad=requires_grad) for a in arrays]


def assert_gradients_of(tensors, gradients, tolerance):
    for tensor, gradient in zip(tensors, gradients, strict=True):
        wanted = tensor.grad.numpy()
        assert np.abs(gradient - wanted).max() <= tolerance * np.abs(wanted).max()


def autoencoder_loss(rows, tensors, elu, objective):
    encoder, encoder_bias, decoder, decoder_bias = tensors
    cosine_weight, rmse_weight, power_weight, power = objective
    activate = torch.nn.functional.elu if elu else (lambda x: x)
    outputs = activate(activate(rows @ encoder.T + encoder_bias) @ decoder + decoder_bias)
    cosines = torch.nn.functional.cosine_similarity(outputs, rows, eps=1e-6)
    errors = outputs - rows
    loss = cosine_weight * (1 - cosines).mean()
    loss = loss + power_weight * (errors.abs() + 1e-10).pow(power).mean()
    if rmse_weight:
        loss = loss + rmse_weight * errors.square().mean().sqrt()
    return loss


@pytest.mark.parametrize("elu", [False, True])
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_autoencoder(elu, objective):
    rng = np.random.default_rng(3)
    parameters = random_arrays([(37, 65), (1, 37), (37, 65), (1, 65)], rng)
    X = rng.standard_normal((70, 65)).astype(np.float32)
    loss, _, gradients = _core.autoencoder_gradient(
        X, parameters, elu, _core.AutoencoderObjective(*objective), 1
    )
    tensors = tensors_of(parameters, requires_grad=True)
    expected = autoencoder_loss(*tensors_of([X]), tensors, elu, objective)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    # A power below one is steep where an output is nearly exact, and there float32 rounds.
    assert_gradients_of(tensors, gradients, 1e-4 if objective[3] == 1 else 2e-3)


def test_compositional_codes():
    rng = np.random.default_rng(3)
    dim, codes, codewords, batch = 17, 7, 8, 65
    logits, hidden = codes * codewords, codes * codewords // 2
    shapes = [(hidden, dim), (1, hidden), (logits, hidden), (1, logits), (logits, dim)]
    parameters = random_arrays(shapes, rng)
    X = rng.standard_normal((batch, dim)).astype(np.float32)
    noise = rng.random((batch, logits), np.float32)
    loss, _, gradients = _core.compositional_gradient(X, noise, parameters, codes, codewords, 1)

    tensors = tensors_of(parameters, requires_grad=True)
    W1, b1, W2, b2, codebooks = tensors
    rows, uniform = tensors_of([X, noise])
    activations = torch.tanh(rows @ W1.T + b1)
    scores = torch.log(torch.nn.functional.softplus(activations @ W2.T + b2) + 1e-8)
    gumbel = -torch.log(-torch.log(uniform + 1e-20) + 1e-20)
    soft = torch.softmax((scores + gumbel).reshape(batch, codes, codewords), dim=2)
    expected = 0.5 * ((soft.reshape(batch, -1) @ codebooks - rows) ** 2).sum() / batch
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    assert_gradients_of(tensors, gradients, 5e-6)
