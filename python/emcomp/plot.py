"""Pictures: what each size keeps, and the singular values before and after. Needs matplotlib."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emcomp._support.atomic_files import atomic_write
from emcomp._support.sizes import format_bytes
from emcomp.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox

    from emcomp.measures.spectra import Spectrum
    from emcomp.selection.result import Candidate, Selection

ENDINGS = (".png", ".svg", ".pdf")
_GREY, _LINE, _PICK = "#555555", "#bbbbbb", "#c0392b"
_COLOURS = ("#22648a", "#d08a1d", "#4c8c4a", "#8a4f9e", "#a05a3c", "#3aa6a0", "#7a7a2a", "#c2558a")
_MARKERS = "osD^"
"""For as many points as there are colours, then the next."""
_RISING = ((-8, 4, "right"), (8, -11, "left"), (-8, 12, "right"), (8, -19, "left"))
_FALLING = ((8, 4, "left"), (-8, -11, "right"), (8, 12, "left"), (-8, -19, "right"))
"""Where a label goes beside its point, in typographic points: off the line, which rises or falls."""


def check_plot(path: Path) -> None:
    """Find out before long work that a picture could not be drawn.

    Raises:
        InputError: if matplotlib is not installed or draws no such kind of file.
    """
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: a picture's name ends in {', '.join(ENDINGS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("a picture needs matplotlib: pip install 'emcomp[plot]'")


def draw_front(selection: Selection, path: Path) -> None:
    """Draw the scores of all candidates over their sizes, with the Pareto front and the pick.

    Where all scores lie between 0 and 1 and higher is better, the scale is that of one minus the
    score, logarithmic, so that 0.9 and 0.99 are as far apart as 0.99 and 0.999.

    Raises:
        InputError: if a score is not finite.
        OSError: if the file cannot be written.
    """
    ranking = selection.ranking
    figure, axes = _new_figure()
    scores = np.array([ranking.score(candidate) for candidate in selection.ranked])
    if not np.isfinite(scores).all():
        raise InputError(f"a score of {ranking.measure} is infinite and cannot be drawn")
    axes.set_xscale("log")
    _scale_scores(axes, scores, higher_is_better=ranking.higher_is_better)
    _draw_front_line(axes, selection)
    families: dict[str, list[Candidate]] = {}
    for candidate in selection.ranked:
        families.setdefault(_family(candidate.codec), []).append(candidate)
    for number, family in enumerate(sorted(families)):
        colour = _COLOURS[number % len(_COLOURS)]
        x = [candidate.nbytes for candidate in families[family]]
        y = [ranking.score(candidate) for candidate in families[family]]
        marker = _MARKERS[number // len(_COLOURS) % len(_MARKERS)]
        axes.scatter(x, y, s=22, color=colour, marker=marker, label=family, zorder=3, linewidths=0)
    axes.margins(x=0.12, y=0.08)
    _draw_limits(axes, selection)
    _label_sizes(axes, selection.shape)
    _label_scores(axes)
    better = "higher" if ranking.higher_is_better else "lower"
    axes.set_ylabel(f"{ranking.measure} ({better} is better)", color=_GREY)
    rows, dim = selection.shape
    axes.set_title(f"{rows:,} x {dim}: what each size keeps", fontsize=12, loc="left", pad=14)
    if len(families) > 1:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8.5)
    _label_candidates(figure, axes, selection)
    _save(figure, path)


def draw_spectra(spectra: Mapping[str, Spectrum], path: Path) -> None:
    """Draw the singular values of a table (the first) and of others made from it.

    Raises:
        OSError: if the file cannot be written.
    """
    figure, axes = _new_figure()
    _scale_logarithmically(axes)
    ends: list[tuple[float, float, str, str]] = []
    for number, (name, spectrum) in enumerate(spectra.items()):
        values = spectrum.singular_values[: spectrum.rank]
        colour = "black" if number == 0 else _COLOURS[(number - 1) % len(_COLOURS)]
        places = np.arange(1, values.size + 1)
        axes.plot(places, values, color=colour, linewidth=2.2 if number == 0 else 1.4, label=name)
        ends.append((float(places[-1]), float(values[-1]), name, colour))
    axes.set_xlabel("direction, from the strongest to the weakest", color=_GREY)
    axes.set_ylabel("singular value", color=_GREY)
    axes.set_xlim(1, max(end[0] for end in ends) * 1.01)
    first = next(iter(spectra.values()))
    axes.set_title(
        f"{first.rows:,} x {first.dim}: singular values before and after", fontsize=12, loc="left"
    )
    _label_ends(figure, axes, ends)
    _save(figure, path)


def _new_figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, which="major", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_GREY, length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#aaaaaa")
    return figure, axes


def _family(codec: str) -> str:
    """The names of a codec's stages, without sizes and options."""
    return "+".join(stage.partition(":")[0].partition("(")[0] for stage in codec.split("+"))


def _scale_scores(axes: Axes, scores: np.ndarray[Any, Any], *, higher_is_better: bool) -> None:
    """The scale of the scores, before anything is drawn on it."""
    if not higher_is_better:
        if (scores > 0).all():
            _scale_logarithmically(axes)
        return
    if ((scores > 0) & (scores < 1)).all():
        axes.set_yscale("function", functions=(_to_loss_scale, _from_loss_scale))


def _scale_logarithmically(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _label_scores(axes: Axes) -> None:
    """Round scores along the scale of one minus the score, as many as there is room for."""
    from matplotlib.ticker import FixedLocator, NullLocator

    if axes.get_yscale() != "function":
        return
    places = _to_loss_scale(axes.get_ylim())
    nines = [1 - 10.0**-power for power in range(1, 12)]
    between = [
        1 - digit * 10.0**-power for digit in (5, 2, 3, 7, 8, 4, 6) for power in range(1, 12)
    ]
    ticks: list[float] = []
    for tick in [*nines, *between]:
        apart = np.abs(_to_loss_scale(tick) - _to_loss_scale(ticks)) / (places[1] - places[0])
        if places[0] <= _to_loss_scale(tick) <= places[1] and (apart > 0.045).all():
            ticks.append(tick)
    axes.yaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.12f}".rstrip("0"))


def _to_loss_scale(score: Any) -> Any:
    return -np.log10(np.maximum(1.0 - np.asarray(score, float), 1e-12))


def _from_loss_scale(place: Any) -> Any:
    return 1.0 - 10.0 ** -np.asarray(place, float)


def _draw_front_line(axes: Axes, selection: Selection) -> None:
    x = [candidate.nbytes for candidate in selection.front]
    y = [selection.ranking.score(candidate) for candidate in selection.front]
    axes.plot(x, y, color=_LINE, linewidth=1.6, drawstyle="steps-post", zorder=2)
    if selection.pick is not None:
        axes.plot(
            [selection.pick.nbytes], [selection.ranking.score(selection.pick)], marker="o", markersize=12, markeredgewidth=1.8,
            markerfacecolor="none", markeredgecolor=_PICK, linestyle="none", zorder=4,
        )  # fmt: skip


def _draw_limits(axes: Axes, selection: Selection) -> None:
    """Lines at the budget, unless it is far away, and at the minimum."""
    style: dict[str, Any] = {
        "color": _PICK,
        "linewidth": 1.0,
        "linestyle": (0, (4, 3)),
        "zorder": 1,
    }
    label: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5, "color": _PICK}
    largest = max(candidate.nbytes for candidate in selection.ranked)
    if selection.budget is not None and selection.budget < 1.5 * largest:
        axes.axvline(selection.budget, **style)
        axes.set_xlim(right=max(axes.get_xlim()[1], 1.08 * selection.budget))
        name, place = f"budget {format_bytes(selection.budget)}", (selection.budget, 0.02)
        axes.annotate(
            name, place, (4, 0), ("data", "axes fraction"), rotation=90, va="bottom", **label
        )
    if selection.ranking.minimum is not None:
        name = f"good enough: {selection.ranking.minimum:g}"
        axes.axhline(selection.ranking.minimum, **style)
        axes.annotate(
            name, (0.01, selection.ranking.minimum), (0, 4), ("axes fraction", "data"), **label
        )


def _label_sizes(axes: Axes, shape: tuple[int, int]) -> None:
    """Sizes below, bits per entry above."""
    from matplotlib.ticker import FixedLocator, NullLocator

    entries = shape[0] * shape[1]
    low, high = axes.get_xlim()
    digits: tuple[float, ...] = (1, 1.5, 2, 3, 4, 5, 6, 8)
    if high > 15 * low:
        digits = (1, 2, 5)
    if high > 1e4 * low:
        digits = (1,)
    steps = [10.0**power * digit for power in range(13) for digit in digits]
    axes.xaxis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: format_bytes(value))
    axes.set_xlim(low, high)
    axes.set_xlabel("size of the table", color=_GREY)
    above = axes.secondary_xaxis(
        "top",
        functions=(
            lambda size: np.asarray(size) * (8 / entries),
            lambda bits: np.asarray(bits) * (entries / 8),
        ),
    )
    above.xaxis.set_major_locator(FixedLocator([0.25, 0.5, *range(1, 9), 12, 16, 32]))
    above.xaxis.set_minor_locator(NullLocator())
    above.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    above.tick_params(colors=_GREY, length=0, labelsize=8.5)
    above.spines["top"].set_visible(False)
    above.set_xlabel("bits per entry", color=_GREY, fontsize=8.5)


def _label_candidates(figure: Figure, axes: Axes, selection: Selection) -> None:
    """Name the pick in any case, then as many of the front as there is room for."""
    for _ in range(2):  # the second time with room for the legend
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # so that places on the page stay as they are now
    ranking = selection.ranking
    points = axes.transData.transform(
        np.array([(c.nbytes, ranking.score(c)) for c in selection.ranked])
    )
    page = axes.get_window_extent()
    obstacles = np.concatenate([points, *_places_on(axes.lines[0])])
    taken = [text.get_window_extent() for text in axes.texts]
    taken += [line.get_window_extent().padded(1) for line in axes.lines[1:]]
    shortest = sorted(selection.front, key=lambda c: (len(c.codec), c.codec))
    places = _RISING if ranking.higher_is_better else _FALLING
    for candidate in sorted(shortest, key=lambda c: c != selection.pick):
        picked = candidate == selection.pick
        for dx, dy, side in places:
            label = axes.annotate(
                candidate.codec,
                (candidate.nbytes, ranking.score(candidate)),
                xytext=(dx, dy + (3 if dy > 0 else -3) * picked),
                textcoords="offset points",
                ha=side,
                fontsize=8,
                color=_PICK if picked else _GREY,
                weight="bold" if picked else "normal",
            )
            box = label.get_window_extent()
            if _has_room(box, page, taken, obstacles) or (picked and (dx, dy, side) == places[-1]):
                taken.append(box)
                break
            label.remove()


def _places_on(line: Line2D) -> list[Any]:
    """Points on the page along a line of steps, a few pixels apart."""
    corners = line.get_transform().transform(np.column_stack(line.get_data()))
    stepped = np.repeat(corners, 2, axis=0)[:-1]
    stepped[1::2, 0] = corners[1:, 0]
    return [np.linspace(a, b, 60) for a, b in itertools.pairwise(stepped)]


def _has_room(box: Bbox, page: Bbox, taken: Sequence[Bbox], obstacles: Any) -> bool:
    inside = page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
    return bool(inside and not box.count_overlaps(taken) and not box.count_contains(obstacles))


def _label_ends(figure: Figure, axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Names beside the ends of lines, moved apart where they would overlap."""
    figure.canvas.draw()
    apart = 1.35 * 8.5 * figure.dpi / 72
    lowest = -np.inf
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        place = axes.transData.transform((x, y))[1]
        moved = max(place, lowest + apart)
        lowest = moved
        axes.annotate(
            name,
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(6, (moved - place) * 72 / figure.dpi),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=colour,
            annotation_clip=False,
        )


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix("."))
