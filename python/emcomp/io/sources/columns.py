"""Vectors in columns of Parquet and Arrow (Feather) files, read batch by batch with pyarrow."""

from __future__ import annotations

import importlib.util
import itertools
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.io.formats.columns_of_text import numbered_columns
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

_STREAM = b"\xff\xff\xff\xff"
"""How an Arrow stream begins."""

_MOST_LISTED = 1000
"""Letters of a list of columns in a message."""

_DTYPES = {"halffloat": "float16", "float": "float32", "double": "float64"}


_WORD_COLUMNS = ("word", "words", "token", "tokens", "term", "key", "__index_level_0__")
"""Names of a column of strings that holds words without saying; the last is pandas' index."""


class ColumnSource(SequentialSource):
    """A column of lists of numbers, or a column for each dimension, and perhaps one of words.

    Args:
        file: the file.
        column: the name of the column of vectors; None for the only one that can be, or for the
            columns of numbers that are numbered, such as ``d0``, ``d1``, ...
        words_column: the name of a column of strings; None for one named ``word``, ``token`` or
            alike, if there is one.

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
            self._columns = _vector_columns(schema, column)
            if words_column is None:
                words_column = _plain_words_column(schema)
                self.words_guessed = True
            else:
                _check_words_column(schema, words_column)
            self._words_column = words_column
            self.has_words = words_column is not None
            self._first_rows = np.concatenate(([0], np.cumsum(rows_of_groups, dtype=np.int64)))
            if self._first_rows[-1] == 0:
                raise FormatError("the file has no rows")
            kind = schema.field(self._columns[0]).type
            self._is_wide = not hasattr(kind, "value_type")
            dim = len(self._columns)
            if not self._is_wide:
                dim = getattr(kind, "list_size", None) or self._length_of_first()
                kind = kind.value_type
        dtype = _DTYPES[str(kind)]
        super().__init__(file.name, (int(self._first_rows[-1]), dim), dtype)

    @abstractmethod
    def _look(self) -> tuple[pa.Schema, list[int]]:
        """The columns, and the number of rows in each group that can be read alone."""

    @abstractmethod
    def _batches(self, columns: list[str], group: int, rows: int) -> Iterator[pa.RecordBatch]:
        """Columns from the beginning of a group on, about so many rows at a time."""

    def _length_of_first(self) -> int:
        group = int(np.flatnonzero(np.diff(self._first_rows))[0])
        batches = (batch.column(0) for batch in self._batches(self._columns, group, 1))
        first = next(array for array in batches if len(array))
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

    def _from_group(self, columns: list[str], first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        group = int(np.searchsorted(self._first_rows, first, "left"))
        together = max(_BATCH_BYTES // (4 * self.shape[1]), 1)
        with naming(self.name), _reading():
            for batch in self._batches(columns, group, together):
                for array in batch.columns:
                    _check_no_null(array, first)
                yield first, batch
                first += batch.num_rows

    def _row_blocks(self, first: int) -> Iterator[NDArray[Any]]:
        for row, batch in self._from_group(self._columns, first):
            if self._is_wide:
                arrays = [batch.column(name).to_numpy() for name in self._columns]
                yield np.stack(arrays, axis=1)
            else:
                yield _matrix(batch.column(0), row, self.shape[1], self.name)

    def _word_blocks(self, first: int) -> Iterator[WordList]:
        assert self._words_column is not None
        for _, batch in self._from_group([self._words_column], first):
            yield _words_of(batch.column(0))


class ParquetSource(ColumnSource):
    """A Parquet file; a row group is decoded as it is read, not loaded."""

    def _look(self) -> tuple[pa.Schema, list[int]]:
        import pyarrow.parquet as pq

        with self._file.open() as file, pq.ParquetFile(file) as table:
            groups = range(table.metadata.num_row_groups)
            return table.schema_arrow, [table.metadata.row_group(g).num_rows for g in groups]

    def _batches(self, columns: list[str], group: int, rows: int) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        # With a buffer and none before, the pages of a column are read as they are decoded.
        with (
            self._file.open() as file,
            pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as table,
        ):
            for left in range(group, table.metadata.num_row_groups):
                yield from table.iter_batches(rows, [left], columns, use_threads=False)


class ArrowSource(ColumnSource):
    """An Arrow file, which is also Feather's second version, or a stream, as datasets saves.

    Opening reads the batches once to count their rows; one record batch is in memory.
    """

    def _look(self) -> tuple[pa.Schema, list[int]]:
        # Any one column tells the rows; the first is as good as another.
        with self._opened(None) as (schema, _):
            pass
        with self._opened([0]) as (_, batches):
            return schema, [batch.num_rows for batch in batches]

    def _batches(
        self,
        columns: list[str],
        group: int,
        rows: int,  # noqa: ARG002
    ) -> Iterator[pa.RecordBatch]:
        with self._opened(None) as (schema, _):
            fields = [schema.get_field_index(column) for column in columns]
        with self._opened(fields) as (_, batches):
            yield from itertools.islice(batches, group, None)

    @contextmanager
    def _opened(
        self, fields: list[int] | None
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The columns, and the batches of some of them."""
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=fields or [], use_threads=False)
        with self._file.open() as file:
            if self._file.head(4) == _STREAM:
                with pa.ipc.open_stream(file, options=options) as stream:
                    yield stream.schema, iter(stream)
            else:
                with pa.ipc.open_file(file, options=options) as table:
                    numbers = range(table.num_record_batches)
                    yield table.schema, (table.get_batch(i) for i in numbers)


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


def _vector_columns(schema: pa.Schema, wanted: str | None) -> list[str]:
    listed = ", ".join(f"{field.name!r} {field.type}" for field in schema) or "no columns"
    if len(listed) > _MOST_LISTED:
        listed = listed[:_MOST_LISTED] + f" ... and so on, {len(schema)} columns"
    if wanted is not None:
        if wanted not in schema.names:
            raise InputError(f"no column {wanted!r}; the file has {listed}")
        if not _is_vectors(schema.field(wanted).type):
            raise InputError(
                f"column {wanted!r} is {schema.field(wanted).type}, not lists of float16, float32 "
                "or float64"
            )
        return [wanted]
    found = [field.name for field in schema if _is_vectors(field.type)]
    if len(found) == 1:
        return [str(found[0])]
    if found:
        raise FormatError(f"several columns hold lists of numbers; name one with column=: {listed}")
    numbers = [field.name for field in schema if str(field.type) in _DTYPES]
    numbered = numbered_columns(numbers)
    if numbered is None:
        raise FormatError(
            "no column holds lists of numbers, and columns of numbers are not numbered, as d0, d1, "
            f"... are; write the vectors in either way: {listed}"
        )
    return [str(numbers[i]) for i in numbered]


def _plain_words_column(schema: pa.Schema) -> str | None:
    found = [name for name in _WORD_COLUMNS if name in schema.names]
    return found[0] if found and _is_words(schema.field(found[0]).type) else None


def _is_words(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = ("is_string", "is_large_string", "is_binary", "is_large_binary")
    return any(getattr(pa.types, check)(kind) for check in checks)


def _check_words_column(schema: pa.Schema, name: str) -> None:
    listed = ", ".join(f"{field.name!r} {field.type}" for field in schema)
    if name not in schema.names:
        raise InputError(f"no column {name!r}; the file has {listed}")
    kind = schema.field(name).type
    if not _is_words(kind):
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
