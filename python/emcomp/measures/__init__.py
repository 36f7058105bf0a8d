"""Measures of what a compressed table has kept."""

from __future__ import annotations

from emcomp.measures.evaluation import evaluate
from emcomp.measures.gram_distance import (
    delta,
    delta1,
    delta2,
    delta_max,
    lambdas,
    pip_loss,
)
from emcomp.measures.neighbours import neighbour_overlap
from emcomp.measures.overlap import eis, eos, eos_k, principal_angles
from emcomp.measures.prediction import gain_and_noise, predict_uniform_eos
from emcomp.measures.reconstruction import (
    frobenius_error,
    linear_map_error,
    linear_map_spectral_error,
    mean_cosine_distance,
    mean_euclidean_distance,
    orthogonal_map_error,
    spectral_error,
)
from emcomp.measures.report import Report
from emcomp.measures.similarity import similarity_preservation
from emcomp.measures.spectra import Spectrum, spectrum

__all__ = [
    "Report",
    "Spectrum",
    "delta",
    "delta1",
    "delta2",
    "delta_max",
    "eis",
    "eos",
    "eos_k",
    "evaluate",
    "frobenius_error",
    "gain_and_noise",
    "lambdas",
    "linear_map_error",
    "linear_map_spectral_error",
    "mean_cosine_distance",
    "mean_euclidean_distance",
    "neighbour_overlap",
    "orthogonal_map_error",
    "pip_loss",
    "predict_uniform_eos",
    "principal_angles",
    "similarity_preservation",
    "spectral_error",
    "spectrum",
]
