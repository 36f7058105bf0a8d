"""``emcomp demo``."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import check_output, writing
from emcomp.cli.options import FILE, json_option
from emcomp.cli.output import write_fields, write_json, write_table, write_text

if TYPE_CHECKING:
    from emcomp.demo.study import Result, Serving
    from emcomp.io.reading import WordVectors
    from emcomp.tables.table import CompressedEmbedding

_SHOWN_WORDS = ("file", "error", "import", "thread", "month", "left")
_SHOWN_WIDTHS = ("uniform:4", "uniform:2", "uniform:1")
_SHOWN_NEIGHBOURS = 4
_SERVED = "uniform:4"


@click.command(
    short_help="Learn, compress and compare small word vectors.",
    epilog="""\b
Examples:
  emcomp demo
  emcomp demo --output picture.svg
  emcomp demo --words 2000 --json
""",
)
@click.option(
    "--words",
    "words",
    type=click.IntRange(min=500),
    default=6000,
    show_default=True,
    metavar="N",
    help="Learn vectors of the N most frequent words.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    default="emcomp-demo.png",
    show_default=True,
    help="The picture; it needs matplotlib.",
)
@json_option
def demo(words: int, output: Path, as_json: bool) -> None:
    """Learn small word vectors, compress them at several widths, show what it costs.

    Nothing is downloaded: the text is the documentation that Python carries, its help topics and
    the docstrings and comments of its standard library.
    """
    from emcomp.demo.corpus import sentences
    from emcomp.demo.study import WIDTHS, serve, study
    from emcomp.demo.word_vectors import learn_vectors

    draws = importlib.util.find_spec("matplotlib") is not None
    if draws:
        check_output(output)
    started = time.perf_counter()
    text = list(sentences())
    vectors = learn_vectors(text, words)
    seconds = time.perf_counter() - started
    rows, dim = vectors.shape
    if not as_json:
        write_text(
            f"Learned vectors of {rows:,} words, dimension {dim}, from {sum(map(len, text)):,} "
            f"words of\nPython's own documentation in {seconds:.1f} s. As float32 they take "
            f"{format_bytes(4 * rows * dim)}.\n\n"
        )
    tables = {f"uniform:{bits}": emcomp.compress(vectors, f"uniform:{bits}") for bits in WIDTHS}
    results = study(vectors, list(tables.values()))
    neighbours = _neighbours(vectors, tables)
    serving = serve(vectors, tables[_SERVED])
    if draws:
        from emcomp.demo.picture import draw

        with writing(output):
            draw(results, vectors.shape, output)
    if as_json:
        write_json({
            "words": rows,
            "dim": dim,
            "float32_bytes": 4 * rows * dim,
            "results": [asdict(result) for result in results],
            "neighbours": neighbours,
            "serving": {"codec": _SERVED, **asdict(serving)},
            "picture": str(output) if draws else None,
        })  # fmt: skip
        return
    _write_results(results)
    _write_neighbours(neighbours)
    _write_serving(serving)
    picture = str(output) if draws else "none, for want of matplotlib: pip install 'emcomp[plot]'"
    write_fields([("picture", picture)])


def _neighbours(
    vectors: WordVectors, tables: dict[str, CompressedEmbedding]
) -> dict[str, dict[str, list[str]]]:
    """Nearest words of some words, before and after: word, codec, words."""
    from emcomp.demo.study import nearest

    vocabulary = list(vectors.words or ())
    shown = [word for word in _SHOWN_WORDS if word in vocabulary]
    rows = np.array([vocabulary.index(word) for word in shown], np.int64)
    exact = nearest(vectors.vectors, rows, _SHOWN_NEIGHBOURS)
    return {
        word: {
            "float32": [vocabulary[row] for row in near.tolist()],
            **{
                codec: [str(near) for near, _ in tables[codec].similar(word, _SHOWN_NEIGHBOURS)]
                for codec in _SHOWN_WIDTHS
            },
        }
        for word, near in zip(shown, exact, strict=True)
    }


def _write_results(results: list[Result]) -> None:
    header = ("codec", "size", "smaller by", "bits/entry", "squared error", "neighbours kept")
    lines = [
        (
            result.codec,
            format_bytes(result.table_bytes),
            f"{result.ratio:.1f}x",
            f"{result.bits_per_entry:.2f}",
            f"{result.relative_squared_error:.3%}",
            f"{result.neighbours_kept:.1%}",
        )
        for result in results
    ]
    write_table(header, lines)
    write_text("\nNearest words before and after:\n")


def _write_neighbours(neighbours: dict[str, dict[str, list[str]]]) -> None:
    for word, by_codec in neighbours.items():
        for codec, near in by_codec.items():
            label = word if codec == "float32" else ""
            write_text(f"  {label:<8}  {codec:<9}  {', '.join(near)}\n")
    write_text("\n")


def _write_serving(serving: Serving) -> None:
    packed, plain = serving.packed_rows_per_second / 1e6, serving.float32_rows_per_second / 1e6
    speed = f"{packed:.1f} million rows/s from the packed bits"
    write_fields([
        ("saved", f"{format_bytes(serving.file_bytes)} with the words and their index ({_SERVED})"),
        ("opened", f"in {1000 * serving.open_seconds:.2f} ms"),
        ("looked up", f"{speed}; NumPy from float32: {plain:.1f} million"),
    ])  # fmt: skip
