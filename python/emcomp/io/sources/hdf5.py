"""Vectors in a dataset of an HDF5 file, read by ranges with h5py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.recognition import is_of_the_system, naming
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import OpenedSource
from emcomp.vocabulary.word_list import WordList

_FLOATS = ("float16", "float32", "float64")


class Hdf5Source(OpenedSource):
    """A two-dimensional dataset, and the only one of strings that has as many.

    Args:
        file: the file.
        tensor: the name of the dataset; None for the only one that can be.

    Raises:
        InputError: if h5py is not installed, or there is no such dataset.
        FormatError: if no dataset can be told to be the table.
        CorruptFileError: if the file is damaged.
    """

    def __init__(self, file: StoredFile, tensor: str | None) -> None:
        self._file = file
        with naming(file.name), self._opened() as opened:
            shapes, dtypes = _datasets(opened)
            self._table = _choose(shapes, dtypes, tensor)
            rows, dim = shapes[self._table]
            strings = [n for n, s in shapes.items() if s == (rows,) and dtypes[n] == "string"]
            self._words_name = strings[0] if len(strings) == 1 else None
            dtype = dtypes[self._table]
        super().__init__(file.name, (rows, dim), dtype)
        self.has_words = self.words_guessed = self._words_name is not None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import h5py
        except ImportError as error:
            raise InputError("HDF5 files need h5py: pip install 'emcomp[hdf5]'") from error
        self._file.check_unchanged()
        with self._file.open() as file:
            try:
                with h5py.File(file, "r") as opened:
                    yield opened
            except (OSError, RuntimeError, KeyError) as error:
                if is_of_the_system(error):
                    raise
                raise CorruptFileError(f"the HDF5 file cannot be read: {error}") from error

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count)."""
        self._check_range(first, count)
        with naming(self.name), self._opened() as opened:
            return np.asarray(opened[self._table][first : first + count])

    def _words(self, first: int, count: int) -> Iterator[WordList]:
        with naming(self.name), self._opened() as opened:
            values = opened[self._words_name][first : first + count]
        yield WordList.from_strings([bytes(v) if isinstance(v, bytes) else str(v) for v in values])


def _datasets(opened: Any) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shape and type of each dataset; "string" for text of any length."""
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = tuple(item.shape or ())
            is_text = h5py.check_string_dtype(item.dtype) is not None or item.dtype.kind == "S"
            dtypes[name] = "string" if is_text else item.dtype.name

    opened.visititems(note)
    return shapes, dtypes


def _choose(shapes: dict[str, tuple[int, ...]], dtypes: dict[str, str], wanted: str | None) -> str:
    listed = ", ".join(f"{name!r} {dtypes[name]} {shape}" for name, shape in shapes.items())[:1000]
    tables = [n for n, s in shapes.items() if len(s) == 2 and 0 not in s and dtypes[n] in _FLOATS]
    if wanted is not None:
        if wanted.strip("/") not in tables:
            raise InputError(f"no table {wanted!r} of float numbers; the file has {listed}")
        return wanted.strip("/")
    if len(tables) != 1:
        found = "several tables; name one with tensor=" if tables else "no table of float numbers"
        raise FormatError(f"{found}: {listed or 'no datasets'}")
    return tables[0]
