"""English text that every Python installation carries: its own documentation."""

from __future__ import annotations

import importlib.util
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3"}

# Sources are read as text, never imported. A string on lines of its own is a docstring.
_DOCSTRING = re.compile(r'^[ \t]*[rRuU]?("""|\'\'\')(.*?)\1', re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?:^[ \t]*#[ \t].*\n)+", re.MULTILINE)
_COMMENT_SIGN = re.compile(r"^[ \t]*#", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?:;](?:\s|$)|\n\s*\n")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def sentences() -> Iterator[list[str]]:
    """The words, in small letters, of each sentence of Python's documentation.

    That is the language reference that ``help()`` shows, and the docstrings and comments of the
    standard library, in an order that does not change.
    """
    for text in _texts():
        for sentence in _SENTENCE_END.split(text.lower()):
            words = _WORD.findall(sentence)
            if len(words) > 1:
                yield words


def _texts() -> Iterator[str]:
    yield from _topics()
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).parts
        if _LEFT_OUT.isdisjoint(parts) and parts[0] != "pydoc_data":
            source = path.read_text("utf-8", "replace")
            yield from (match[2] for match in _DOCSTRING.finditer(source))
            yield from (_COMMENT_SIGN.sub("", match[0]) for match in _COMMENT.finditer(source))


def _topics() -> list[str]:
    """The topics of ``help()``, which some distributions leave out."""
    if importlib.util.find_spec("pydoc_data") is None:
        return []
    from pydoc_data.topics import topics

    return [topics[name] for name in sorted(topics)]
