"""From what is given to a file of a known format: the one way in of all that read files.

A path is found (`located`), what wraps the file is taken off (`unwrapped`), and its content is
recognised (`recognise`). A format's own module does the rest.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from emcomp.errors import FormatError, InputError
from emcomp.io.formats.recognition import VectorFormat, check_format, naming, recognise
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.paths import INDEX_ENDING
from emcomp.io.sources.unwrapping import unwrapped
from emcomp.vocabulary.given_words import GivenWords, given_words

Kind = VectorFormat | Literal["raw", "index"]
"""A format, or what is recognised otherwise: numbers alone, and the index of a checkpoint."""

_OPTIONS: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    ("tensor", ("npz", "safetensors", "torch", "gguf", "hdf5", "index")),
    ("column", ("parquet", "arrow")),
    ("words_column", ("parquet", "arrow", "csv")),
    ("dtype", ("npy", "raw")),
    ("shape", ("raw", "glove-binary")),
)
"""Which formats take an option."""


class Options(NamedTuple):
    """How a file is to be read, where its content leaves it open; as `open_source` describes."""

    format: str | None = None
    member: str | None = None
    tensor: str | None = None
    column: str | None = None
    words_column: str | None = None
    dtype: str | None = None
    shape: tuple[int | None, int] | None = None
    threads: int | None = None

    def check(self) -> None:
        """Raise InputError if options contradict each other."""
        if self.format is not None:
            check_format(self.format)
        if self.shape is None and self.dtype not in (None, "bfloat16"):
            raise InputError(
                "dtype= without shape= can only be 'bfloat16'; raw numbers need "
                "shape=(rows or None, dim)"
            )
        if self.shape is not None and self.dtype is None and self.format != "glove-binary":
            raise InputError("shape= is for raw numbers, which need dtype= too")
        if self.shape is not None and self.format not in (None, "glove-binary"):
            raise InputError(f"shape= is for raw numbers, which are not {self.format}")

    def with_rows(self, words: GivenWords | None) -> tuple[Options, GivenWords | None]:
        """With the number of rows of a format that does not say it; and the words, which do."""
        if self.format != "glove-binary" or self.shape is not None or words is None:
            return self, words
        listed = given_words(words)
        return self._replace(shape=(len(listed), 1)), listed


class Recognised(NamedTuple):
    """A file that is not wrapped any more, and what it is."""

    file: StoredFile
    kind: Kind


def recognised(file: StoredFile, options: Options, limit: int | None = None) -> Recognised:
    """Take off what wraps a file, and tell what it is.

    Args:
        file: the file.
        options: ``format`` is taken at its word, and each other option must fit the format.
        limit: vectors that are wanted, so that no more is decompressed.

    Raises:
        InputError: if an option does not fit the file.
        FormatError: if it is none that can be read, saying what it is.
        CorruptFileError: if it is compressed and damaged.
    """
    with naming(file.name):
        if file.size == 0:
            raise FormatError("the file is empty")
        kind: Kind
        if options.shape is not None and options.format is None:
            kind = "raw"
        elif options.format in ("gensim", "glove-binary"):
            kind = check_format(options.format)
        elif options.format is None and file.name.endswith(INDEX_ENDING):
            kind = "index"
        else:
            file = unwrapped(file, options.member, limit)
            kind = recognise(file) if options.format is None else check_format(options.format)
        for option, kinds in _OPTIONS:
            if getattr(options, option) is not None and kind not in kinds:
                raise InputError(
                    f"a {kind} file takes no {option}=, which is for {', '.join(kinds)}"
                )
    return Recognised(file, kind)
