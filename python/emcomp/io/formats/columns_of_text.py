"""How a text of columns is laid out: which are numbers, which are words, whether there is a heading.

CSV with commas, semicolons or tabs, and lines of numbers alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from emcomp import _core
from emcomp.errors import FormatError, InputError
from emcomp.vocabulary.word_files import WORD_COLUMNS

_SEPARATORS = (",", ";", "\t")


class TextColumns(NamedTuple):
    """Where lines have numbers and words."""

    separator: str
    """A space stands for any number of spaces and tabs."""
    word: int
    """Column of the words, or -1."""
    first: int
    """Column of the first number."""
    dim: int
    columns: int
    """How many there are."""
    has_heading: bool


def is_csv(lines: Sequence[bytes]) -> bool:
    """Whether lines are CSV rather than words and numbers with spaces or tabs between them."""
    best = _best_split(lines)
    if best is None:
        return False
    numeric, _, rows = best
    counts = [_core.count_fields(line)[1] for line in lines]
    if _is_heading(rows):
        return counts[0] == 0
    return 2 * sum(count >= numeric for count in counts) <= len(counts)


def columns_of_text(lines: Sequence[bytes], words_column: str | None = None) -> TextColumns:
    """The columns of a CSV text: those that the separator makes that gives most numbers.

    Args:
        lines: the first lines of the text.
        words_column: the heading of the column of words, or its number, counted from 0.

    Raises:
        InputError: if there is no such column.
        FormatError: if no separator gives columns of numbers, or it is not plain which of them are
            vectors or words.
    """
    best = _best_split(lines)
    if best is None:
        raise FormatError(
            "no columns of numbers are separated by commas, semicolons or tabs, the same number on "
            "each line"
        )
    _, separator, rows = best
    return _columns(rows, separator, words_column)


def columns_of_numbers(lines: Sequence[bytes]) -> TextColumns:
    """The columns of lines of numbers alone, separated by spaces and tabs."""
    dim = max((_core.count_fields(line)[1] for line in lines), default=0)
    if dim == 0:
        raise FormatError("line 1, column 1: there are no numbers")
    return TextColumns(" ", -1, 0, dim, dim, False)


def numbered_columns(names: Sequence[str]) -> list[int] | None:
    """The columns whose names are one name with the numbers 0, 1, ... or 1, 2, ... in this order.

    None where no names are like that, or those of several kinds.
    """
    families: dict[str, list[tuple[int, int]]] = {}
    for column, name in enumerate(names):
        found = re.fullmatch(r"(.*?)(\d{1,9})", name, re.DOTALL)
        if found:
            families.setdefault(found[1], []).append((int(found[2]), column))
    whole = []
    for family in families.values():
        numbers = [number for number, _ in family]
        if len(family) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            whole.append([column for _, column in family])
    return whole[0] if len(whole) == 1 else None


def _best_split(lines: Sequence[bytes]) -> tuple[int, str, list[list[str]]] | None:
    """Columns of numbers, separator and fields, for the separator that gives most numbers."""
    best: tuple[int, str, list[list[str]]] | None = None
    for separator in _SEPARATORS:
        rows = _split(lines, separator)
        numeric = 0 if rows is None else sum(_numeric_columns(rows[1:] or rows))
        if rows is not None and numeric > (0 if best is None else best[0]):
            best = numeric, separator, rows
    return best


def _split(lines: Sequence[bytes], separator: str) -> list[list[str]] | None:
    """The fields of lines that have as many as most, if that is more than one."""
    text = b"\n".join(lines).decode("utf-8", "surrogateescape").replace("\r", "")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        return None
    widths = Counter(map(len, rows))
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    if len(rows) != len(lines) or width < 2 or 2 * count <= len(rows):
        return None
    return [row for row in rows if len(row) == width]


def _is_number(field: str) -> bool:
    encoded = field.strip(" \t").encode("utf-8", "surrogateescape")
    return b" " not in encoded and _core.count_fields(encoded) == (1, 1)


def _numeric_columns(rows: list[list[str]]) -> list[bool]:
    return [all(_is_number(row[c]) for row in rows) for c in range(len(rows[0]))]


def _is_heading(rows: list[list[str]]) -> bool:
    """Whether the first line names columns: where others have numbers, or by their numbers."""
    numeric = _numeric_columns(rows[1:]) if len(rows) > 1 else []
    if any(kind and not _is_number(rows[0][c]) for c, kind in enumerate(numeric)):
        return True
    names = [rows[0][c].strip() for c, kind in enumerate(numeric) if kind]
    counts = names == [str(i) for i in range(len(names))]
    return counts and "" in rows[0] and len(names) > 0


def _columns(rows: list[list[str]], separator: str, words_column: str | None) -> TextColumns:
    has_heading = _is_heading(rows)
    data = rows[1:] if has_heading else rows
    names = [name.strip() for name in rows[0]] if has_heading else None
    numeric = [c for c, kind in enumerate(_numeric_columns(data)) if kind]
    count = len(rows[0])
    word = _word_column(names, numeric, count, words_column)
    numbers = [c for c in numeric if c != word]
    if names is not None:
        family = numbered_columns([names[c] for c in numbers])
        if family is not None:
            numbers = [numbers[i] for i in family]
        elif numbers and numbers[0] == 0 and names[0] == "":
            numbers = numbers[1:]  # the row numbers that pandas writes
    whole = [c for c in numbers if all(row[c].strip().lstrip("+-").isdigit() for row in data)]
    if 0 < len(whole) < len(numbers) and (odd := [c for c in whole if _is_varied(data, c)]):
        name = repr(names[odd[0]]) if names else str(odd[0])
        raise FormatError(
            f"column {name} holds whole numbers and the others do not: words_column={name} takes it "
            "for the words; if it is neither words nor part of the vectors, leave it out"
        )
    if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise FormatError("the columns of numbers are not one after another: leave out the others")
    return TextColumns(separator, word, numbers[0], len(numbers), count, has_heading)


def _is_varied(data: list[list[str]], column: int) -> bool:
    return len({row[column].strip() for row in data}) > 1


def _word_column(
    names: list[str] | None, numeric: list[int], count: int, wanted: str | None
) -> int:
    listed = ", ".join(map(repr, names)) if names else f"0 to {count - 1}"
    if wanted is not None:
        if names is not None and wanted in names:
            return names.index(wanted)
        if wanted.isdigit() and int(wanted) < count:
            return int(wanted)
        raise InputError(f"no column {wanted!r}; the file has {listed}")
    others = [c for c in range(count) if c not in numeric]
    if len(others) <= 1:
        return others[0] if others else -1
    lowered = [name.lower() for name in names or []]
    named = [lowered.index(name) for name in WORD_COLUMNS if name in lowered]
    if not named:
        raise FormatError(
            f"several columns hold no numbers; name that of the words with words_column=: {listed}"
        )
    return named[0]
