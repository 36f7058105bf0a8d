"""Opening a file, folder, glob or URL as a source, whatever it holds."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from emcomp.errors import FormatError, InputError
from emcomp.io.formats.recognition import (
    TABLE_HEAD_BYTES,
    VectorFormat,
    check_format,
    is_gzip,
    is_table,
    naming,
    recognise,
)
from emcomp.io.sources.columns import ArrowSource, ParquetSource
from emcomp.io.sources.concatenated import ConcatenatedSource
from emcomp.io.sources.fasttext import FastTextSource
from emcomp.io.sources.files import StoredFile, file_system, is_remote
from emcomp.io.sources.gzip_text import GzipTextSource
from emcomp.io.sources.iterables import IterableSource
from emcomp.io.sources.matrices import (
    open_npy,
    open_npz,
    open_raw,
    open_safetensors,
    open_sharded_safetensors,
)
from emcomp.io.sources.opened import OpenedSource
from emcomp.io.sources.windows import TextSource, Word2VecBinarySource

StreamedFormat = VectorFormat | Literal["parquet", "arrow", "raw", "safetensors-index"]

_INDEX_ENDING = ".safetensors.index.json"
_CHECKPOINTS = ("model.safetensors.index.json", "model.safetensors")
"""What a folder with a checkpoint is read from, whatever else lies in it."""


class _Options(NamedTuple):
    format: str | None
    tensor: str | None
    column: str | None
    words_column: str | None
    dtype: str | None
    shape: tuple[int | None, int] | None
    threads: int | None


def open_source(
    table: str | os.PathLike[str] | Callable[[], Iterable[Any]],
    *,
    format: str | None = None,  # noqa: A002
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
        table: a file: npy, npz that is not compressed, safetensors (also the index of a checkpoint in
            several files), text or binary word vectors (text also compressed with gzip), a fastText
            model, Parquet, Arrow or Feather; a folder or glob of such files, which are taken in
            the order of their names as one table; or a URL of any of these that fsspec knows. Or a
            function without arguments that returns the rows as an iterable of arrays (any number of
            rows, dim); it is called once for each pass, and must give the same rows every time.
        format: ``"glove"``, ``"word2vec"``, ``"word2vec-binary"``, ``"fasttext"``, ``"npy"``,
            ``"npz"`` or ``"safetensors"``, where the content leaves it open.
        tensor: the name of the table in an npz file or checkpoint, where it is not plain.
        column: the column of vectors of a Parquet or Arrow file, where it is not plain.
        words_column: the column of words of such a file, if there is one.
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
        given = {"format": format, "tensor": tensor, "column": column, "words_column": words_column}
        return _from_function(table, shape, dtype, given)
    name = os.fspath(table)
    if shape is not None and dtype is None:
        raise InputError("shape= is for raw numbers, which need dtype= too")
    if dtype is not None and dtype != "bfloat16" and shape is None:
        raise InputError(
            "dtype= without shape= can only be 'bfloat16'; raw numbers need shape=(rows or None, dim)"
        )
    options = _Options(format, tensor, column, words_column, dtype, shape, threads)
    files = _files_of(name)
    if files is None:
        return _open_file(name, options)
    if shape is not None and shape[0] is not None:
        raise InputError("the files of a folder have rows of their own: shape=(None, dim)")
    return ConcatenatedSource(name, [_open_file(file, options) for file in files])


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


def only_streams(path: str | os.PathLike[str]) -> bool:
    """Whether ``open_source`` alone takes this path: ``read_vectors`` knows plain files only.

    Raises:
        InputError: if it is a folder or glob without files, or a URL that cannot be opened.
        OSError: if it cannot be read.
    """
    name = os.fspath(path)
    if is_remote(name) or _files_of(name) is not None or name.endswith(_INDEX_ENDING):
        return True
    with Path(name).open("rb") as file:
        head = file.read(6)
    return head[:4] == b"PAR1" or head == b"ARROW1"


def _files_of(name: str) -> list[str] | None:
    """The files of a folder or glob in order; None for one file."""
    if is_remote(name):
        return _remote_files_of(name)
    if Path(name).is_dir():
        for checkpoint in _CHECKPOINTS:
            if (Path(name) / checkpoint).is_file():
                return [str(Path(name) / checkpoint)]
        found = [str(entry) for entry in Path(name).iterdir()]
    elif glob.has_magic(name) and not Path(name).exists():
        found = glob.glob(name)  # noqa: PTH207
    else:
        return None
    return _checked_files(name, found, [file for file in found if Path(file).is_dir()])


def _remote_files_of(url: str) -> list[str] | None:
    if "::" in url:  # a file within a file
        return None
    system, path = file_system(url)
    if glob.has_magic(path):
        found = system.glob(path)
    elif system.isdir(path):
        found = system.ls(path, detail=False)
        for checkpoint in _CHECKPOINTS:
            if system.isfile(f"{path}/{checkpoint}"):
                return [system.unstrip_protocol(f"{path}/{checkpoint}")]
    else:
        return None
    folders = [file for file in found if system.isdir(file)]
    return _checked_files(url, [system.unstrip_protocol(file) for file in found], folders)


def _checked_files(name: str, found: list[str], folders: list[str]) -> list[str]:
    if folders:
        raise InputError(
            f"{name}: holds the folder {min(folders)}, which is not read; name files with a "
            "pattern such as '*/*.npy'"
        )
    files = sorted(f for f in found if f.rstrip("/").rpartition("/")[2][:1] not in (".", "_"))
    if not files:
        raise InputError(f"{name}: no files there")
    return files


def _kind_of(file: StoredFile, options: _Options) -> StreamedFormat:
    if options.shape is not None:
        return "raw"
    if options.format is not None:
        return check_format(options.format)
    if file.name.endswith(_INDEX_ENDING):
        return "safetensors-index"
    head = file.read(0, min(file.size, TABLE_HEAD_BYTES))
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"ARROW1":
        return "arrow"
    if head[:4] == b"FEA1":
        raise FormatError("Feather's first version is not read; write the file anew with pyarrow")
    if is_table(head):
        raise InputError("a compressed table, which emcomp.open opens")
    return recognise(file)


def _open_file(name: str, options: _Options) -> OpenedSource:
    file = StoredFile(name)
    with naming(name):
        if file.size == 0:
            raise FormatError("the file is empty")
        kind = _kind_of(file, options)
        _check_options(kind, options)
    return _open_kind(file, kind, options)


def _check_options(kind: StreamedFormat, options: _Options) -> None:
    for option, kinds in (
        ("tensor", ("npz", "safetensors", "safetensors-index")),
        ("column", ("parquet", "arrow")),
        ("words_column", ("parquet", "arrow")),
        ("dtype", ("npy", "raw")),
    ):
        if getattr(options, option) is not None and kind not in kinds:
            raise InputError(f"a {kind} file takes no {option}=, which is for {', '.join(kinds)}")


def _open_kind(file: StoredFile, kind: StreamedFormat, options: _Options) -> OpenedSource:
    if kind == "raw":
        assert options.dtype is not None
        assert options.shape is not None
        return open_raw(file, options.dtype, options.shape)
    if kind == "npy":
        return open_npy(file, options.dtype)
    if kind == "npz":
        return open_npz(file, options.tensor)
    if kind == "safetensors":
        return open_safetensors(file, options.tensor)
    if kind == "safetensors-index":
        return open_sharded_safetensors(file, options.tensor)
    if kind == "parquet":
        return ParquetSource(file, options.column, options.words_column)
    if kind == "arrow":
        return ArrowSource(file, options.column, options.words_column)
    if kind == "fasttext":
        return FastTextSource(file, threads=options.threads)
    if kind == "word2vec-binary":
        return Word2VecBinarySource(file, threads=options.threads)
    text = GzipTextSource if is_gzip(file.read(0, min(file.size, 2))) else TextSource
    return text(file, has_header=kind == "word2vec", threads=options.threads)
