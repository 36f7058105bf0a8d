"""Vectors in a column of a Parquet or Arrow (Feather) file, read batch by batch with pyarrow."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.recognition import naming
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.opened import SequentialSource
from emcomp.vocabulary.word_list import WordList

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_BYTES = 1 << 20
"""Bytes of float32 rows decoded together from a Parquet file."""

_BUFFER_BYTES = 1 << 20
"""Bytes of a Parquet file read together."""

_DTYPES = {"halffloat": "float16", "float": "float32", "double": "float64"}


class ColumnSource(SequentialSource):
    """A column of lists of numbers, and perhaps one of words.

    Args:
        file: the file.
        column: the name of the column of vectors; None for the only one that can be.
        words_column: the name of a column of strings.

    Raises:
        InputError: if pyarrow is not installed, or there are no such columns.
        FormatError: if the column holds no vectors, the file has no rows or is damaged. Rows that
            are null or of another length are found when they are read.
    """

    def __init__(self, file: StoredFile, column: str | None, words_column: str | None) -> None:
        if importlib.util.find_spec("pyarrow") is None:
            raise InputError(
                f"{file.name}: Parquet and Arrow files need pyarrow: pip install 'emcomp[arrow]'"
            )
        self._file = file
        with naming(file.name), _reading():
            schema, rows_of_groups = self._look()
            self._column = _vector_column(schema, column)
            self._words_column = words_column
            if words_column is not None:
                _check_words_column(schema, words_column)
            self.has_words = words_column is not None
            self._first_rows = np.concatenate(([0], np.cumsum(rows_of_groups, dtype=np.int64)))
            if self._first_rows[-1] == 0:
                raise FormatError("the file has no rows")
            lists = schema.field(self._column).type
            dim = getattr(lists, "list_size", None) or self._length_of_first()
        dtype = _DTYPES[str(lists.value_type)]
        super().__init__(file.name, (int(self._first_rows[-1]), dim), dtype)

    @abstractmethod
    def _look(self) -> tuple[pa.Schema, list[int]]:
        """The columns, and the number of rows in each group that can be read alone."""

    @abstractmethod
    def _batches(self, column: str, group: int, rows: int) -> Iterator[pa.Array]:
        """A column from the beginning of a group on, about so many rows at a time."""

    def _length_of_first(self) -> int:
        group = int(np.flatnonzero(np.diff(self._first_rows))[0])
        first = next(array for array in self._batches(self._column, group, 1) if len(array))
        if not first[0].is_valid:
            raise FormatError("row 0 is null")
        if len(first[0]) == 0:
            raise FormatError("row 0 has no numbers")
        return len(first[0])

    def _check_unchanged(self) -> None:
        self._file.check_unchanged()

    def _entry(self, first: int) -> int:
        group = int(np.searchsorted(self._first_rows[:-1], first, "right")) - 1
        return int(self._first_rows[group])

    def _arrays(self, column: str, first: int) -> Iterator[tuple[int, pa.Array]]:
        group = int(np.searchsorted(self._first_rows, first, "left"))
        together = max(_BATCH_BYTES // (4 * self.shape[1]), 1)
        with naming(self.name), _reading():
            for array in self._batches(column, group, together):
                _check_no_null(array, first)
                yield first, array
                first += len(array)

    def _row_blocks(self, first: int) -> Iterator[NDArray[Any]]:
        for row, array in self._arrays(self._column, first):
            yield _matrix(array, row, self.shape[1], self.name)

    def _word_blocks(self, first: int) -> Iterator[WordList]:
        assert self._words_column is not None
        for _, array in self._arrays(self._words_column, first):
            yield _words_of(array)


class ParquetSource(ColumnSource):
    """A Parquet file; a row group is decoded as it is read, not loaded."""

    def _look(self) -> tuple[pa.Schema, list[int]]:
        import pyarrow.parquet as pq

        with self._file.open() as file, pq.ParquetFile(file) as table:
            groups = range(table.metadata.num_row_groups)
            return table.schema_arrow, [table.metadata.row_group(g).num_rows for g in groups]

    def _batches(self, column: str, group: int, rows: int) -> Iterator[pa.Array]:
        import pyarrow.parquet as pq

        # With a buffer and none before, the pages of a column are read as they are decoded.
        with (
            self._file.open() as file,
            pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as table,
        ):
            for left in range(group, table.metadata.num_row_groups):
                for batch in table.iter_batches(rows, [left], [column], use_threads=False):
                    yield batch.column(column)


class ArrowSource(ColumnSource):
    """An Arrow file, which is also Feather's second version; one record batch is in memory.

    Opening reads the batches once to count their rows.
    """

    def _look(self) -> tuple[pa.Schema, list[int]]:
        import pyarrow as pa

        with self._file.open() as file, pa.ipc.open_file(file) as table:
            # Any one column tells the rows; the first is as good as another.
            options = pa.ipc.IpcReadOptions(included_fields=[0], use_threads=False)
            file.seek(0)
            with pa.ipc.open_file(file, options=options) as narrow:
                rows = [narrow.get_batch(i).num_rows for i in range(narrow.num_record_batches)]
            return table.schema, rows

    def _batches(self, column: str, group: int, rows: int) -> Iterator[pa.Array]:  # noqa: ARG002
        import pyarrow as pa

        with self._file.open() as file:
            with pa.ipc.open_file(file) as table:
                field = table.schema.get_field_index(column)
            options = pa.ipc.IpcReadOptions(included_fields=[field], use_threads=False)
            file.seek(0)
            with pa.ipc.open_file(file, options=options) as table:
                for i in range(group, table.num_record_batches):
                    yield table.get_batch(i).column(0)


@contextmanager
def _reading() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorruptFileError(f"the file cannot be read: {error}") from error


def _is_vectors(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    return is_list and str(kind.value_type) in _DTYPES


def _vector_column(schema: pa.Schema, wanted: str | None) -> str:
    listed = ", ".join(f"{field.name!r} {field.type}" for field in schema) or "no columns"
    if wanted is not None:
        if wanted not in schema.names:
            raise InputError(f"no column {wanted!r}; the file has {listed}")
        if not _is_vectors(schema.field(wanted).type):
            raise InputError(
                f"column {wanted!r} is {schema.field(wanted).type}, not lists of float16, float32 "
                "or float64"
            )
        return wanted
    found = [field.name for field in schema if _is_vectors(field.type)]
    if len(found) != 1:
        several = "several columns hold" if found else "no column holds"
        raise FormatError(f"{several} lists of numbers; name one with column=: {listed}")
    return str(found[0])


def _check_words_column(schema: pa.Schema, name: str) -> None:
    import pyarrow as pa

    listed = ", ".join(f"{field.name!r} {field.type}" for field in schema)
    if name not in schema.names:
        raise InputError(f"no column {name!r}; the file has {listed}")
    kind = schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(f"column {name!r} is {kind}, not strings")


def _check_no_null(array: pa.Array, first: int) -> None:
    if array.null_count:
        nulls = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
        raise FormatError(f"row {first + int(nulls[0])} is null; drop or fill it")


def _matrix(array: pa.Array, first: int, dim: int, name: str) -> NDArray[Any]:
    import pyarrow as pa

    if not pa.types.is_fixed_size_list(array.type):
        lengths = array.value_lengths().to_numpy()
        wrong = np.flatnonzero(lengths != dim)
        if wrong.size:
            row = int(wrong[0])
            raise FormatError(
                f"{name}: row {first + row} has {lengths[row]} numbers, the rows before it {dim}"
            )
    values = array.flatten()
    if values.null_count:
        null = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise FormatError(f"{name}: row {first + null // dim}, column {null % dim} is null")
    rows: NDArray[Any] = values.to_numpy().reshape(-1, dim)
    return rows


def _words_of(array: pa.Array) -> WordList:
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    array = array.cast(pa.large_binary())
    _, offsets, letters = array.buffers()
    if len(array) == 0:
        return WordList.concatenate([])
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    held = np.frombuffer(letters or b"", np.uint8)[ends[0] : ends[-1]]
    return WordList(held, (ends - ends[0]).astype(np.uint64))
