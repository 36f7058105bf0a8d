"""Opening a file, folder, glob or URL as a source, whatever it holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emcomp.errors import InputError
from emcomp.io.inputs import Options, Recognised, recognised
from emcomp.io.sources.columns import ArrowSource, ParquetSource
from emcomp.io.sources.concatenated import ConcatenatedSource
from emcomp.io.sources.fasttext import FastTextSource
from emcomp.io.sources.hdf5 import Hdf5Source
from emcomp.io.sources.held import GloveBinarySource, open_gensim
from emcomp.io.sources.iterables import IterableSource
from emcomp.io.sources.matrices import open_npy, open_npz, open_raw
from emcomp.io.sources.opened import OpenedSource
from emcomp.io.sources.paths import located
from emcomp.io.sources.temporary import stored
from emcomp.io.sources.tensors import open_sharded_tensors, open_tensors
from emcomp.io.sources.windows import TextSource, Word2VecBinarySource


def open_source(
    table: str | os.PathLike[str] | Callable[[], Iterable[Any]],
    *,
    format: str | None = None,  # noqa: A002
    member: str | None = None,
    tensor: str | None = None,
    column: str | None = None,
    words_column: str | None = None,
    dtype: str | None = None,
    shape: tuple[int | None, int] | None = None,
    threads: int | None = None,
) -> OpenedSource:
    """Open a table of any size whose rows are read in blocks, and never all at once.

    What it is, is told from its content. Opening checks that lengths fit; numbers are read when rows
    are asked for. The source pickles as a small handle (name, row ranges), and every access checks
    that size and time of change of its files are what they were.

    Args:
        table: a file of any format that `read_vectors` reads, which may be compressed or in an
            archive; ``-`` or a pipe, which is copied to a temporary file; a folder or glob of files,
            which are taken in the order of their names as one table; or a URL of any of these that
            fsspec knows. Or a function without arguments that returns the rows as an iterable of
            arrays (any number of rows, dim); it is called once for each pass, and must give the
            same rows every time.
        format: as for `read_vectors`, where the content leaves it open.
        member: which file of a zip or tar archive to take, where several may be meant.
        tensor: the name of the table in an npz or HDF5 file or checkpoint, where it is not plain.
        column: the column of vectors of a Parquet or Arrow file, where it is not plain.
        words_column: the column of words of such a file or of CSV, where it is not plain.
        dtype: ``"bfloat16"`` for npy files of uint16 that are the bits of bfloat16; with ``shape``,
            the type of raw numbers: float16, bfloat16, float32 or float64.
        shape: rows (None for what the file has) and dimension of a file of raw numbers; rows and
            dimension of what a function returns.
        threads: threads to parse text with; by default as many as OpenMP has where it is read.

    Returns:
        The source, with ``shape``, ``dtype``, ``read(first, count)`` and ``words(first, count)``.

    Raises:
        InputError: if an argument does not fit the others or the file, or files of one table differ;
            for a function, if a block does not fit, here for the first and while reading for others.
        FormatError: if a file is not as its format asks, is cut short, or is none that can be read.
        OSError: if a file cannot be read.
    """
    if not isinstance(table, (str, os.PathLike)):
        given = {"format": format, "tensor": tensor, "column": column, "words_column": words_column,
                 "member": member}  # fmt: skip
        return _from_function(table, shape, dtype, given)
    options = Options(format, member, tensor, column, words_column, dtype, shape, threads)
    options.check()
    place = located(table)
    if isinstance(place, list):
        return open_files(os.fspath(table), place, options)
    return open_recognised(recognised(place, options), options)


def open_files(name: str, files: list[str], options: Options) -> OpenedSource:
    """The rows of several files, one after another.

    Raises:
        InputError: if they differ.
        FormatError: if one of them is none that can be read.
    """
    if options.shape is not None and options.shape[0] is not None:
        raise InputError("the files of a folder have rows of their own: shape=(None, dim)")
    parts = [open_recognised(recognised(stored(f), options), options) for f in files]
    return parts[0] if len(parts) == 1 else ConcatenatedSource(name, parts)


def open_recognised(found: Recognised, options: Options) -> OpenedSource:
    """A file of a known format as a source."""
    file, kind = found
    if kind == "npy":
        return open_npy(file, options.dtype)
    if kind == "npz":
        return open_npz(file, options.tensor)
    if kind in ("safetensors", "torch", "gguf"):
        return open_tensors(file, kind, options.tensor)
    if kind == "index":
        return open_sharded_tensors(file, options.tensor)
    if kind == "hdf5":
        return Hdf5Source(file, options.tensor)
    if kind == "parquet":
        return ParquetSource(file, options.column, options.words_column)
    if kind == "arrow":
        return ArrowSource(file, options.column, options.words_column)
    if kind == "fasttext":
        return FastTextSource(file, threads=options.threads)
    if kind == "word2vec-binary":
        return Word2VecBinarySource(file, threads=options.threads)
    if kind == "gensim":
        return open_gensim(file)
    if kind == "raw":
        assert options.dtype is not None
        assert options.shape is not None
        return open_raw(file, options.dtype, options.shape)
    if kind == "glove-binary":
        if options.shape is None or options.shape[0] is None:
            raise InputError(
                f"{file.name}: GloVe's binary format does not say how many words it has: give "
                "read_vectors their file with words=, or open_source their number with "
                "shape=(rows, dim)"
            )
        return GloveBinarySource(file, options.shape[0])
    return TextSource(file, kind, words_column=options.words_column, threads=options.threads)


def _from_function(
    factory: Callable[[], Iterable[Any]],
    shape: tuple[int | None, int] | None,
    dtype: str | None,
    others: Mapping[str, object],
) -> IterableSource:
    named = [name for name, value in others.items() if value is not None]
    if named:
        raise InputError(f"{named[0]}= is for files; a function takes shape= and dtype=")
    if shape is None or shape[0] is None:
        raise InputError("a function of rows needs shape=(rows, dim)")
    return IterableSource(factory, (shape[0], shape[1]), dtype=dtype)
