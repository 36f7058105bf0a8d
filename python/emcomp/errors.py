"""The errors emcomp raises: one family, each message says what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable


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


class UnknownWordError(EmcompError, KeyError):
    """A word that is not in the vocabulary.

    The message names the closest words. They are looked for when the message is first printed, so
    that code which catches the error pays nothing for them.

    Attributes:
        word: the word that was asked for.
    """

    def __init__(self, word: str, find_closest: Callable[[], list[str]]) -> None:
        super().__init__(word)
        self.word = word
        self._find_closest = find_closest
        self._closest: list[str] | None = None

    @property
    def closest(self) -> list[str]:
        """The closest words, nearest first."""
        if self._closest is None:
            self._closest = self._find_closest()
        return self._closest

    def __str__(self) -> str:
        """The message, with the closest words."""
        message = f"the word {self.word!r} is not in the vocabulary"
        if not self.closest:
            return message
        return f"{message}; the closest are {', '.join(map(repr, self.closest))}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled with the closest words in place of the vocabulary."""
        return _unpickled_unknown_word, (self.word, self.closest)


def _unpickled_unknown_word(word: str, closest: list[str]) -> UnknownWordError:
    return UnknownWordError(word, lambda: closest)


class EmcompWarning(UserWarning):
    """Base of every warning that emcomp gives."""


class RankWarning(EmcompWarning):
    """A table has less than full numerical rank, so that a measure saw fewer directions."""
