"""emcomp.h through ctypes: what another language would write, with NumPy arrays."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

OK, INVALID, OUT_OF_RANGE, UNKNOWN_WORD, NOT_A_TABLE, CORRUPT, IO_ERROR = range(7)
INCOMPATIBLE = 8
MODES = {"sum": 0, "mean": 1, "max": 2}

_size, _pointer, _int = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
_SIGNATURES = {
    "check_abi": (_int, [_int, _int]),
    "version": (ctypes.c_char_p, []),
    "isa": (ctypes.c_char_p, []),
    "last_error": (ctypes.c_char_p, []),
    "open": (_int, [ctypes.c_char_p, _pointer]),
    "close": (None, [_pointer]),
    "verify": (_int, [_pointer]),
    "rows": (ctypes.c_int64, [_pointer]),
    "dim": (ctypes.c_int64, [_pointer]),
    "codec": (ctypes.c_char_p, [_pointer]),
    "has_words": (_int, [_pointer]),
    "lookup": (_int, [_pointer, _pointer, _size, _pointer, _size, _int]),
    "bag": (
        _int,
        [_pointer, _pointer, _size, _pointer, _size, _pointer, _int, _pointer, _size, _int],
    ),
    "similar": (_int, [_pointer, _pointer, _size, _size, _pointer, _pointer, _pointer, _int]),
    "similar_to_row": (
        _int,
        [_pointer, ctypes.c_int64, _size, _pointer, _pointer, _pointer, _int],
    ),
    "find_word": (_int, [_pointer, ctypes.c_char_p, _size, _pointer]),
    "word": (_int, [_pointer, ctypes.c_int64, _pointer, _pointer]),
}


class StatusError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Library:
    """The functions of a shared library, by their names without the prefix."""

    def __init__(self, path):
        self.path = path
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, f"emcomp_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def require(self, status):
        if status != OK:
            raise StatusError(status, self.last_error().decode(errors="backslashreplace"))


class Table:
    """A table that the library has opened."""

    def __init__(self, library, path):
        self.library = library
        self.handle = ctypes.c_void_p()
        library.require(library.open(str(Path(path)).encode(), ctypes.byref(self.handle)))
        self.shape = library.rows(self.handle), library.dim(self.handle)
        self.codec = library.codec(self.handle).decode()
        self.has_words = bool(library.has_words(self.handle))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.library.close(self.handle)

    def verify(self):
        self.library.require(self.library.verify(self.handle))

    def lookup(self, ids, threads=1):
        ids = np.ascontiguousarray(ids, np.int64)
        out = np.full((ids.size, self.shape[1]), np.nan, np.float32)
        self.library.require(
            self.library.lookup(
                self.handle, ids.ctypes.data, ids.size, out.ctypes.data, out.size, threads
            )
        )
        return out

    def bag(self, ids, offsets, mode, weights=None, threads=1):
        ids, offsets = np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(offsets, np.int64)
        out = np.full((offsets.size, self.shape[1]), np.nan, np.float32)
        weight = None if weights is None else np.ascontiguousarray(weights, np.float32)
        self.library.require(
            self.library.bag(
                self.handle,
                ids.ctypes.data,
                ids.size,
                offsets.ctypes.data,
                offsets.size,
                None if weight is None else weight.ctypes.data,
                MODES.get(mode, 7),
                out.ctypes.data,
                out.size,
                threads,
            )
        )
        return out

    def similar(self, query, k, threads=1):
        """Rows and cosines nearest to a vector, or to a row given by its number."""
        rows, cosines = np.empty(k, np.int64), np.empty(k, np.float64)
        found = ctypes.c_size_t()
        out = (rows.ctypes.data, cosines.ctypes.data, ctypes.byref(found), threads)
        if isinstance(query, int):
            status = self.library.similar_to_row(self.handle, query, k, *out)
        else:
            vector = np.ascontiguousarray(query, np.float32)
            status = self.library.similar(self.handle, vector.ctypes.data, vector.size, k, *out)
        self.library.require(status)
        pairs = zip(rows.tolist(), cosines.tolist(), strict=True)
        return list(pairs)[: found.value]

    def find(self, word):
        row = ctypes.c_int64()
        self.library.require(
            self.library.find_word(self.handle, word, len(word), ctypes.byref(row))
        )
        return row.value

    def word(self, row):
        begin, length = ctypes.c_void_p(), ctypes.c_size_t()
        self.library.require(
            self.library.word(self.handle, row, ctypes.byref(begin), ctypes.byref(length))
        )
        return ctypes.string_at(begin.value or 0, length.value) if length.value else b""
