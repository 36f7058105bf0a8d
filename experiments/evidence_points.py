"""Raw points of the studies of tasks, as the tables and figures of the evidence want them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from statistics import mean
from typing import Any

from experiments.data import DOCS, GLOVE, MINILM, SGNS

TASKS = {
    "sentences": ("mr", "sst2", "sst5", "subj"),
    "similarity": ("men", "ws353", "simlex999"),
    "analogies": ("google",),
    "CNN": ("cnn_sst2",),
    "STS-B": ("sts_b_spearman",),
    "SST-2 probe": ("sst2_probe",),
    "CoLA probe": ("cola_probe",),
    "RTE probe": ("rte_probe",),
}
"""What is averaged under a heading."""
STUDIES = {
    SGNS: ("sentences", "CNN", "similarity", "analogies"),
    GLOVE: ("sentences", "similarity", "analogies"),
    MINILM: ("STS-B", "SST-2 probe", "CoLA probe", "RTE probe"),
}
CHOSEN_BY = {
    SGNS: ("sentences", "similarity", "analogies"),
    GLOVE: ("sentences", "similarity", "analogies"),
    MINILM: ("STS-B",),
}
"""Headings that say which codec keeps most."""
Point = dict[str, Any]


MEASURES = {
    "overlap_lost": "1 - EOS",
    "squared_error": "squared error",
    "linear_map_error": "linear-map error",
    "pip_loss": "PIP loss",
    "delta": "Delta",
    "delta_max": "Delta max",
    "mean_cosine_distance": "cosine distance",
    "mean_cosine_distance_centred": "cosine distance, centred",
    "neighbour_overlap_centred": "neighbours, centred",
    "similarity_spearman_centred": "similarities, centred",
}
HIGHER = ("neighbour_overlap_centred", "similarity_spearman_centred")
PUBLISHED_METHODS = ("uniform", "uniform, stochastic", "k-means", "dccl", "svd")
"""What May et al. compared; the rank-k table with all its columns stands for the k columns."""


PUBLISHED_MEASURES = {
    "overlap_lost": "1-EOS",
    "pip_loss": "PIP",
    "delta": "Delta",
    "delta_max": "Delta_max",
}
"""What `experiments.may2019` calls them."""


def load(name: str) -> list[Point]:
    """Points of a study; task scores under their headings as well.

    Of masked-language-model points the heading is the logarithm of the perplexity, negative.
    """
    path = DOCS / "evidence" / f"{name}.json"
    points: list[Point] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for point in points:
        if "perplexity" in point:
            point["budget"], point["MLM"] = point["target"], -math.log(point["perplexity"])
        for heading, tasks in TASKS.items():
            if all(task in point for task in tasks):
                point[heading] = mean(point[task] for task in tasks)
    return points


def groups(points: Iterable[Point]) -> dict[tuple[str, float], list[Point]]:
    """Points by method and budget: what differs in the seed alone is together."""
    found: dict[tuple[str, float], list[Point]] = {}
    for point in points:
        found.setdefault((point["method"], point["budget"]), []).append(point)
    return found


def with_measures(points: list[Point], measured: list[Point]) -> list[Point]:
    """Points of a study that measured only tasks, with the measures of the same codecs."""
    known: dict[tuple[Any, ...], Point] = {}
    for point in sorted(measured, key=lambda point: -point["seed"]):
        place = (point["table"], point["codec"], point["budget"])
        known[(*place, point["seed"])] = known[place] = point
    found = []
    for point in points:
        place = (point["table"], point["codec"], point["budget"])
        same = known.get((*place, point["seed"]), known.get(place, {}))
        found.append({**{key: same[key] for key in MEASURES if key in same}, **point})
    return found
