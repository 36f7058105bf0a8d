"""What theory says about the eigenspace overlap score: what it costs, and what it will be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from emcomp.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def expected_risk_gap(
    eos: float,
    rows: int,
    dim: int,
    compressed_dim: int | None = None,
    noise_variance: float = 0.0,
) -> float:
    """Expected extra risk of linear regression on the compressed table (Theorem 1).

    ``(1/n) (d - max(d, k) EOS - s2 (d - k))``: the expected difference of the mean squared errors
    of ordinary least squares on Xq and on X, for labels ``U z + noise`` with z of zero mean and
    identity covariance, and noise of variance s2. Both tables of full rank. Negative where leaving
    out k < d directions saves more noise than it costs signal.

    Args:
        eos: eigenspace overlap score of the two tables.
        rows: n.
        dim: d, dimension of the original.
        compressed_dim: k, by default d.
        noise_variance: s2.

    Raises:
        InputError: if an argument is out of range.

    Source:
        May et al. 2019, Theorem 1; the noise term for any k follows from the same proof.
    """
    k = dim if compressed_dim is None else compressed_dim
    if not 0.0 <= eos <= 1.0:
        raise InputError(f"eos must lie in [0, 1], not {eos}")
    if k < 1 or dim < 1 or rows < max(dim, k):
        raise InputError(f"need rows >= dimensions >= 1, got {rows} rows, dimensions {dim}, {k}")
    if noise_variance < 0:
        raise InputError(f"noise_variance must not be negative: {noise_variance}")
    return (dim - max(dim, k) * eos - noise_variance * (dim - k)) / rows


def bound_conditioning(smallest_singular_value: float, largest_entry: float, rows: int) -> float:
    """The a of Theorem 2, ``s_min / (max |X_ij| sqrt(n))``, in (0, 1].

    The theorem scales X so that its entries lie in ``[-1/sqrt(d), 1/sqrt(d)]`` and writes
    ``s_min = a sqrt(n/d)``; undoing the scale leaves this.

    Args:
        smallest_singular_value: of X.
        largest_entry: largest absolute entry of X.
        rows: n.

    Raises:
        InputError: if an argument is not positive.
    """
    if not (smallest_singular_value > 0 and largest_entry > 0 and rows > 0):
        raise InputError("the smallest singular value, largest entry and rows must be positive")
    return smallest_singular_value / (largest_entry * math.sqrt(rows))


def _check_conditioning(a: float) -> None:
    if not 0.0 < a <= 1.0:
        raise InputError(f"a must lie in (0, 1], not {a}")


def uniform_eos_bound(bits: int, a: float) -> float:
    """Bound on the expected 1 - EOS of uniform quantization with stochastic rounding (Theorem 2).

    ``20 / ((2^b - 1)^2 a^4)``, for entries in ``[-1/sqrt(d), 1/sqrt(d)]``, ``n >= max(33, d)``,
    levels over that fixed interval and no clipping. True but very loose: often above 1, and orders
    of magnitude above what is measured; `predict_eos` is the one to plan with.

    Args:
        bits: b, bits per entry.
        a: see `bound_conditioning`.

    Raises:
        InputError: if bits is below 1 or a is outside (0, 1].

    Source:
        May et al. 2019, Theorem 2.
    """
    if bits < 1:
        raise InputError(f"bits must be at least 1, not {bits}")
    _check_conditioning(a)
    return float(20.0 / ((2.0**bits - 1.0) ** 2 * a**4))


def bits_for_eos(loss: float, a: float) -> int:
    """Bits per entry at which Theorem 2 guarantees an expected 1 - EOS of at most ``loss``.

    The smallest whole ``b >= log2(sqrt(20) / (a^2 sqrt(loss)) + 1)``.

    Args:
        loss: bound wanted on 1 - EOS.
        a: see `bound_conditioning`.

    Raises:
        InputError: if loss is not positive or a is outside (0, 1].

    Source:
        May et al. 2019, corollary of Theorem 2.
    """
    if not loss > 0:
        raise InputError(f"loss must be positive, not {loss}")
    _check_conditioning(a)
    bits = max(int(np.ceil(np.log2(20.0**0.5 / (a**2 * loss**0.5) + 1.0))), 1)
    # Rounding may put the logarithm on the wrong side of a whole number.
    while uniform_eos_bound(bits, a) > loss:
        bits += 1
    while bits > 1 and uniform_eos_bound(bits - 1, a) <= loss:
        bits -= 1
    return bits


def predict_eos(
    singular_values: ArrayLike,
    rows: int,
    noise_variance: ArrayLike,
    gain: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """EOS of a quantized table, before it is made, from the original's singular values alone.

    For ``Xq = g X + noise`` with independent noise of variance v per entry,
    ``EOS ~ (1/d) sum_i g^2 s_i^2 / (g^2 s_i^2 + n v)``. Noise of n rows in d dimensions adds about
    n v to every squared singular value. Within a few per cent of 1 - EOS for quantization noise.

    Args:
        singular_values: of the original, array (d,).
        rows: n.
        noise_variance: v, a number or an array with one for each width.
        gain: g, likewise; 1 for unbiased (stochastic) rounding.

    Returns:
        Predicted EOS, array of the common shape of noise_variance and gain.

    Raises:
        InputError: if a variance is negative, or an argument is not finite or empty.

    Source:
        First-order perturbation; the gain accounts for the shrinkage of deterministic rounding.
    """
    s = np.asarray(singular_values, dtype=np.float64)
    v, g = np.asarray(noise_variance, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    if s.ndim != 1 or s.size == 0 or rows < 1:
        raise InputError("expected a list of singular values and at least one row")
    if not (np.isfinite(s).all() and np.isfinite(v).all() and np.isfinite(g).all()):
        raise InputError("singular values, noise variances and gains must be finite")
    if (v < 0).any():
        raise InputError("noise_variance must not be negative")
    signal = np.square(s) * np.square(g)[..., None]
    noise = rows * v[..., None]
    total = signal + noise
    kept = np.divide(signal, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(kept.mean(axis=-1))


def noise_variance_for_eos(
    singular_values: ArrayLike, rows: int, eos: float, gain: float = 1.0
) -> float:
    """The largest noise variance per entry at which `predict_eos` still gives ``eos``.

    Compare it with the noise variance of a quantizer at each width to choose the width.

    Args:
        singular_values: of the original, array (d,).
        rows: n.
        eos: score wanted, in (0, 1].
        gain: g of `predict_eos`.

    Raises:
        InputError: if the score cannot be had even without noise, as for a rank-deficient table.
    """
    best = float(predict_eos(singular_values, rows, 0.0, gain))
    if not 0.0 < eos <= best:
        raise InputError(f"eos must be above 0 and at most {best}, the score without noise: {eos}")
    s = np.asarray(singular_values, dtype=np.float64)
    low, high = 0.0, float(np.square(s * gain).max() / rows) / eos
    for _ in range(200):  # bisection to the last bit, from the largest value that can matter
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if float(predict_eos(s, rows, middle, gain)) >= eos:
            low = middle
        else:
            high = middle
    return low
