"""``emcomp evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import check_output, read_input, writing
from emcomp.cli.options import (
    INPUT,
    json_option,
    measure_option,
    plot_option,
    reading_options,
    seed_option,
    threads_option,
)
from emcomp.cli.output import write_json, write_table, write_text
from emcomp.cli.progress import WatchedSource, progress_bar
from emcomp.errors import InputError
from emcomp.tables.table import CompressedEmbedding

if TYPE_CHECKING:
    from emcomp.io.sources.base import Source
    from emcomp.vocabulary.word_list import WordList


@click.command(
    short_help="Measure what compressed tables have kept.",
    epilog="""\b
Examples:
  emcomp evaluate glove.6B.300d.txt glove.emcomp
  emcomp evaluate tokens.npy a.emcomp b.emcomp --measure eos --measure eos_centred
  emcomp evaluate glove.6B.300d.txt glove.emcomp --sample 20000 --json
  emcomp evaluate tokens.npy a.emcomp --plot spectrum.png
""",
)
@click.argument("input_path", metavar="INPUT", type=INPUT)
@click.argument("tables", metavar="TABLE...", type=INPUT, nargs=-1, required=True)
@measure_option("A measure to take; may be given again.  [default: nearly all]")
@click.option(
    "--sample",
    type=float,
    metavar="S",
    help="Estimate from S random rows, or this fraction of them, with 95 % intervals.",
)
@seed_option
@plot_option("Draw the singular values before and after; needs matplotlib.")
@reading_options("--format")
@threads_option
@json_option
def evaluate(
    input_path: Path | str,
    tables: tuple[Path | str, ...],
    measures: tuple[str, ...],
    sample: float | None,
    seed: int,
    plot: Path | None,
    threads: int | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Measure what compressed tables have kept of the vectors of INPUT.

    INPUT is what emcomp compress reads; a TABLE is an emcomp file, or vectors too. Row i of each is
    the same word: where both have words, that is checked. With --limit, the first rows of each are
    measured.
    """
    if plot is not None:
        check_output(plot, input_path, *tables)
    limit = reading["limit"]
    with progress_bar() as report:
        report("read", 0, 0)
        source, words = read_input(input_path, threads=threads, **reading)
        opened: dict[str, Source] = {}
        for path in tables:
            opened[str(path)], own = read_input(
                path, limit=limit, duplicates=reading["duplicates"], threads=threads
            )
            _check_words(path, words, own)
        watched = {name: WatchedSource(table, name, report) for name, table in opened.items()}
        result = emcomp.evaluate(
            source, watched, measures or None, sample=sample, seed=seed, threads=threads
        )
        if plot is not None:
            _draw(plot, {str(input_path): source, **watched}, threads)
    compressed = {n: t for n, t in opened.items() if isinstance(t, CompressedEmbedding)}
    if as_json:
        write_json({
            "input": str(input_path),
            **result.to_dict(),
            "compressed": {
                name: {
                    "codec": str(table.codec),
                    "table_bytes": table.nbytes,
                    "bits_per_entry": table.bits_per_entry,
                }
                for name, table in compressed.items()
            },
            "plot": None if plot is None else str(plot),
        })  # fmt: skip
        return
    if compressed:
        write_table(
            ("table", "codec", "size", "bits/entry"),
            [
                (name, str(table.codec), format_bytes(table.nbytes), f"{table.bits_per_entry:.2f}")
                for name, table in compressed.items()
            ],
        )
        write_text("\n")
    write_text(f"{result}\n")
    if plot is not None:
        write_text(f"\npicture: {plot}\n")


def _check_words(path: Path | str, words: WordList | None, own: WordList | None) -> None:
    """Raise InputError if rows of two tables are different words."""
    if words is None or own is None or words == own:
        return
    for row, (expected, found) in enumerate(zip(words, own, strict=False)):
        if expected != found:
            raise InputError(
                f"{path}: row {row} is {found!r} there and {expected!r} in the input; row i of both "
                "must be the same word"
            )


def _draw(path: Path, tables: dict[str, Source], threads: int | None) -> None:
    from emcomp.plot import draw_spectra

    spectra = {
        name: emcomp.measures.spectrum(table, threads=threads) for name, table in tables.items()
    }
    with writing(path):
        draw_spectra(spectra, path)
