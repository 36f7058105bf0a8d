"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from emcomp.vector_formats import VectorFormat
from emcomp.vectors import Duplicates

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, readable=False)
"""Any path: whether it can be read is found out by reading it."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads to use.  [default: EMCOMP_NUM_THREADS, else all]",
)

k_option = click.option(
    "-k",
    "k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="K",
    help="How many.",
)

ids_option = click.option(
    "--ids", "by_id", is_flag=True, help="Arguments are row numbers although the table has words."
)


def reading_options(format_name: str) -> Callable[[Command], Command]:
    """The options of `emcomp.read_vectors`.

    Args:
        format_name: the name of the option for the input's format.
    """
    options = [
        click.option(
            format_name,
            "input_format",
            type=click.Choice(get_args(VectorFormat)),
            help="INPUT's format.  [default: told from its content]",
        ),
        click.option(
            "--words",
            type=FILE,
            metavar="FILE",
            help="The words, one on each line, for an INPUT without words.",
        ),
        click.option(
            "--tensor", metavar="NAME", help="Which table of an npz or safetensors file to take."
        ),
        click.option(
            "--limit", type=click.IntRange(min=1), metavar="N", help="Take only the first N rows."
        ),
        click.option(
            "--duplicates",
            type=click.Choice(get_args(Duplicates)),
            default="error",
            show_default=True,
            help="What to do with a word that occurs again: stop, or keep one of them.",
        ),
    ]
    return lambda command: functools.reduce(lambda f, option: option(f), options[::-1], command)
