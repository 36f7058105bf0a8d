"""Predicting the overlap score of uniform quantization before compressing."""

from __future__ import annotations

import numpy as np
import pytest

import emcomp
from tests.helpers.real_data import DATA, needs_data


def losses(X, width):
    return 1 - emcomp.measures.predict_uniform_eos(X, [width])[width], 1 - emcomp.eos(
        X, emcomp.compress(X, f"uniform:{width}")
    )


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_predictions_are_close_to_what_compressing_gives(width, decay):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((40, 40)))[0] * np.arange(1, 41) ** -decay
    X = (rng.standard_normal((4000, 40)) @ basis.T).astype(np.float32)
    predicted, measured = losses(X, width)
    assert predicted == pytest.approx(measured, rel=0.15)


def test_all_widths_at_once_from_any_source(tmp_path):
    X = np.random.default_rng(1).standard_normal((500, 12)).astype(np.float16)
    np.save(tmp_path / "x.npy", X)
    predicted = emcomp.measures.predict_uniform_eos(tmp_path / "x.npy")
    assert list(predicted) == list(range(1, 9))
    assert (np.diff(list(predicted.values())) > 0).all()
    assert predicted == emcomp.measures.predict_uniform_eos(X, threads=2)
    assert emcomp.measures.predict_uniform_eos(X, [3]) == {3: predicted[3]}


def test_what_cannot_be_predicted_is_refused():
    X = np.ones((20, 3), np.float32)
    for bad, widths in ((X * 0, [4]), (X * np.nan, [4]), (X, [0]), (X, [9])):
        with pytest.raises(emcomp.InputError):
            emcomp.measures.predict_uniform_eos(bad, widths)


@needs_data
@pytest.mark.parametrize("name", ["minilm-wordpiece-384d", "wiki-imdb-glove-100d"])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_predictions_for_real_embeddings(name, width):
    X = np.load(DATA / "embeddings" / name / "vectors.npy", mmap_mode="r")[:20_000]
    predicted, measured = losses(X, width)
    assert predicted == pytest.approx(measured, rel=0.2)
