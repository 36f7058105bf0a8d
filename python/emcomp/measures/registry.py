"""The measures by name, for calls that compute many of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emcomp.errors import InputError
from emcomp.measures.gram_distance import delta_max_of, delta_of, pip_loss_of, spectral_deltas_of
from emcomp.measures.neighbours import neighbour_overlap_of
from emcomp.measures.overlap import eos_k_of, eos_of
from emcomp.measures.reconstruction import (
    frobenius_error_of,
    linear_map_error_of,
    linear_map_spectral_error_of,
    mean_cosine_distance_of,
    mean_euclidean_distance_of,
    orthogonal_map_error_of,
    spectral_error_of,
)
from emcomp.measures.similarity import similarity_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from emcomp.measures.pairs import TablePair

CENTRED = "_centred"
"""Ending of a name that asks for the measure on centred vectors."""


@dataclass(frozen=True)
class Measure:
    """A measure of a pair of tables."""

    compute: Callable[[TablePair], float]
    higher_is_better: bool = False
    growth: float = 0.0
    """Power of the number of rows that the value grows with."""
    from_all_rows: bool = False
    """Never estimated from a sample: draws a few rows itself, or is too unsteady."""


def _seeded(seed: int) -> dict[str, Measure]:
    return {
        "neighbour_overlap": Measure(
            lambda pair: neighbour_overlap_of(pair, seed=seed), True, from_all_rows=True
        ),
        "similarity_pearson": Measure(
            lambda pair: similarity_of(pair, seed=seed)[0], True, from_all_rows=True
        ),
        "similarity_spearman": Measure(
            lambda pair: similarity_of(pair, seed=seed)[1], True, from_all_rows=True
        ),
    }


def measures(seed: int = 0) -> dict[str, Measure]:
    """Every measure by its name; ``<name>_centred`` is the same on centred vectors."""
    return {
        "eos": Measure(eos_of, True),
        "eos_k": Measure(eos_k_of, True, from_all_rows=True),
        "pip_loss": Measure(pip_loss_of, growth=1.0),
        "delta1": Measure(lambda pair: spectral_deltas_of(pair)[0]),
        "delta2": Measure(lambda pair: spectral_deltas_of(pair)[1]),
        "delta": Measure(delta_of),
        "delta_max": Measure(delta_max_of),
        "frobenius_error": Measure(frobenius_error_of, growth=0.5),
        "spectral_error": Measure(spectral_error_of, growth=0.5),
        "linear_map_error": Measure(linear_map_error_of, growth=0.5),
        "linear_map_spectral_error": Measure(linear_map_spectral_error_of, growth=0.5),
        "orthogonal_map_error": Measure(orthogonal_map_error_of, growth=0.5),
        "mean_euclidean_distance": Measure(mean_euclidean_distance_of),
        "mean_cosine_distance": Measure(mean_cosine_distance_of),
        **_seeded(seed),
    }


MEASURE_NAMES: tuple[str, ...] = tuple(measures())
DEFAULT_MEASURES: tuple[str, ...] = (
    *(name for name in MEASURE_NAMES if name != "linear_map_spectral_error"),
    "eos_centred",
    "mean_cosine_distance_centred",
    "neighbour_overlap_centred",
    "similarity_pearson_centred",
    "similarity_spearman_centred",
)


def resolve_measures(names: list[str], seed: int = 0) -> dict[str, Measure]:
    """The named measures, in the order of the names.

    Raises:
        InputError: if a name is unknown, naming those there are.
    """
    known = measures(seed)
    for name in names:
        if name.removesuffix(CENTRED) not in known:
            raise InputError(
                f"unknown measure {name!r}; there are {', '.join(known)}, each also as "
                f"<name>{CENTRED}"
            )
    return {name: known[name.removesuffix(CENTRED)] for name in names}
