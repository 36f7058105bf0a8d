"""``emcomp convert`` and ``emcomp decompress``: writing files of vectors."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, get_args

import click

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import check_output, read_input, table_words, writing
from emcomp.cli.options import FILE, INPUT, json_option, reading_options, threads_option
from emcomp.cli.output import write_fields, write_json
from emcomp.cli.progress import WatchedSource, progress_bar
from emcomp.errors import InputError
from emcomp.io.writing import WrittenFormat, WrittenType, ending_of, write_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from emcomp.io.sources.base import Source
    from emcomp.vocabulary.word_list import WordList

_STANDARD_OUTPUT = ("-", "/dev/stdout")

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(get_args(WrittenFormat)),
    help="OUTPUT's format.  [default: told from its ending: .txt, .vec, .bin, .npy, .npz, "
    ".safetensors or .parquet, and .gz after the first three; glove for -]",
)
type_option = click.option(
    "--output-dtype",
    type=click.Choice(get_args(WrittenType)),
    default="float32",
    show_default=True,
    help="The type of the numbers; float16 in npy, npz, safetensors and Parquet.",
)
save_words_option = click.option(
    "--save-words", type=FILE, metavar="FILE", help="Write the words to FILE, one on each line."
)


def _write(
    input_path: Path | str,
    output: Path,
    output_format: WrittenFormat | None,
    output_dtype: WrittenType,
    save_words: Path | None,
    threads: int | None,
    as_json: bool,
    read: Callable[[], tuple[Source, WordList | None]],
) -> None:
    to_standard_output = str(output) in _STANDARD_OUTPUT
    if to_standard_output and as_json:
        raise click.UsageError("--json and an OUTPUT of - both write to standard output")
    try:
        written = ending_of("" if to_standard_output else output, _wanted(output, output_format))
    except InputError as error:
        raise click.UsageError(str(error)) from error
    for path in filter(None, (None if to_standard_output else output, save_words)):
        check_output(path, input_path, output if path is save_words else None)
    target: Path | BinaryIO = output
    if to_standard_output:
        target = sys.stdout.buffer
    started = time.perf_counter()
    with progress_bar() as report:
        report("read", 0, 0)
        source, words = read()
        if save_words is not None and words is None:
            raise InputError(f"{input_path} has no words to save to {save_words}")
        watched = WatchedSource(source, "write", report)
        with writing(output):
            emcomp.write_vectors(
                target,
                watched,
                None if written.format == "npy" else words,
                format=written.format,
                dtype=output_dtype,
                threads=threads,
            )
        if save_words is not None and words is not None:
            with writing(save_words):
                write_words(save_words, words)
    seconds = time.perf_counter() - started
    rows, dim = source.shape
    if written.format == "npy" and words is not None and save_words is None:
        click.echo("emcomp: note: npy holds no words; --save-words FILE keeps them", err=True)
    if to_standard_output:
        return
    if as_json:
        write_json({
            "input": str(input_path),
            "output": str(output),
            "format": written.format,
            "rows": rows,
            "dim": dim,
            "words": None if words is None else len(words),
            "file_bytes": output.stat().st_size,
            "seconds": seconds,
        })  # fmt: skip
        return
    write_fields([
        ("vectors", f"{rows:,} x {dim}"),
        ("file", f"{output}, {written.format}, {format_bytes(output.stat().st_size)}"),
        ("time", f"{seconds:.3f} s"),
    ])  # fmt: skip


def _wanted(output: Path, output_format: WrittenFormat | None) -> WrittenFormat | None:
    is_open = str(output) in _STANDARD_OUTPUT
    return "glove" if output_format is None and is_open else output_format


@click.command(
    short_help="Write the rows of a compressed table as vectors.",
    epilog="""\b
Examples:
  emcomp decompress glove.emcomp glove.txt
  emcomp decompress glove.emcomp glove.npy --save-words glove.words
  emcomp decompress tokens.emcomp tokens.bin --words vocab.txt
""",
)
@click.argument("input_path", metavar="INPUT", type=FILE)
@click.argument("output", metavar="OUTPUT", type=FILE)
@format_option
@type_option
@click.option(
    "--words",
    type=FILE,
    metavar="FILE",
    help="The words, one on each line, for a table without words.",
)
@save_words_option
@threads_option
@json_option
def decompress(
    input_path: Path | str,
    output: Path,
    output_format: WrittenFormat | None,
    output_dtype: WrittenType,
    words: Path | None,
    save_words: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write the rows of the compressed table INPUT as vectors to OUTPUT.

    This is emcomp convert for an INPUT that must be an emcomp file. An OUTPUT of - is standard
    output.
    """

    def read() -> tuple[Source, WordList | None]:
        table = emcomp.open(input_path)
        return table, table_words(table, words)

    _write(input_path, output, output_format, output_dtype, save_words, threads, as_json, read)


@click.command(
    short_help="Write vectors in another format.",
    epilog="""\b
Examples:
  emcomp convert GoogleNews-vectors-negative300.bin news.txt
  emcomp convert glove.6B.300d.txt glove.npy --save-words glove.words
  emcomp convert vectors.npy vectors.vec.gz --words vocab.txt
  emcomp convert glove.zip - --member glove.6B.50d.txt | head
  emcomp convert glove.emcomp glove.bin --limit 50000
""",
)
@click.argument("input_path", metavar="INPUT", type=INPUT)
@click.argument("output", metavar="OUTPUT", type=FILE)
@format_option
@type_option
@reading_options("--input-format")
@save_words_option
@threads_option
@json_option
def convert(
    input_path: Path | str,
    output: Path,
    output_format: WrittenFormat | None,
    output_dtype: WrittenType,
    save_words: Path | None,
    threads: int | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Write the vectors of INPUT in another format to OUTPUT.

    INPUT is anything that emcomp compress reads, an emcomp file too; - is standard input. An OUTPUT
    that is there is replaced when the new one is complete; - is standard output.
    """

    def read() -> tuple[Source, WordList | None]:
        return read_input(input_path, threads=threads, **reading)

    _write(input_path, output, output_format, output_dtype, save_words, threads, as_json, read)
