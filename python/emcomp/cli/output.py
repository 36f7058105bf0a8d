"""What commands print on standard output: fields, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from emcomp._support.sizes import format_bytes
from emcomp._support.text_tables import aligned

if TYPE_CHECKING:
    from emcomp.tables.table import CompressedEmbedding


def write_text(text: str) -> None:
    """Write text; bytes of words that are not UTF-8 come out as they are."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def write_bytes(data: bytes) -> None:
    """Write bytes, after whatever text is still buffered."""
    sys.stdout.flush()
    rest = memoryview(data)
    while rest:  # with PYTHONUNBUFFERED the stream may take only a part
        rest = rest[sys.stdout.buffer.write(rest) :]


def write_json(document: dict[str, Any]) -> None:
    """Write one JSON document."""
    write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def describe_size(table: CompressedEmbedding) -> str:
    """A table's size in three ways."""
    return (
        f"{format_bytes(table.nbytes)}, {table.bits_per_entry:.4g} bits per entry, "
        f"{table.ratio:.4g} times smaller than float32"
    )


def write_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Write a line for each pair of label and value."""
    pairs = list(fields)
    width = max(len(label) for label, _ in pairs) + 2
    write_text("".join(f"{label + ':':<{width}}{value}\n" for label, value in pairs))


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> None:
    """Write columns, the first one to the left and the others to the right."""
    for line in aligned([header, *rows]):
        write_text(f"{indent}{line}\n")
