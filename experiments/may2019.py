"""Reproduce the correlation and selection tables of May et al. (2019) from their published points.

Needs ``may2019/points.json`` under the folder that EMCOMP_DATA names. Prints every table beside the
reference figures, says which digits differ, and writes ``docs/may2019.md``.
"""

from __future__ import annotations

import json
from typing import Any

from emcomp.selection.error import Point, SelectionError, evaluate_selection
from experiments.data import DOCS, data_folder

EMBEDDINGS = {"GloVe-6B": "glove400k", "fastText": "fasttext1m", "Wiki'17": "glove-wiki400k-am"}
TASKS = {"SQuAD": "qa_best-f1", "SST": "sentiment_sst_test-acc"}
METHODS = ("kmeans", "uniform_det", "dccl", "dim_reduction")
COLUMNS = [(task, embedding) for task in TASKS for embedding in EMBEDDINGS]

# Published, or recomputed by others from the same points: SQuAD, then SST, columns as COLUMNS.
SPEARMAN = {
    "PIP": "-0.49 -0.34 0.26 -0.29 -0.21 0.08",
    "Delta": "-0.46 0.31 -0.40 -0.39 0.40 -0.27",
    "1/(1-Delta1)": "-0.62 -0.80 -0.35 -0.42 -0.69 -0.42",
    "Delta_max": "-0.62 -0.72 -0.35 -0.41 -0.62 -0.42",
    "1-EOS": "-0.81 -0.91 -0.71 -0.72 -0.83 -0.66",
}
ERROR = {
    "PIP": "0.313 0.374 0.577 0.387 0.408 0.503",
    "Delta": "0.341 0.610 0.351 0.367 0.641 0.382",
    "Delta_max": "0.264 0.218 0.395 0.333 0.262 0.346",
    "1-EOS": "0.156 0.113 0.210 0.187 0.156 0.223",
}
WORST_LOSS = {
    "PIP": "2.98 7.74 3.52 0.090 0.076 0.114",
    "Delta": "3.05 7.87 3.13 0.087 0.086 0.099",
    "Delta_max": "2.98 2.72 2.89 0.090 0.036 0.102",
    "1-EOS": "0.47 0.66 0.57 0.022 0.017 0.030",
}
ERROR_ACROSS_SEEDS = {
    "PIP": "0.324 0.373 0.576",
    "Delta_max": "0.282 0.221 0.388",
    "1-EOS": "0.173 0.100 0.219",
}
ORACLE_GAP_MEAN = {
    "PIP": "0.22 0.20 0.29",
    "Delta": "0.16 0.20 0.17",
    "Delta_max": "0.19 0.13 0.29",
    "1-EOS": "0.21 0.035 0.087",
}
ORACLE_GAP_MAX = {
    "PIP": "0.57 0.67 0.66",
    "Delta": "0.43 0.71 0.66",
    "Delta_max": "0.57 0.67 0.66",
    "1-EOS": "0.45 0.27 0.40",
}
STOCHASTIC = {"SQuAD": "-0.82 -0.91 -0.73", "SST": "-0.77 -0.83 -0.76"}
OTHER_TASKS = {
    "MR": ("sentiment_mr_test-acc", "-0.29 -0.59 -0.67"),
    "SUBJ": ("sentiment_subj_test-acc", "-0.27 -0.58 -0.26"),
    "CR": ("sentiment_cr_test-acc", "-0.40 -0.55 -0.36"),
    "TREC": ("sentiment_trec_test-acc", "-0.49 -0.32 -0.66"),
    "MPQA": ("sentiment_mpqa_test-acc", "-0.60 -0.55 -0.41"),
    "BLEU": ("translation_BLEU4", "-0.03 -0.33 -0.06"),
}


def load_points() -> dict[str, Any]:
    """The authors' file."""
    path = data_folder() / "may2019" / "points.json"
    points: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return points


def read_points(
    data: dict[str, Any], embedding: str, task: str, methods: tuple[str, ...] = METHODS
) -> list[Point]:
    """One point for each method, ratio and seed."""
    points = []
    for method in methods:
        table = data[EMBEDDINGS[embedding]][method]
        measured, performance = table["measure"], table["performance"][task]
        for column, ratio in enumerate(table["compression_ratio"]):
            for seed, row in enumerate(performance):
                below = measured["delta1_lambda_eigmin"][seed][column]
                above = measured["delta2_lambda_eigmin"][seed][column]
                measures = {
                    "PIP": measured["pip_top10k"][seed][column],
                    "Delta": max(below, above),
                    "1/(1-Delta1)": 1.0 / (1.0 - below),
                    "Delta_max": max(1.0 / (1.0 - below), above),
                    "1-EOS": measured["one_minus_eos"][seed][column],
                }
                points.append(Point(f"{method} {ratio}x", seed, row[column], measures, 1.0 / ratio))
    return points


def results(data: dict[str, Any]) -> list[dict[str, SelectionError]]:
    """How well each measure chooses, for every pair of COLUMNS."""
    return [evaluate_selection(read_points(data, e, TASKS[task])) for task, e in COLUMNS]


class Comparison:
    """Tables of our figures beside the published ones."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.mismatches: list[str] = []
        self.figures = 0

    def table(
        self,
        title: str,
        columns: list[str],
        ours: dict[str, list[float]],
        published: dict[str, str],
    ) -> None:
        """One table; every figure is printed with the published number of digits."""
        self.lines += [
            f"## {title}",
            "",
            f"| | {' | '.join(columns)} |",
            "|---" * len(columns) + "|---|",
        ]
        for name, values in ours.items():
            cells = []
            for column, value, target in zip(columns, values, published[name].split(), strict=True):
                cell = f"{value:.{len(target.partition('.')[2])}f}"
                self.figures += 1
                if cell != target:
                    self.mismatches.append(
                        f"{title}, {name}, {column}: {value:.5f}, reference {target}"
                    )
                    cell += f" (reference {target})"
                cells.append(cell)
            self.lines.append(f"| {name} | {' | '.join(cells)} |")
        self.lines.append("")


def compare(data: dict[str, Any]) -> Comparison:
    """Every table, from the content of points.json."""

    def result(embedding: str, task: str, **options: Any) -> dict[str, SelectionError]:
        methods = options.pop("methods", METHODS)
        return evaluate_selection(read_points(data, embedding, task, methods), **options)

    def column(attribute: str, name: str, where: list[dict[str, SelectionError]]) -> list[float]:
        return [getattr(result[name], attribute) for result in where]

    found = results(data)
    crossed = [result(e, TASKS["SQuAD"], across_seeds=True) for e in EMBEDDINGS]
    columns = [f"{task} {embedding}" for task, embedding in COLUMNS]
    comparison = Comparison()
    for title, attribute, published, where in (
        ("Spearman correlation with performance", "spearman", SPEARMAN, found),
        ("Selection error, pairs of one seed", "error", ERROR, found),
        ("Worst loss of a wrong choice", "worst_loss", WORST_LOSS, found),
        ("Selection error, seeds crossed", "error", ERROR_ACROSS_SEEDS, crossed),
        ("Mean gap to the oracle at a ratio", "oracle_gap_mean", ORACLE_GAP_MEAN, found[:3]),
        ("Largest gap to the oracle at a ratio", "oracle_gap_max", ORACLE_GAP_MAX, found[:3]),
    ):
        ours = {name: column(attribute, name, where) for name in published}
        comparison.table(title, columns[: len(where)], ours, published)
    rounded = ("kmeans", "uniform_stoch", "dccl", "dim_reduction")
    comparison.table(
        "Spearman correlation of 1-EOS, stochastic rounding",
        list(EMBEDDINGS),
        {
            name: [result(e, task, methods=rounded)["1-EOS"].spearman or 0.0 for e in EMBEDDINGS]
            for name, task in TASKS.items()
        },
        STOCHASTIC,
    )
    comparison.table(
        "Spearman correlation of 1-EOS, other tasks",
        list(EMBEDDINGS),
        {
            name: [result(e, task)["1-EOS"].spearman or 0.0 for e in EMBEDDINGS]
            for name, (task, _) in OTHER_TASKS.items()
        },
        {name: values for name, (_, values) in OTHER_TASKS.items()},
    )
    return comparison


def main() -> None:
    """Print and write the tables."""
    comparison = compare(load_points())
    agreed = comparison.figures - len(comparison.mismatches)
    differences = [f"- {line}" for line in comparison.mismatches]
    summary = (
        f"{agreed} of {comparison.figures} figures agree with the reference to its last digit. The "
        f"points give other last digits for:"
    )
    text = "\n".join([summary, "", *differences, "", *comparison.lines])
    print(text)
    (DOCS / "may2019.md").write_text(INTRODUCTION + text, encoding="utf-8")


INTRODUCTION = """# May et al. (2019) from their published points

Written by `experiments/may2019.py` with `emcomp.selection.evaluate_selection`, from the authors' per-seed
measurements: k-means, uniform quantization, deep compositional codes and dimensionality reduction at
several ratios, five seeds each, 65 points an embedding and task. Measures are errors: a correlation
near -1 is good, and a positive one ranks the wrong way round. SQuAD performance is F1 in points, SST
is accuracy as a fraction.

The figures compared with are those of the paper and its poster where they print them, and otherwise
ones that were computed from the same points independently of this package.

**The rule for ties was chosen by its result.** Nothing published says how they were counted. Of four
rules (a pair that the measure does not tell apart is half wrong, or goes to the earlier point; two
points of equal performance make either choice right, or the earlier one) those where equal performance
makes either choice right agree with 132 of the 135 figures, and the other two with 121; how ties of a
measure are counted changes no printed digit here. The tables use `ties="half"`: half wrong, and either
choice right. Only selection errors and worst losses depend on it.

"""


if __name__ == "__main__":
    main()
