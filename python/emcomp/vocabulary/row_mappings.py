"""Words by row, from mappings of words to rows and of rows to words."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from emcomp.errors import InputError


def in_order(mapping: Mapping[Any, Any], what: str) -> list[str | bytes]:
    """The words of a mapping from words to rows, or from rows to words, in the order of the rows.

    Args:
        mapping: the mapping.
        what: what messages call it.

    Raises:
        InputError: if it does not have each of the rows 0, 1, ... once.
    """
    if all(_is_row(value) for value in mapping.values()):
        words, places = list(mapping), list(mapping.values())
    elif all(_is_row(key) for key in mapping):
        words, places = list(mapping.values()), list(mapping)
    else:
        word, row = next((w, r) for w, r in mapping.items() if not _is_row(r))
        raise InputError(
            f"{what} maps {word!r} to {row!r}: a mapping gives the row of each word, or the word of "
            "each row"
        )
    try:
        rows = np.fromiter(map(operator.index, places), np.int64, len(places))
    except OverflowError as error:
        raise InputError(f"{what} has a row that no table has: {error}") from error
    if rows.size == 0:
        return []
    order = np.argsort(rows, kind="stable")
    wrong = np.flatnonzero(rows[order] != np.arange(len(rows)))
    if wrong.size:
        expected = int(wrong[0])
        at = int(order[expected])
        found = int(rows[at])
        if 0 <= found < expected:
            other = words[int(order[expected - 1])]
            raise InputError(f"{what} has {other!r} and {words[at]!r} both in row {found}")
        raise InputError(
            f"{what} has no word for row {expected}; of its {len(rows)} words, {words[at]!r} is in "
            f"row {found}"
        )
    return [words[i] for i in order]


def _is_row(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
