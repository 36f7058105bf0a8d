"""``emcomp select``."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import check_output, read_input, writing
from emcomp.cli.inspection import CHECK_FAILED
from emcomp.cli.options import (
    FILE,
    INPUT,
    BudgetType,
    CodecType,
    json_option,
    measure_option,
    plot_option,
    reading_options,
    seed_option,
    threads_option,
)
from emcomp.cli.output import write_fields, write_json, write_text
from emcomp.cli.progress import progress_bar
from emcomp.errors import RankWarning

if TYPE_CHECKING:
    from emcomp.codecs.base import Codec


@click.command(
    short_help="Choose how to compress under a budget.",
    epilog="""\b
Examples:
  emcomp select glove.6B.300d.txt --budget 40MB --output glove.emcomp
  emcomp select tokens.npy --budget 16x --plot front.png
  emcomp select tokens.npy --minimum 0.95 --measure eos --measure eos_centred
  emcomp select tokens.npy --budget 2.5bits -c uniform:2 -c "uniform:2(granularity=row)"
""",
)
@click.argument("input_path", metavar="INPUT", type=INPUT)
@click.option(
    "-b",
    "--budget",
    type=BudgetType(),
    help="How large the table may be: 40MB, 16x (times smaller than float32), 2.5bits (per entry).",
)
@click.option(
    "--minimum",
    type=float,
    metavar="SCORE",
    help="Take the smallest table whose score is this good.",
)
@click.option(
    "-c",
    "--codec",
    "codecs",
    type=CodecType(),
    multiple=True,
    help="A candidate; may be given again.  [default: what all codecs offer]",
)
@measure_option("What decides; may be given again, to see others beside it.  [default: eos]")
@seed_option
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the chosen table to FILE.")
@click.option(
    "--state",
    type=FILE,
    metavar="FILE",
    help="Keep finished candidates in FILE, and take up what it holds.",
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Write candidates beside the --output as they are made, in so much memory, such as 1GB.",
)
@plot_option("Draw scores over sizes; needs matplotlib.")
@reading_options("--format")
@threads_option
@json_option
def select(
    input_path: Path | str,
    budget: str | None,
    minimum: float | None,
    codecs: tuple[Codec, ...],
    measures: tuple[str, ...],
    seed: int,
    output: Path | None,
    state: Path | None,
    memory_limit: str | None,
    plot: Path | None,
    threads: int | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Compress the vectors of INPUT in every way that fits, and choose the best by a measure.

    With --budget the table of the best score is chosen; with --minimum the smallest that is good
    enough. Exits with 1 if none is.
    """
    if budget is None and minimum is None:
        raise click.UsageError("give a --budget, a --minimum score, or both")
    for written in (output, state, plot):
        if written is not None:
            check_output(written, input_path, reading["words"])
    if memory_limit is not None and output is None:
        raise click.UsageError("--memory-limit writes candidates beside the --output; name one")
    started = time.perf_counter()
    with progress_bar() as report, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RankWarning)
        report("read", 0, 0)
        streamed = memory_limit is not None
        source, words = read_input(input_path, threads=threads, streamed=streamed, **reading)
        result = emcomp.select(
            source,
            budget,
            codecs or None,
            measures or "eos",
            minimum=minimum,
            words=words,
            seed=seed,
            state=state,
            out=output if streamed else None,
            memory_limit=memory_limit,
            threads=threads,
            progress=report,
        )
        if output is not None and result.table is not None and not streamed:
            with writing(output):
                result.table.save(output)
        if plot is not None:
            from emcomp.plot import draw_front

            with writing(plot):
                draw_front(result, plot)
    seconds = time.perf_counter() - started
    for warning in caught:
        click.echo(f"emcomp: warning: {warning.message}", err=True)
    written_to = None if output is None or result.table is None else str(output)
    if as_json:
        write_json({
            "input": str(input_path),
            **result.to_dict(),
            "output": written_to,
            "plot": None if plot is None else str(plot),
            "seconds": seconds,
        })  # fmt: skip
    else:
        fields = [("time", f"{seconds:.1f} s")]
        if plot is not None:
            fields.insert(0, ("picture", str(plot)))
        if written_to is not None:
            fields.insert(0, ("file", f"{output}, {format_bytes(Path(written_to).stat().st_size)}"))
        write_text(f"{result}\n\n")
        write_fields(fields)
    if result.pick is None:
        click.get_current_context().exit(CHECK_FAILED)
