"""Predicting the EOS of quantized tables, and measuring what the prediction is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.codecs.checks import check_bits
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.measures.pairs import make_pair
from emcomp.measures.spectra import spectrum
from emcomp.tables.opening import open_table
from emcomp.theory import predict_eos


def predict_uniform_eos(
    X: Any, widths: Iterable[int] = range(1, 9), *, threads: int | None = None
) -> dict[int, float]:
    """EOS that ``uniform:b`` will have for each width b, from two passes over the table.

    One pass gives the singular values, the other a histogram of the entries. From the histogram
    follow each width's best range, and with it the gain and the noise variance that `predict_eos`
    takes. Nothing is encoded.

    Args:
        X: table (n, d): array, path, or source.
        widths: bits, each from 1 to 8.
        threads: threads to use.

    Returns:
        Predicted EOS by width. On real embeddings 1 - EOS came out within 16 % at 1 to 4 bits and
        up to 28 % too high at 8; see docs/measures.md.

    Raises:
        InputError: for a width out of range, an entry that is not finite, or a table of zeros.

    Source:
        May et al. 2019, section 3 for the quantizer; `predict_eos` for the estimator.
    """
    wanted = list(widths)
    for bits in wanted:
        check_bits(bits)
    table = open_table(X)
    rows, dim = table.shape
    singular_values = spectrum(table, threads=threads).singular_values  # refuses bad entries
    engine = Engine(resolve_threads(threads))
    histogram = engine.fill("fit", table, _core.ValueHistogram)
    if histogram.maximum == 0:
        raise InputError("the table is zero: there is nothing to predict")
    means, counts = histogram.bins()
    weights = counts / (rows * dim)
    square = float(weights @ np.square(means))
    predicted = {}
    for bits in wanted:
        step = histogram.step(bits, _core.Clipping("optimal"))
        half = (2**bits - 1) / 2
        values = (np.rint(np.clip(means / step, -half, half) + half) - half) * step
        gain = float(weights @ (means * values)) / square
        # Quantized entries are gain times the original and noise, which are orthogonal.
        noise = max(float(weights @ np.square(values)) - gain**2 * square, 0.0)
        predicted[bits] = float(predict_eos(singular_values, rows, noise, gain))
    return predicted


def gain_and_noise(X: Any, Xq: Any, *, threads: int | None = None) -> tuple[float, float]:
    """Gain and noise variance per entry of a compressed table, for `predict_eos`.

    ``g = <X, Xq> / ||X||_F^2`` and ``v = ||Xq - g X||_F^2 / (n d)``.

    Args:
        X: table (n, d): array, path, or source.
        Xq: table (n, d) of the same words.
        threads: threads to use.

    Raises:
        InputError: if the tables differ in shape, X is zero, or an entry is not finite.
    """
    pair = make_pair(X, Xq, threads=threads)
    squared_error = float(pair.distances[0])
    squared_norm = float(np.trace(pair.x.gram))
    if squared_norm == 0:
        raise InputError("X is zero: there is no gain to measure")
    gain = float(np.trace(pair.sums.cross)) / squared_norm
    # Xq - X is Xq - g X and (g - 1) X, which are orthogonal.
    noise = max(squared_error - (gain - 1.0) ** 2 * squared_norm, 0.0)
    return gain, noise / (pair.x.rows * pair.x.dim)
