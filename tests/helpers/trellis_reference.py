"""Trellis codes written plainly in NumPy: what the core must agree with, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp import parse_codec
from emcomp.engine.base import Engine
from emcomp.io.sources.base import as_source

WIDEST = 8
LOWERED_EACH = 16
SHORT = 8
NEVER = np.float32(2.0**80)


def power(sixty_fourths: NDArray[Any]) -> NDArray[np.float32]:
    """2^(x / 64): a fraction of an octave, rounded, times a power of two."""
    octaves, rest = np.divmod(np.asarray(sixty_fourths, np.int64), 64)
    return np.ldexp(np.float32(2.0 ** (rest / 64)), octaves)


def places(tensors: Any, rows: int) -> list[tuple[int, int]]:
    """Where each row begins in the codes, and its class."""
    found = []
    lengths = row_lengths(tensors)
    for row in range(rows):
        record = tensors["places"][row // 112]
        if row % 112 == 0:
            first = int.from_bytes(record[:8].tobytes(), "little")
        row_class = int(record[8 + row % 112 // 2]) >> 4 * (row % 2) & 15
        found.append((first, row_class))
        first += lengths[row_class]
    return found


def row_lengths(tensors: Any) -> list[int]:
    """Bytes of the rows of each class."""
    bits = tensors["widths"].astype(int).sum(axis=1)
    return [1 - (-int(b) // 8) if b else 0 for b in bits]


def decode_classes(tensors: Any, rows: int) -> NDArray[np.float32]:
    """Rows of several classes."""
    codes = [Code(tensors, c) for c in range(len(tensors["widths"]))]
    found = []
    for (first, c), length in ((p, row_lengths(tensors)[p[1]]) for p in places(tensors, rows)):
        if length:
            found.append(codes[c].decode(tensors["codes"][None, first : first + length])[0])
        else:
            found.append(codes[c].offset)
    return np.array(found)


class Code:
    """What the tensors of a table say about the codes of rows of a class."""

    def __init__(self, tensors: Any, row_class: int = 0) -> None:
        low, step, scale_low = (int(number) for number in tensors["grid"])
        self.widths = tensors["widths"][row_class].astype(int)
        scale_codes = tensors["scales"][row_class].astype(np.int64)
        self.dim = self.widths.size
        narrow = tensors["tables"].view(np.int8).astype(np.float32)
        half = np.concatenate([narrow, tensors["wide_tables"].astype(np.float32)])
        self.tables = np.concatenate([half, -half[:, ::-1]], axis=1)
        self.window = int(np.log2(self.tables.shape[1]))
        self.gains = np.concatenate([np.zeros(1, np.float32), power(low + step * np.arange(255))])
        scales = power(4 * (scale_low + scale_codes))
        steps = np.concatenate([tensors["steps"], np.ones(WIDEST - 4, np.float32)])
        self.factors = np.where(
            scale_codes > 0, steps[np.maximum(self.widths, 1) - 1] * scales, np.float32(0)
        )
        self.offset = tensors.get("offset", np.zeros(self.dim, np.float32))
        self.firsts = np.cumsum(self.widths) - self.widths
        self.bits = -(-int(self.widths.sum()) // 8) * 8
        flips = 1 + np.arange(self.dim) * 613 % (2**self.window - 1)
        self.flips = np.where(self.widths == 0, flips, 0)

    def table(self, column: int) -> NDArray[np.float32]:
        """The table of a column."""
        return self.tables[max(self.widths[column], 1) - 1]

    def windows(self, packed: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Windows of the codes (rows, row_bytes), array (rows, dim)."""
        bits = np.unpackbits(packed[:, 1:], axis=1, bitorder="little").astype(np.int64)
        around = np.concatenate([bits, bits, bits], axis=1)
        places = [2**i for i in range(self.window)]
        return np.stack([around[:, f : f + self.window] @ places for f in self.firsts], axis=1)

    def unscaled(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Values of windows, array (rows, dim)."""
        places = windows ^ self.flips
        return np.stack([self.table(j)[places[:, j]] for j in range(self.dim)], axis=1)

    def decode(self, packed: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of codes."""
        scales = self.factors * self.gains[packed[:, :1]]
        return self.unscaled(self.windows(packed)) * scales + self.offset

    # Encoding

    def steps(self, reach: int) -> tuple[list[tuple[int, int, float]], int, int]:
        """Columns from the last to the first with widths and weights; where a search begins and ends."""
        factors = self.factors.astype(float)
        expected = [
            (np.abs(self.table(j)).max() * factors[j]) ** 2 * 4.0 ** (-self.widths[j] - 1)
            for j in reversed(range(self.dim))
            if factors[j] > 0
        ]
        exponent = np.frexp(sum(expected) / len(expected))[1] if sum(expected) > 0 else 0
        steps = [(self.dim, self.bits - int(self.widths.sum()), np.float32(0))]
        for j in reversed(range(self.dim)):
            weight = np.ldexp(self.factors[j] * self.factors[j], -exponent)
            steps.append((j, int(self.widths[j]), weight))
        kept = [s for s in steps if s[1] > 0 or (s[0] < self.dim and factors[s[0]] > 0)]

        def number(some: list[tuple[int, int, float]]) -> int:
            count = bits = 0
            while count < len(some) and bits < reach:
                bits += some[count][1]
                count += 1
            return count

        return kept, number(kept[::-1]), number(kept)

    def search(self, row: NDArray[np.float32], reach: int) -> NDArray[np.int64]:
        """Windows of a row over its gain, and one more for the spare bits."""
        kept, before, after = self.steps(reach)
        entries = np.append(row, np.float32(0))
        first = kept[len(kept) - before :] + kept[:after]
        path = self._path(first, entries, np.ones(2**self.window, np.float32), None)
        found = np.zeros(self.dim + 1, np.int64)
        columns = [step[0] for step in kept]
        self._go_round(kept, entries, path[before - 1], found)
        if self.bits < SHORT * self.window:
            for quarter in (2, 1, 3, 2):
                cut = len(kept) * quarter // 4
                if cut:
                    junction = int(found[columns[cut - 1]])
                    self._go_round(kept[cut:] + kept[:cut], entries, junction, found)
        return found

    def _go_round(
        self,
        steps: list[tuple[int, int, float]],
        entries: NDArray[np.float32],
        junction: int,
        found: NDArray[np.int64],
    ) -> None:
        start = np.full(2**self.window, NEVER)
        start[junction] = 1
        found[[step[0] for step in steps]] = self._path(steps, entries, start, junction)

    def _path(
        self,
        steps: list[tuple[int, int, float]],
        entries: NDArray[np.float32],
        costs: NDArray[np.float32],
        end: int | None,
    ) -> list[int]:
        """The window after each step, of the cheapest path (to ``end``, where there is one)."""
        windows = np.arange(costs.size)
        decisions = []
        for taken, (column, width, weight) in enumerate(steps, 1):
            spare = column == self.dim
            factor = np.float32(0) if spare else self.factors[column]
            inverse = np.float32(1) / factor if factor > 0 else np.float32(0)
            flip = 0 if spare else self.flips[column]
            table = self.tables[width - 1] if spare else self.table(column)
            difference = entries[column] * inverse - table[windows ^ flip]
            error = difference * difference * np.float32(weight)
            branches = np.arange(2**width, dtype=np.int32)[:, None]
            tagged = (
                costs.view(np.int32).reshape(2**width, -1) & ~np.int32(2**width - 1)
            ) | branches
            best = tagged.min(axis=0)  # positive floats are ordered as their bits are
            decisions.append(best & np.int32(2**width - 1))
            costs = (best & ~np.int32(2**width - 1)).view(np.float32)[windows >> width] + error
            if taken % LOWERED_EACH == 0:
                costs = costs - (costs.min() - np.float32(1))
        at = int(costs.argmin()) if end is None else end
        path = []
        for (_, width, _), decided in zip(reversed(steps), reversed(decisions), strict=True):
            path.append(at)
            rest = at >> width
            at = (int(decided[rest]) << (self.window - width)) | rest
        return path[::-1]

    def encode(self, rows: NDArray[np.float32], reach: int) -> NDArray[np.uint8]:
        """Gains and codes of rows."""
        packed = np.zeros((len(rows), 1 + self.bits // 8), np.uint8)
        widths = [*self.widths, self.bits - int(self.widths.sum())]
        for to, row in zip(packed, rows - self.offset, strict=True):
            square = sum(float(entry) ** 2 for entry in row)  # one after another
            if square == 0:
                continue
            gain = max(self._gain_code(np.sqrt(square / self.dim)), 1)
            windows = self.search(row * (np.float32(1) / self.gains[gain]), reach)
            values = self.unscaled(windows[None, :-1])[0].astype(float) * self.factors.astype(float)
            kept = self.factors > 0
            product = sum((values * row.astype(float))[kept])
            norm = sum(np.square(values)[kept])
            to[0] = self._gain_code(product / norm) if norm > 0 else 0
            if to[0]:
                bits = [w >> i & 1 for w, k in zip(windows, widths, strict=True) for i in range(k)]
                to[1:] = np.packbits(np.array(bits, np.uint8), bitorder="little")
        return packed

    def _gain_code(self, gain: float) -> int:
        return int(np.abs(self.gains.astype(float) - gain).argmin())


# Tables and codecs that the tests have in common

SMALL = "rounds=1,sample=40"


def table(rows: int = 200, dim: int = 37, decay: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """Columns of falling strength in an order of their own, rows of many lengths, off the origin."""
    random = np.random.default_rng(seed)
    strengths = random.permutation(np.arange(1, dim + 1) ** -decay)
    lengths = np.exp(0.5 * random.standard_normal((rows, 1)))
    X = random.standard_normal((rows, dim)) * strengths * lengths
    return (X + 0.3 * strengths).astype(np.float32)


def relative_error(X: NDArray[Any], rebuilt: NDArray[Any]) -> float:
    X = X.astype(float)
    return float(np.square(X - rebuilt).sum() / np.square(X - X.mean(axis=0)).sum())


def codec(bits: object, **options: object) -> str:
    written = ",".join(f"{name}={value}" for name, value in options.items())
    return f"trellis:{bits}({SMALL}{',' * bool(written)}{written})"


def fitted(X: NDArray[np.float32], text: str) -> Any:
    return parse_codec(text).fit(as_source(X), Engine(1))


def core_code(core: Any, tensors: Any) -> Any:
    names = ("widths", "scales", "grid", "offset", "tables", "steps", "wide_tables")
    return core.stored_trellis_code("trellis", *(tensors.get(name) for name in names))
