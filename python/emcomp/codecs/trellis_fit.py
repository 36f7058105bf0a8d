"""Fitting trellis codes: mean row, classes of rows, bits of columns, scales, tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp.codecs.base import Narrowing, Tensors
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
from emcomp.io.sources.base import ArraySource, Source
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.statistics.row_sums import Matrix, Sums, View, column_means

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
    """Of the columns, array (classes, columns)."""
    counts: NDArray[np.float64]
    """Array (classes,)."""
    weights: NDArray[np.float64]
    """What the squared error of a row counts, array (classes,)."""
    bits: NDArray[np.int64]
    """Of the codes of a row, array (classes,)."""
    unused: int
    """Bytes that no class can take."""
    expected: float
    """Squared error of Gaussian columns, weighted, up to a factor."""


class Budget(NamedTuple):
    """Bytes for the gains and codes of all rows, and what they depend on."""

    codec: Trellis
    shape: tuple[int, int]
    column_bytes: int
    """What a column adds to the size elsewhere."""

    def codes(self, classes: int, columns: int) -> int:
        """Bytes for so many classes and columns: fewer of them leave more."""
        dim = self.shape[1]
        most = self.codec.shared_bytes(dim, self.codec.most_classes)
        saved = most - self.codec.shared_bytes(columns, classes)
        return self.codec.row_budget(self.shape) + saved + (dim - columns) * self.column_bytes

    def share(self, sums: Sums, columns: int, scale: float = 1.0) -> Rows:
        """Bits of rows of each class, given sums over the rows, or over one in ``scale`` of them."""
        counts, weights = sums["counts"] * scale, sums["weights"] * scale
        rows = np.where(counts > 0, counts, 1.0)
        mean_squares = sums["squares"] * scale / rows[:, None]
        weights = np.where(weights > 0, weights / rows, 0.0)
        weights = np.where(weights > 0, weights / (weights.max() or 1.0), 1.0)
        least = self.codec.window_bits(self.shape[1])
        budget = self.codes(len(counts), columns)
        kept = mean_squares[:, :columns]
        bits, unused = class_bits(kept, np.rint(counts), weights, budget, least)
        left = mean_squares.copy()
        for c in np.flatnonzero((bits > 0) & kept.any(axis=1)):
            left[c, :columns] *= 4.0 ** -water_rates(kept[c], int(bits[c]))
        expected = float((counts * weights * left.sum(axis=1)).sum())
        return Rows(kept, counts, weights, bits, unused, expected)


class Classified(NamedTuple):
    """Classes, and what they are good for."""

    classes: ClassTensors
    columns: int
    """The first ones, of which some row has bits."""
    expected: float
    """Squared error, as in `Rows`."""


def fit_tensors(
    codec: Trellis, source: Source, engine: Engine, narrowing: Narrowing | None = None
) -> dict[str, NDArray[Any]]:
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
        mean_squares[None],
        np.array([float(rows)]),
        np.ones(1),
        np.array([codec.code_bits(dim)]),
        0,
        0.0,
    )
    some = None
    if codec.ragged:
        some = sampled(source, CLASS_SAMPLE, codec.seed, engine)
        budget = Budget(codec, source.shape, 0 if narrowing is None else narrowing.column_bytes)
        found = _find_classes(budget, some, mean_squares, offset, narrowing is not None, engine)
        if narrowing is not None and found.columns < dim:
            source = narrowing.narrow(found.columns, engine.threads)
            some = sampled(source, CLASS_SAMPLE, codec.seed, engine)
            if offset is not None:
                offset = tensors["offset"] = offset[: found.columns].copy()
        classes = found.classes.narrowed(found.columns)
        squares = ClassSquares(source, offset, classes, codec.weight)
        known = budget.share(engine.fold("classes", source.shape, squares), found.columns)
        tensors |= {f"class_{name}": tensor for name, tensor in classes._asdict().items()}
        tensors["unused"] = np.zeros(known.unused, np.uint8)
    window = codec.window_bits(dim)
    tables = start_tables(window)
    tensors["widths"], strengths = _shared_out(codec, known, tables)
    tensors["scales"], scale_low = column_scales(strengths)
    # A root mean square over fewer columns, which have nearly all of the squares, is larger.
    higher = round(64 * np.log2(dim / known.mean_squares.shape[1]) / 2)
    lengths = np.roll(sums["lengths"], higher)
    tensors["grid"] = np.array([*gain_grid(lengths), scale_low], np.int64)
    if codec.rounds and mean_squares.any():
        if some is None:
            some = sampled(source, codec.sample, codec.seed, engine)
        tables = engine.call(_learn, codec, window, dict(tensors), tables, some, known)
    return tensors | stored_tables(tables)


def _find_classes(
    budget: Budget,
    some: NDArray[Any],
    mean_squares: NDArray[np.float64],
    offset: NDArray[np.float32] | None,
    narrow: bool,
    engine: Engine,
) -> Classified:
    """The classes of least expected error, found from some rows."""
    codec, (rows, dim), _ = budget
    centred = np.asarray(some, np.float64) - (0.0 if offset is None else offset)
    level = water_level(mean_squares, codec.code_bits(dim)) if mean_squares.any() else 1.0
    numbers = _NUMBERS if codec.classes == "auto" else (int(codec.classes),)
    best: Classified | None = None
    for number in numbers:
        classes = find_classes(centred, number, level)
        sums = ClassSquares(ArraySource(some), offset, classes, codec.weight)(
            0, len(some), engine.threads
        )
        expected = partial(_expected, budget, sums, rows / len(some))
        columns, error = dim, expected(dim)
        if narrow and codec.widths != "even":
            columns, error = _best_columns(expected, dim, error)
        if best is None or error < best.expected:
            best = Classified(classes, columns, error)
    assert best is not None
    return best


def _expected(budget: Budget, sums: Sums, scale: float, columns: int) -> float:
    return budget.share(sums, columns, scale).expected


def _best_columns(expected: Callable[[int], float], dim: int, error: float) -> tuple[int, float]:
    """How many columns to keep for the least error, and that error: falling, then rising."""
    best, step = dim, max(dim // 4, 1)
    while True:
        for columns in (best - step, best + step):
            if 1 <= columns <= dim and (found := expected(columns)) < error:
                best, error = columns, found
                break
        else:
            if step == 1:
                return best, error
            step //= 2


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
    window: int,
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
        window,
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
