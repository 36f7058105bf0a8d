"""The figures of the evidence: task scores over size, measures against tasks, theory, precision."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

from experiments.data import DOCS, EMBEDDINGS, GLOVE, MINILM, SGNS

IMAGES = DOCS / "images"
PANELS = (
    (SGNS, "sentences"),
    (SGNS, "CNN"),
    (SGNS, "similarity"),
    (SGNS, "analogies"),
    (GLOVE, "sentences"),
    (GLOVE, "similarity"),
    (MINILM, "STS-B"),
    (MINILM, "SST-2 probe"),
)
UNITS = {
    "sentences": "mean accuracy of four sets",
    "CNN": "accuracy on SST-2",
    "SST-2 probe": "accuracy",
    "similarity": "mean rank correlation of three sets",
    "analogies": "share of right answers",
    "STS-B": "rank correlation",
}
STYLES = {
    "uniform": ("tab:blue", "o", "-"),
    "uniform, stochastic": ("tab:blue", "d", ":"),
    "k-means": ("tab:cyan", "o", "-"),
    "rotated": ("tab:green", "s", "-"),
    "whitened": ("tab:red", "s", "-"),
    "whitened, power 1": ("tab:pink", "s", ":"),
    "pq": ("tab:purple", "^", "-"),
    "opq": ("tab:purple", "v", ":"),
    "dccl": ("tab:brown", "D", "-"),
    "dccl, refined": ("tab:brown", "D", ":"),
    "allocated": ("magenta", "p", "-"),
    "pca": ("tab:gray", "x", "-"),
    "svd": ("tab:gray", "x", ":"),
    "svd, 4 bits": ("black", ".", "-"),
    "svd, 2 bits": ("black", ".", ":"),
    "svd, allocated": ("magenta", "p", ":"),
    "direction, 4 bits": ("tab:olive", "+", "-"),
    "direction, 2 bits": ("tab:olive", "x", ":"),
    "autoencoder": ("tab:orange", "+", ":"),
}
"""Colour, marker and line of each method that is drawn."""
LOW = ("pca", "svd", "autoencoder", "direction")
"""Methods that fall so low that the axes do not follow them."""
Point = dict[str, Any]


LATENTS = {"float32 latents": ":", "8 bits": "--", "4 bits": "-"}
FACTORIZATIONS = {
    "svd": "tab:gray",
    "autoencoder": "tab:orange",
    "direction": "tab:olive",
    "direction by counts": "tab:brown",
}
QUANTIZERS = {
    "uniform": "tab:blue",
    "rotate(scales=row)+kmeans": "tab:green",
    "whiten+kmeans": "tab:red",
    "principal+allocate": "magenta",
}
"""What is drawn of the language model, and how."""


def draw(
    points: list[Point], theory: list[Point], precision: list[Point], masked: list[Point]
) -> None:
    """All figures."""
    draw_tasks(points)
    draw_measure(points)
    draw_theory(theory)
    draw_precision(precision)
    draw_perplexity(masked)


def _save(figure: Any, name: str) -> None:
    import matplotlib as mpl

    IMAGES.mkdir(exist_ok=True)
    # The same points make the same file.
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")


def draw_tasks(points: list[Point]) -> None:
    """Scores over the bits of an entry, everything counted."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(18, 8.5), sharex=True)
    for axis, (name, heading) in zip(axes.flat, PANELS, strict=True):
        own = [point for point in points if point["table"] == name and heading in point]
        for method, (colour, marker, line) in STYLES.items():
            by_size: dict[float, list[Point]] = {}
            for point in own:
                if point["method"] == method:
                    by_size.setdefault(point["budget"], []).append(point)
            found = sorted(by_size.values(), key=lambda group: group[0]["bits"])
            if found:
                axis.errorbar(
                    [group[0]["bits"] for group in found],
                    [mean(p[heading] for p in group) for group in found],
                    yerr=[_deviation(group, heading) for group in found],
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    markersize=4,
                    linewidth=1,
                    label=method,
                )
        base = [point[heading] for point in own if point["method"] == "uncompressed"]
        if base:
            axis.axhline(mean(base), color="black", linewidth=0.8, linestyle="--")
        shown = [point[heading] for point in own if point["method"] not in LOW]
        if shown:
            margin = 0.05 * (max(shown) - min(shown)) + 1e-3
            axis.set_ylim(min(shown) - margin, max(shown) + margin)
        axis.set(xscale="log", title=f"{EMBEDDINGS[name]}: {heading}", ylabel=UNITS[heading])
        axis.set_xticks([0.5, 1, 2, 4, 6], ["0.5", "1", "2", "4", "6"], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_xlabel("bits per entry, everything counted")
        axis.tick_params(labelbottom=True)
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=9)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    _save(figure, "evidence_tasks")
    plt.close(figure)


def _deviation(group: list[Point], heading: str) -> float:
    return stdev(point[heading] for point in group) if len(group) > 1 else 0.0


def draw_measure(points: list[Point]) -> None:
    """What a task loses against what three measures say."""
    import matplotlib.pyplot as plt

    measures = {
        "overlap_lost": "1 - EOS",
        "squared_error": "squared error over the table's",
        "similarity_spearman_centred": "1 - similarity preservation, centred",
    }
    panels = [(SGNS, "sentences"), (SGNS, "similarity"), (MINILM, "STS-B")]
    figure, axes = plt.subplots(3, 3, figsize=(13, 11), sharey="row")
    for row, (name, heading) in zip(axes, panels, strict=True):
        own = [point for point in points if point["table"] == name and heading in point]
        base = [point[heading] for point in own if point["method"] == "uncompressed"]
        for axis, (key, label) in zip(row, measures.items(), strict=True):
            for method, (colour, marker, _) in STYLES.items():
                group = [p for p in own if p["method"] == method and p.get(key) is not None]
                values = [
                    p[key] if key != "similarity_spearman_centred" else 1 - p[key] for p in group
                ]
                axis.plot(
                    values,
                    [base[0] - p[heading] for p in group],
                    color=colour,
                    marker=marker,
                    linestyle="",
                    markersize=4,
                    label=method,
                )
            axis.set(xscale="log", xlabel=label, title=f"{EMBEDDINGS[name]}: {heading}")
        row[0].set_yscale("symlog", linthresh=0.003)
        row[0].set_ylabel(f"{heading} lost")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="lower center", ncols=7)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    _save(figure, "evidence_measures")
    plt.close(figure)


def draw_theory(theory: list[Point]) -> None:
    """Theorem 1: predicted and measured; theorem 2: bound, what it bounds, and estimate."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(13, 4.5))
    for name, marker in ((GLOVE, "o"), (MINILM, "s")):
        own = [p for p in theory if p["theorem"] == 1 and p["table"] == name]
        axes[0].errorbar(
            [p["predicted_gap"] for p in own],
            [p["measured_gap"] for p in own],
            yerr=[2 * p["standard_error"] for p in own],
            marker=marker,
            linestyle="",
            markersize=4,
            label=EMBEDDINGS[name],
        )
    ends = [1e-6, 1e-2]
    axes[0].plot(ends, ends, color="black", linewidth=0.8)
    axes[0].set(xscale="log", yscale="log", title="Theorem 1: extra risk of linear regression")
    axes[0].set(xlabel="predicted from EOS", ylabel="measured, with two standard errors")
    axes[0].legend()
    for name, colour in ((GLOVE, "tab:blue"), (MINILM, "tab:orange"), ("even", "tab:green")):
        own = [p for p in theory if p["theorem"] == 2 and p["table"] == name]
        label = EMBEDDINGS.get(name, "uniformly random entries")
        for key, line in (("bound", ":"), ("stochastic", "--"), ("ours", "-"), ("estimate", "")):
            axes[1].plot(
                [p["bits"] for p in own],
                [p[key] for p in own],
                color=colour,
                linestyle=line or "none",
                marker="x" if key == "estimate" else "",
                label=label if key == "ours" else None,
            )
    axes[1].axhline(1, color="black", linewidth=0.8)
    axes[1].set(yscale="log", xlabel="bits", ylabel="1 - EOS", title="Theorem 2")
    axes[1].plot([], [], "k:", label="bound")
    axes[1].plot([], [], "k--", label="what it bounds: no clipping, stochastic")
    axes[1].plot([], [], "k-", label="uniform:b")
    axes[1].plot([], [], "kx", label="estimate of uniform:b")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), fontsize="small")
    figure.tight_layout()
    _save(figure, "evidence_theory")
    plt.close(figure)


def draw_precision(points: list[Point]) -> None:
    """Scores over size, a line for each number of columns."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.5))
    lines: dict[int, list[Point]] = {}
    for point in points:
        if point["method"] != "uncompressed":
            lines.setdefault(int(point["method"].split()[0]), []).append(point)
    for axis, heading in zip(axes, ("sentences", "similarity", "analogies"), strict=True):
        for columns, own in sorted(lines.items(), reverse=True):
            own.sort(key=lambda point: point["bits"])
            bits, values = [p["bits"] for p in own], [p[heading] for p in own]
            axis.plot(bits, values, marker="o", markersize=4, label=f"{columns} columns")
        axis.set(xscale="log", xlabel="bits per entry of the original", ylabel=UNITS[heading])
        axis.set(title=f"{EMBEDDINGS[points[0]['table']]}: {heading}")
    axes[0].legend()
    figure.tight_layout()
    _save(figure, "evidence_precision")
    plt.close(figure)


def draw_perplexity(points: list[Point]) -> None:
    """Perplexity over the bits of an entry: factorizations with latents of all kinds, quantizers."""
    import matplotlib.pyplot as plt

    styles = {
        f"{method}, {latents}": (colour, line)
        for method, colour in FACTORIZATIONS.items()
        for latents, line in LATENTS.items()
    }
    styles.update({method: (colour, "-") for method, colour in QUANTIZERS.items()})
    figure, axis = plt.subplots(figsize=(9, 5.5))
    for method, (colour, line) in styles.items():
        by_size: dict[float, list[Point]] = {}
        for point in points:
            if point["method"] == method:
                by_size.setdefault(point["budget"], []).append(point)
        found = sorted(by_size.values(), key=lambda group: group[0]["bits"])
        if not found:
            continue
        axis.errorbar(
            [group[0]["bits"] for group in found],
            [mean(p["perplexity"] for p in group) for group in found],
            yerr=[_deviation(group, "perplexity") for group in found],
            color=colour,
            linestyle=line,
            marker="o" if method in QUANTIZERS else "x",
            markersize=4,
            linewidth=1,
            label=method,
        )
    for point in points:
        if point["method"] == "uncompressed":
            axis.axhline(point["perplexity"], color="black", linewidth=0.8, linestyle="--")
    axis.set(xscale="log", yscale="log", ylabel="perplexity of masked word pieces")
    axis.set_xticks([1, 2, 3, 4, 6, 8, 12], ["1", "2", "3", "4", "6", "8", "12"], minor=False)
    axis.set_xticks([], minor=True)
    perplexities = (150, 200, 300, 500, 1000, 2000)
    axis.set_yticks(perplexities, [str(value) for value in perplexities])
    axis.set_yticks([], minor=True)
    axis.set_xlabel("bits per entry, everything counted")
    axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1), fontsize="small")
    figure.tight_layout()
    _save(figure, "evidence_perplexity")
    plt.close(figure)
