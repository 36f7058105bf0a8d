"""``emcomp lookup`` and ``emcomp similar``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import emcomp
from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.cli.options import FILE, ids_option, json_option, k_option, threads_option
from emcomp.cli.output import write_bytes, write_json, write_text
from emcomp.errors import InputError
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.word_list import WordList


def _rows_of(table: CompressedEmbedding, names: tuple[str, ...], by_id: bool) -> list[int]:
    """Row numbers of words; of numbers where the table has no words or ``by_id`` says so.

    Raises:
        UnknownWordError: for a word that is not there.
        InputError: for a number that is none, or out of range.
    """
    if table.words is not None and not by_id:
        return [table.words.row(name) for name in names]
    rows = []
    for name in names:
        number = name.removeprefix("-")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            hint = "" if by_id else "; the table has no words"
            raise InputError(f"{name!r} is not a row number{hint}")
        row = int(name)
        if not -len(table) <= row < len(table):
            raise InputError(f"row {row} is out of range for a table of {len(table)} rows")
        rows.append(row % len(table))
    return rows


def _name(table: CompressedEmbedding, row: int) -> str | None:
    return None if table.words is None else table.words.word(row)


def _lines(names: list[str], vectors: NDArray[np.float32]) -> bytes:
    """GloVe lines: a name and its numbers, as few digits as give the same float32 back."""
    packed = WordList.from_strings(names)
    return _core.format_lines(vectors, packed.bytes, packed.offsets, resolve_threads(1))


@click.command(
    short_help="Print rows of a compressed table.",
    epilog="""\b
Examples:
  emcomp lookup glove.emcomp cat dog
  emcomp lookup glove.emcomp cat --json
  emcomp lookup tokens.emcomp 0 17 -- -1
  emcomp lookup glove.emcomp --ids 0 1 2 > first-three.txt
""",
)
@click.argument("file", type=FILE)
@click.argument("names", metavar="WORD|ID...", nargs=-1, required=True)
@ids_option
@json_option
def lookup(file: Path, names: tuple[str, ...], by_id: bool, as_json: bool) -> None:
    """Print rows of a compressed table, each a word and its numbers on a line.

    In a table with words the arguments are words, otherwise row numbers from 0 on.
    """
    table = emcomp.open(file)
    rows = _rows_of(table, names, by_id)
    words = [_name(table, row) for row in rows]
    labels = [str(row) if word is None else word for row, word in zip(rows, words, strict=True)]
    text = _lines(labels, table.lookup(np.array(rows, np.int64)))
    if not as_json:
        write_bytes(text)
        return
    vectors = [
        [float(number) for number in line.rsplit(b" ", table.dim)[1:]]
        for line in text.split(b"\n")[:-1]
    ]
    write_json({
        "file": str(file),
        "dim": table.dim,
        "rows": [
            {"row": row, "word": word, "vector": vector}
            for row, word, vector in zip(rows, words, vectors, strict=True)
        ],
    })  # fmt: skip


@click.command(
    short_help="Print the nearest words or rows.",
    epilog="""\b
Examples:
  emcomp similar glove.emcomp cat
  emcomp similar glove.emcomp cat -k 3 --json
  emcomp similar tokens.emcomp 2054
""",
)
@click.argument("file", type=FILE)
@click.argument("name", metavar="WORD|ID")
@k_option
@ids_option
@threads_option
@json_option
def similar(file: Path, name: str, k: int, by_id: bool, threads: int | None, as_json: bool) -> None:
    """Print the rows nearest to one of a compressed table, by cosine, nearest first."""
    table = emcomp.open(file)
    row = _rows_of(table, (name,), by_id)[0]
    found = table.similar(row, k, threads=threads)
    if not as_json:
        write_text("".join(f"{cosine:7.4f}  {neighbour}\n" for neighbour, cosine in found))
        return
    write_json({
        "file": str(file),
        "row": row,
        "word": _name(table, row),
        "neighbours": [
            {
                "row": n if table.words is None else table.words.row(str(n)),
                "word": None if table.words is None else n,
                "cosine": cosine,
            }
            for n, cosine in found
        ],
    })  # fmt: skip
