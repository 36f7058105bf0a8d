"""``emcomp append``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import emcomp
from emcomp.cli.files import read_input
from emcomp.cli.options import FILE, INPUT, json_option, reading_options, threads_option
from emcomp.cli.output import write_json, write_text


@click.command(
    short_help="Add rows to a table in shards.",
    epilog="""\b
Examples:
  emcomp append table more.npy
  emcomp append table more.txt --json
""",
)
@click.argument("table", type=FILE)
@click.argument("input_path", metavar="INPUT", type=INPUT)
@reading_options("--format")
@threads_option
@json_option
def append(
    table: Path, input_path: Path | str, threads: int | None, as_json: bool, **reading: Any
) -> None:
    """Add the rows of INPUT to TABLE, and say how they differ from those that it was fitted to.

    TABLE is a folder that emcomp compress wrote with --shard-rows; INPUT is what it reads.
    """
    source, words = read_input(input_path, threads=threads, streamed=True, **reading)
    drift = emcomp.append(table, source, words=words, threads=threads)
    if as_json:
        write_json(asdict(drift))
    else:
        write_text(f"{drift}\n")
