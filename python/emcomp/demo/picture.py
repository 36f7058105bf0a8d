"""A picture of what each width costs and keeps. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emcomp._support.atomic_files import atomic_write
from emcomp.demo.study import NEIGHBOURS, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ERROR_COLOUR, _KEPT_COLOUR, _GREY = "#b5432a", "#22648a", "#555555"


def draw(results: Sequence[Result], shape: tuple[int, int], path: Path) -> None:
    """Draw the error and the neighbours kept over the bits per entry.

    Args:
        results: one for each width.
        shape: rows and dimension of the vectors.
        path: the file to write, png or what else matplotlib tells from the name.

    Raises:
        OSError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.7), dpi=110, layout="constrained")
    error_axes, kept_axes = figure.subplots(1, 2)
    bits = [result.bits_per_entry for result in results]
    errors = [100 * result.relative_squared_error for result in results]
    kept = [100 * result.neighbours_kept for result in results]
    _plot(error_axes, bits, errors, _ERROR_COLOUR, "Squared error, % of the vectors' own square")
    error_axes.set_yscale("log")
    error_axes.minorticks_off()
    error_axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    error_axes.set_ylim(min(errors) / 2.5, max(errors) * 2.5)
    _plot(kept_axes, bits, kept, _KEPT_COLOUR, f"The {NEIGHBOURS} nearest words that stay so, %")
    kept_axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    kept_axes.set_ylim(0, 108)
    for result, b, e, k in zip(results, bits, errors, kept, strict=True):
        size = f"{result.ratio:.0f}x" if result.ratio >= 10 else f"{result.ratio:.2g}x"
        _label(error_axes, f"{size} smaller" if result is results[0] else size, b, e, above=True)
        _label(kept_axes, f"{k:.0f} %", b, k, above=False)
    rows, dim = shape
    figure.suptitle(
        f"{rows:,} word vectors of dimension {dim}, uniformly quantized", fontsize=12, x=0.5
    )
    suffix = path.suffix.removeprefix(".") or "png"
    with atomic_write(path) as file:
        figure.savefig(file, format=suffix)


def _plot(axes: Axes, x: list[float], y: list[float], colour: str, title: str) -> None:
    axes.plot(x, y, marker="o", markersize=6, linewidth=1.8, color=colour)
    axes.set_title(title, fontsize=10.5, loc="left", color=colour)
    axes.set_xlabel("bits per entry (float32 has 32)", color=_GREY)
    axes.set_xlim(0, max(x) + 1)
    axes.set_xticks(range(1, round(max(x)) + 1))
    axes.grid(visible=True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_GREY, length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#aaaaaa")


def _label(axes: Axes, text: str, x: float, y: float, *, above: bool) -> None:
    offset: dict[str, Any] = {"xytext": (5, 5) if above else (5, -12)}
    axes.annotate(text, (x, y), textcoords="offset points", fontsize=9, color=_GREY, **offset)
