"""``emcomp convert`` and ``emcomp decompress``: writing files of vectors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import check_output, read_input, table_words, writing
from emcomp.cli.options import FILE, INPUT, json_option, reading_options, threads_option
from emcomp.cli.output import write_fields, write_json
from emcomp.cli.progress import WatchedSource, progress_bar
from emcomp.errors import InputError
from emcomp.io.writing import WrittenFormat, write_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from emcomp.io.sources.base import Source
    from emcomp.vocabulary.word_list import WordList

_FORMATS: dict[str, WrittenFormat] = {
    ".txt": "glove", ".vec": "word2vec", ".bin": "word2vec-binary", ".npy": "npy",
}  # fmt: skip

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(get_args(WrittenFormat)),
    help="OUTPUT's format.  [default: glove for .txt, word2vec for .vec, word2vec-binary for .bin, "
    "npy for .npy]",
)
save_words_option = click.option(
    "--save-words", type=FILE, metavar="FILE", help="Write the words to FILE, one on each line."
)


def _written_format(output: Path, output_format: WrittenFormat | None) -> WrittenFormat:
    found = output_format or _FORMATS.get(output.suffix.lower())
    if found is None:
        hint = "; emcomp compress writes emcomp files" if output.suffix == ".emcomp" else ""
        raise click.UsageError(f"{output}: name the format to write with --format{hint}")
    return found


def _write(
    input_path: Path | str,
    output: Path,
    output_format: WrittenFormat | None,
    save_words: Path | None,
    threads: int | None,
    as_json: bool,
    read: Callable[[], tuple[Source, WordList | None]],
) -> None:
    written = _written_format(output, output_format)
    for path in filter(None, (output, save_words)):
        check_output(path, input_path, output if path is save_words else None)
    started = time.perf_counter()
    with progress_bar() as report:
        report("read", 0, 0)
        source, words = read()
        if save_words is not None and words is None:
            raise InputError(f"{input_path} has no words to save to {save_words}")
        watched = WatchedSource(source, "write", report)
        with writing(output):
            emcomp.write_vectors(
                output,
                watched,
                None if written == "npy" else words,
                format=written,
                threads=threads,
            )
        if save_words is not None and words is not None:
            with writing(save_words):
                write_words(save_words, words)
    seconds = time.perf_counter() - started
    rows, dim = source.shape
    if written == "npy" and words is not None and save_words is None:
        click.echo("emcomp: note: npy holds no words; --save-words FILE keeps them", err=True)
    if as_json:
        write_json({
            "input": str(input_path),
            "output": str(output),
            "format": written,
            "rows": rows,
            "dim": dim,
            "words": None if words is None else len(words),
            "file_bytes": output.stat().st_size,
            "seconds": seconds,
        })  # fmt: skip
        return
    write_fields([
        ("vectors", f"{rows:,} x {dim}"),
        ("file", f"{output}, {written}, {format_bytes(output.stat().st_size)}"),
        ("time", f"{seconds:.3f} s"),
    ])  # fmt: skip


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
    words: Path | None,
    save_words: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write the rows of the compressed table INPUT as float32 vectors to OUTPUT.

    This is emcomp convert for an INPUT that must be an emcomp file.
    """

    def read() -> tuple[Source, WordList | None]:
        table = emcomp.open(input_path)
        return table, table_words(table, words)

    _write(input_path, output, output_format, save_words, threads, as_json, read)


@click.command(
    short_help="Write vectors in another format.",
    epilog="""\b
Examples:
  emcomp convert GoogleNews-vectors-negative300.bin news.txt
  emcomp convert glove.6B.300d.txt glove.npy --save-words glove.words
  emcomp convert vectors.npy vectors.vec --words vocab.txt
  emcomp convert glove.emcomp glove.bin --limit 50000
""",
)
@click.argument("input_path", metavar="INPUT", type=INPUT)
@click.argument("output", metavar="OUTPUT", type=FILE)
@format_option
@reading_options("--input-format")
@save_words_option
@threads_option
@json_option
def convert(
    input_path: Path | str,
    output: Path,
    output_format: WrittenFormat | None,
    save_words: Path | None,
    threads: int | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Write the vectors of INPUT in another format to OUTPUT, as float32.

    INPUT is anything that emcomp compress reads, an emcomp file too. An
    OUTPUT that is there is replaced when the new one is complete.
    """

    def read() -> tuple[Source, WordList | None]:
        return read_input(input_path, threads=threads, **reading)

    _write(input_path, output, output_format, save_words, threads, as_json, read)
