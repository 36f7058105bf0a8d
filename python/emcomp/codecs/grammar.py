"""The short strings that name codecs.

A string is stages joined by ``+``, each ``name:size(option=value,...)``; options at their defaults
are left out, and the one option that a stage is mostly about needs no name: ``uniform:4``,
``uniform:2(granularity=row)``, ``whiten(0.5)+uniform:3``. Sizes are whole numbers, or decimal
fractions where a stage has use for them: ``allocate:0.85``.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, ClassVar, TypeVar

import numpy as np

from emcomp.errors import InputError


class Stage:
    """Something a stage of a string names: a frozen dataclass whose fields are its settings."""

    name: ClassVar[str]
    size_fields: ClassVar[tuple[str, ...]]
    """Fields written after the colon, joined by ``x``; the others are options."""
    fractional_sizes: ClassVar[tuple[str, ...]] = ()
    """Those of them that need not be whole numbers."""
    short_size_fields: ClassVar[tuple[str, ...]] = ()
    """Fields of a second, shorter size that some stages have, from which they work out the other.
    A stage has the one or the other; the fields that it does not have are None."""
    main_option: ClassVar[str | None] = None
    """The option that is written, before all others, without its name."""

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:  # noqa: ARG003
        """Codecs worth trying on a table of this shape where nobody has named any."""
        return []

    def __str__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        short = any(getattr(self, name) is None for name in self.size_fields)
        size_fields = self.short_size_fields if short else self.size_fields
        size = "x".join(_size_text(getattr(self, name)) for name in size_fields)
        options = [
            str(value) if field.name == self.main_option else f"{field.name}={value}"
            for field in sorted(fields, key=lambda field: field.name != self.main_option)
            if field.name not in size_fields
            and (value := getattr(self, field.name)) != field.default
        ]
        return (
            self.name + (f":{size}" if size else "") + (f"({','.join(options)})" if options else "")
        )


StageClass = TypeVar("StageClass", bound=type[Stage])
_stages: dict[str, type[Stage]] = {}


def register(stage: StageClass) -> StageClass:
    """Class decorator: make a stage known by its name."""
    _stages[stage.name] = stage
    return stage


def default_candidates(shape: tuple[int, int]) -> list[str]:
    """What all stages offer for a table of this shape, as strings."""
    return [candidate for stage in _stages.values() for candidate in stage.candidates(shape)]


def _size_text(size: float) -> str:
    """The shortest text of a number, without an exponent: 2 for 2.0."""
    return str(size) if isinstance(size, int) else np.format_float_positional(size, trim="-")


def _number_or_text(text: str) -> int | float | str:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


_STAGE = re.compile(
    r"(?P<name>[a-z_]+)(:(?P<size>[^()]*))?(\((?P<options>[^()]*)\))?", re.ASCII | re.DOTALL
)
_WHOLE = re.compile(r"\d+", re.ASCII)
_DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)
_MOST_STAGES = 16
_MOST_CHARACTERS = 4096


def _parse_stage(text: str) -> Stage:
    match = _STAGE.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is not a codec; write it like 'uniform:4'")
    kind = _stages.get(match["name"])
    if kind is None:
        raise InputError(f"unknown codec {match['name']!r}; known: {', '.join(sorted(_stages))}")
    settings: dict[str, Any] = {}
    sizes = match["size"].split("x") if match["size"] else []
    short = len(sizes) == len(kind.short_size_fields) > 0
    size_fields = kind.short_size_fields if short else kind.size_fields
    numbers = [_DECIMAL if field in kind.fractional_sizes else _WHOLE for field in size_fields]
    if len(sizes) != len(numbers) or not all(map(re.fullmatch, numbers, sizes)):
        forms = [kind.size_fields, *filter(None, (kind.short_size_fields,))]
        wanted = " or ".join(":".join(filter(None, (kind.name, "x".join(f)))) for f in forms)
        if kind.size_fields:
            wanted += " with a decimal number" if kind.fractional_sizes else " with whole numbers"
        raise InputError(f"codec {text!r}: expected {wanted}")
    settings.update(zip(size_fields, map(_number_or_text, sizes), strict=True))
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for position, option in enumerate(filter(None, (match["options"] or "").split(","))):
        key, equals, value = option.partition("=")
        if not equals and kind.main_option is not None and position == 0:
            key, value = kind.main_option, option
        elif not equals or key not in known or key in settings:
            choices = ", ".join(sorted(known - set(size_fields)))
            raise InputError(f"codec {text!r}: bad option {option!r}; options are: {choices}")
        settings[key] = _number_or_text(value)
    return kind(**settings)


def parse_stages(text: str) -> list[Stage]:
    """The stages that a string names, in order.

    Raises:
        InputError: if it names none, with what was expected.
    """
    if len(text) > _MOST_CHARACTERS:
        raise InputError(
            f"a codec of {len(text)} characters: at most {_MOST_CHARACTERS} are allowed"
        )
    stages = [""]
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "+" and depth == 0:  # 1e+06 may be in brackets
            stages.append("")
        else:
            stages[-1] += character
    if len(stages) > _MOST_STAGES:
        raise InputError(f"a codec of {len(stages)} stages: at most {_MOST_STAGES} are allowed")
    return [_parse_stage(stage.strip()) for stage in stages]
