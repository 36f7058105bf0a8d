"""Checking JSON objects that a file holds, before anything in them is used."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from emcomp.errors import FormatError

Rule = Callable[[Any], bool]

_DIGEST = re.compile(r"[0-9a-f]{16}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")


def is_text(value: Any) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


def is_count(value: Any) -> bool:
    """Whether a value is a whole number that counts rows or entries."""
    return type(value) is int and 0 <= value < 2**63


def is_size(value: Any) -> bool:
    """Whether a value counts at least one row or entry."""
    return is_count(value) and value > 0


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def is_digest(value: Any) -> bool:
    """Whether a value is a checksum, as 16 hexadecimal digits."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_file_name(value: Any) -> bool:
    """Whether a value is the plain name of a file, without a path."""
    return isinstance(value, str) and _FILE_NAME.fullmatch(value) is not None


def is_object(value: Any) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list_of(rule: Rule, length: int | None = None) -> Rule:
    """Whether a value is a list of values that a rule holds for, of a length where one is given."""
    return lambda value: (
        isinstance(value, list)
        and (length is None or len(value) == length)
        and all(map(rule, value))
    )


def is_null_or(rule: Rule) -> Rule:
    """Whether a value is null or as a rule says."""
    return lambda value: value is None or rule(value)


def check_fields(document: Any, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """A JSON object with exactly the fields of ``rules``, each as its rule says.

    Raises:
        FormatError: naming the field that is missing, not known or not valid.
    """
    if not isinstance(document, dict):
        raise FormatError(f"a JSON object is expected, not {type(document).__name__}")
    for name in document:
        if name not in rules:
            raise FormatError(f"the field {str(name)[:40]!r} is not known")
    for name, rule in rules.items():
        if name not in document:
            raise FormatError(f"the field {name!r} is missing")
        if not rule(document[name]):
            raise FormatError(
                f"the field {name!r} has the invalid value {str(document[name])[:40]!r}"
            )
    return document
