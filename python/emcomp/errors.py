"""The errors emcomp raises: one family, each message says what, where and what to do."""

from __future__ import annotations


class EmcompError(Exception):
    """Base of every error that emcomp raises on purpose."""


class InputError(EmcompError, ValueError):
    """Data or an argument that cannot be used."""


class UndefinedError(InputError):
    """A measure that has no value for this pair of tables, such as a difference of two shapes."""


class FormatError(EmcompError):
    """A file that is not what it should be: unknown format, wrong header, ragged text."""


class CorruptFileError(FormatError):
    """A file of the right format whose content is damaged or cut short."""


class EmcompWarning(UserWarning):
    """Base of every warning that emcomp gives."""


class RankWarning(EmcompWarning):
    """A table has less than full numerical rank, so that a measure saw fewer directions."""
