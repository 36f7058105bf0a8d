"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from emcomp._support.sizes import budget_bytes
from emcomp.codecs.base import Codec, parse_codec
from emcomp.errors import InputError
from emcomp.io.formats.recognition import VectorFormat
from emcomp.io.reading import Duplicates
from emcomp.measures.registry import resolve_measures
from emcomp.plot import check_plot

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, readable=False)
"""Any path: whether it can be read is found out by reading it."""


class InputType(click.Path):
    """A path, folder or pattern; or a URL, which stays a string as paths would drop a slash."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path or URL."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


INPUT = InputType(path_type=Path, readable=False)
"""What `emcomp.open_source` takes."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads to use.  [default: EMCOMP_NUM_THREADS, else all]",
)


class CodecType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since 8.4
    """A codec's string, checked before anything is read."""

    name = "codec"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Codec:
        """Parse it; what is wrong with it is wrong usage."""
        try:
            return parse_codec(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class ShapeType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Rows, which may be left out, and dimension of raw numbers."""

    name = "shape"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int]:
        """Read a shape such as 1000x300 or x300."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d*)x(\d+)", value)
        if found is None:
            self.fail(f"{value!r} is no shape such as 1000x300 or x300", param, ctx)
        return int(found[1]) if found[1] else None, int(found[2])


class MeasureType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A measure's name, checked before anything is read."""

    name = "measure"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Look it up; an unknown one is wrong usage."""
        try:
            return next(iter(resolve_measures([value])))
        except InputError as error:
            self.fail(str(error), param, ctx)


class BudgetType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A budget, checked before anything is read."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it as for a large table; what is none is wrong usage."""
        try:
            budget_bytes(value, (10**6, 10**3))
        except InputError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def measure_option(text: str) -> Callable[[Command], Command]:
    """The option that names measures."""
    return click.option("-m", "--measure", "measures", type=MeasureType(), multiple=True, help=text)


def _drawable(
    _context: click.Context, _parameter: click.Parameter, path: Path | None
) -> Path | None:
    if path is not None:
        try:
            check_plot(path)
        except InputError as error:
            raise click.BadParameter(str(error)) from error
    return path


def plot_option(text: str) -> Callable[[Command], Command]:
    """The option that draws a picture."""
    return click.option("--plot", type=FILE, metavar="FILE", callback=_drawable, help=text)


seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the rows that are drawn at random.",
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
            metavar="FORMAT",
            help="INPUT's format, such as glove or csv.  [default: told from its content]",
        ),
        click.option(
            "--words",
            type=FILE,
            metavar="FILE",
            help="The words, for an INPUT without: one on each line, vocab.json or tokenizer.json.",
        ),
        click.option(
            "--member", metavar="NAME", help="Which file of a zip or tar archive to take."
        ),
        click.option(
            "--tensor",
            metavar="NAME",
            help="Which table of an npz, HDF5 or GGUF file or checkpoint to take.",
        ),
        click.option(
            "--column", metavar="NAME", help="Which column of a Parquet or Arrow file to take."
        ),
        click.option(
            "--words-column", metavar="NAME", help="The column of its words, or of those of CSV."
        ),
        click.option(
            "--dtype",
            type=click.Choice(["float16", "bfloat16", "float32", "float64"]),
            help="The type of the numbers of a file that has nothing else, with --shape.",
        ),
        click.option(
            "--shape",
            type=ShapeType(),
            metavar="[ROWS]xDIM",
            help="How many they are, such as x300 for as many rows as there are.",
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
