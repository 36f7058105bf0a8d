"""Fitting trellis codes: mean row, classes of rows, bits of columns, scales, tables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import Tensors
from emcomp.codecs.row_kmeans import sampled
from emcomp.codecs.trellis_classes import (
    MOST,
    ClassSquares,
    ClassTensors,
    class_bits,
    find_classes,
)
from emcomp.codecs.trellis_layout import water_level, water_rates, widths_of_rates
from emcomp.codecs.trellis_scales import (
    CentredSquares,
    column_scales,
    gain_grid,
    gains_of,
    scales_of,
)
from emcomp.codecs.trellis_tables import Tables, learned_tables, start_tables, stored_tables
from emcomp.engine.base import Engine, Progress
from emcomp.io.sources.base import Source
from emcomp.statistics.nonfinite import refuse_nonfinite
from emcomp.statistics.row_sums import Matrix, View, column_means

if TYPE_CHECKING:
    from emcomp.codecs.trellis import Trellis

CLASS_SAMPLE = 16384
"""Rows that classes are found from, at most."""
_NUMBERS = (2, 4, 8, 12, MOST)
"""Of classes, that are tried."""
_WORTHWHILE = 0.9
"""Columns get widths of their own where that is expected to leave no more than this of the error."""
_NO_CENTRE = 1e-7
"""Mean rows with this part of the squares, or less, are rounding."""


class Rows(NamedTuple):
    """What is known of the rows of each class."""

    mean_squares: Matrix
    """Of the columns, array (classes, dim)."""
    counts: NDArray[np.float64]
    """Array (classes,)."""
    weights: NDArray[np.float64]
    """What the squared error of a row counts, array (classes,)."""
    bits: NDArray[np.int64]
    """Of the codes of a row, array (classes,)."""
    unused: int
    """Bytes that no class can take."""


def fit_tensors(codec: Trellis, source: Source, engine: Engine) -> dict[str, NDArray[Any]]:
    """All tensors that rows share, and those by which their classes are told."""
    rows, dim = source.shape
    refuse_nonfinite(source, engine)
    tensors: dict[str, NDArray[Any]] = {}
    if codec.centre == "mean":
        mean = column_means(View(source, "the table"), engine)
        tensors["offset"] = mean.astype(np.float32)
    offset = tensors.get("offset")
    sums = engine.fold("sums", source.shape, CentredSquares(source, offset))
    mean_squares = sums["squares"] / rows
    if offset is not None and np.square(offset, dtype=float).sum() <= _NO_CENTRE * (
        mean_squares.sum()
    ):
        offset[:] = 0
    known = Rows(
        mean_squares[None], np.array([float(rows)]), np.ones(1), np.array([codec.code_bits(dim)]), 0
    )
    some = None
    if codec.classes != 1:
        some = sampled(source, CLASS_SAMPLE, codec.seed, engine)
        classes, known = _classified(codec, source, some, mean_squares, offset, engine)
        tensors |= {f"class_{name}": tensor for name, tensor in classes._asdict().items()}
        tensors["unused"] = np.zeros(known.unused, np.uint8)
    tables = start_tables(codec.window_bits(dim))
    tensors["widths"], strengths = _shared_out(codec, known, tables)
    tensors["scales"], scale_low = column_scales(strengths)
    tensors["grid"] = np.array([*gain_grid(sums["lengths"]), scale_low], np.int64)
    if codec.rounds and mean_squares.any():
        if some is None:
            some = sampled(source, codec.sample, codec.seed, engine)
        tables = engine.call(_learn, codec, dict(tensors), tables, some, known)
    return tensors | stored_tables(tables)


def _classified(
    codec: Trellis,
    source: Source,
    some: NDArray[Any],
    mean_squares: NDArray[np.float64],
    offset: NDArray[np.float32] | None,
    engine: Engine,
) -> tuple[ClassTensors, Rows]:
    """Classes of the rows, found from some of them, and what is known of all rows of each."""
    rows, dim = source.shape
    centred = np.asarray(some, np.float64) - (0.0 if offset is None else offset)
    level = water_level(mean_squares, codec.code_bits(dim)) if mean_squares.any() else 1.0
    numbers = _NUMBERS if codec.classes == "auto" else (int(codec.classes),)
    least, best = np.inf, None
    for number in numbers:
        classes = find_classes(centred, number, level)
        if len(numbers) > 1:
            sums = ClassSquares(_Sample(some), offset, classes, codec.weight)(
                0, len(some), engine.threads
            )
            scale = rows / len(some)
            known = _known(codec, (rows, dim), sums["squares"] * scale, sums["counts"] * scale,
                           sums["weights"] * scale, len(classes.costs))  # fmt: skip
            expected = _expected_error(known)
            if best is not None and not expected < least:
                continue
            least = expected
        best = classes
    assert best is not None
    found = engine.fold("classes", source.shape, ClassSquares(source, offset, best, codec.weight))
    return best, _known(
        codec, (rows, dim), found["squares"], found["counts"], found["weights"], len(best.costs)
    )


class _Sample:
    """Some rows as a source."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows
        self.shape = rows.shape[0], rows.shape[1]

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Some of them."""
        return self._rows[first : first + count]


def _known(
    codec: Trellis,
    shape: tuple[int, int],
    squares: Matrix,
    counts: NDArray[np.float64],
    weights: NDArray[np.float64],
    classes: int,
) -> Rows:
    rows = np.where(counts > 0, counts, 1.0)
    mean_squares = squares / rows[:, None]
    weights = np.where(weights > 0, weights / rows, 0.0)
    weights = np.where(weights > 0, weights / (weights.max() or 1.0), 1.0)
    budget = codec.codes_budget(shape, classes)
    least = codec.window_bits(shape[1])
    bits, unused = class_bits(mean_squares, np.rint(counts), weights, budget, least)
    return Rows(mean_squares, counts, weights, bits, unused)


def _expected_error(known: Rows) -> float:
    """Of Gaussian columns, weighted, up to a factor."""
    total = 0.0
    for mean_squares, count, weight, bits in zip(*known[:4], strict=True):
        if bits and mean_squares.any():
            left = mean_squares * 4.0 ** -water_rates(mean_squares, int(bits))
        else:
            left = mean_squares
        total += count * weight * float(left.sum())
    return total


def _shared_out(codec: Trellis, known: Rows, tables: Tables) -> tuple[NDArray[np.uint8], Matrix]:
    """Widths of the columns and what the tables' values are multiplied with, (classes, dim)."""
    classes, dim = known.mean_squares.shape
    widths = np.zeros((classes, dim), np.uint8)
    scales = np.zeros((classes, dim))
    rates = np.zeros((classes, dim))
    coded = [c for c in range(classes) if known.bits[c] and known.mean_squares[c].any()]
    for c in range(classes):
        if known.bits[c]:
            widths[c] = codec.even_widths(dim, int(known.bits[c]))
    for c in coded:
        scales[c] = 1.0
        rates[c] = water_rates(known.mean_squares[c], int(known.bits[c]))
    if codec.widths == "even" or not coded:
        return widths, scales
    total = known.counts * known.weights
    even = float((total * known.mean_squares.sum(1) * 4.0 ** -(known.bits / dim)).sum())
    column = float((total * (known.mean_squares * 4.0**-rates).sum(1)).sum())
    if codec.widths == "auto" and column > _WORTHWHILE * even:
        return widths, scales
    power = float(np.square(tables[0]).mean())
    for c in coded:
        # With less than one bit only so much of a column is told, and the rest left at its mean.
        told = np.where(rates[c] < 1, np.sqrt((1 - 4.0 ** -rates[c]) / power), 1.0)
        scales[c] = np.sqrt(known.mean_squares[c] / known.mean_squares[c].mean()) * told
        widths[c] = widths_of_rates(rates[c], int(known.bits[c]))
    return widths, scales


def _learn(
    codec: Trellis,
    tensors: Tensors,
    tables: Tables,
    rows: NDArray[Any],
    known: Rows,
    threads: int,
    progress: Progress,
) -> Tables:
    """Tables learned from some rows, given all other tensors that rows share."""
    offset = tensors.get("offset")
    make_code = partial(
        _learning_code,
        codec.window_bits(rows.shape[1]),
        tensors["widths"],
        scales_of(tensors["scales"], int(tensors["grid"][2])),
        offset,
        gains_of(tensors["grid"]),
    )
    classes = None
    weights = np.ones(1)
    if "class_ends" in tensors:
        number = len(known.bits)
        chooser = ClassTensors(*(tensors[f"class_{n}"] for n in ClassTensors._fields)).core()
        chosen = chooser.choose(rows, offset, threads)
        picked = _spread(chosen, codec.sample, number)
        rows, classes = np.ascontiguousarray(rows[picked]), chosen[picked]
        taken = np.bincount(classes, minlength=number)
        weights = known.weights * known.counts / np.maximum(taken, 1)
    return learned_tables(
        tables, make_code, rows, classes, weights, codec.rounds, codec.reach, threads, progress
    )


def _spread(chosen: NDArray[np.uint8], count: int, classes: int) -> NDArray[np.int64]:
    """Indices of some rows, ascending: as many of each class, as far as there are so many."""
    picked: list[NDArray[np.int64]] = []
    left = count
    sizes = np.bincount(chosen, minlength=classes)
    for place, c in enumerate(np.argsort(sizes, kind="stable")):  # small classes first
        share = min(int(sizes[c]), left // (classes - place))
        picked.append(np.flatnonzero(chosen == c)[:share])
        left -= share
    return np.sort(np.concatenate(picked))


def _learning_code(
    window: int,
    widths: NDArray[np.uint8],
    scales: NDArray[np.float32],
    offset: NDArray[np.float32] | None,
    gains: NDArray[np.float32],
    tables: Tables,
) -> _core.TrellisCode:
    return _core.TrellisCode(window, widths, scales, offset, tables.astype(np.float32), gains)
