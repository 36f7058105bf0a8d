"""The program: its commands, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

from emcomp import __version__
from emcomp.cli.appending import append
from emcomp.cli.compress import compress
from emcomp.cli.convert import convert, decompress
from emcomp.cli.demo import demo
from emcomp.cli.inspection import config, inspect, verify
from emcomp.cli.measuring import evaluate
from emcomp.cli.query import lookup, similar
from emcomp.cli.selecting import select
from emcomp.errors import FormatError, InputError, UnknownWordError

USAGE, BAD_INPUT, BAD_FILE = 2, 3, 4
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
PIPE_CLOSED = 141  # 128 + SIGPIPE, which not every system has


class _PipeClosedError(Exception):
    """Nobody reads our output any more, as in ``emcomp lookup ... | head``."""


class Program(click.Group):
    """A click group whose every error is one line and a defined exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order in which people come to need them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and write what is still buffered."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError as error:  # click would exit with 1, which has a meaning here
            raise _PipeClosedError from error

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the program and exit."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "emcomp"
            _fail(f"{error.format_message()} (see {command} --help)", USAGE)
        except click.Abort:
            _fail("interrupted", INTERRUPTED)
        except _PipeClosedError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(PIPE_CLOSED)
        except (InputError, UnknownWordError) as error:
            _fail(str(error), BAD_INPUT)
        except FormatError as error:
            _fail(str(error), BAD_FILE)
        except OSError as error:
            reason = error.strerror or str(error)
            _fail(reason if error.filename is None else f"{error.filename}: {reason}", BAD_FILE)
        except MemoryError as error:
            _fail(f"not enough memory: {error}", BAD_FILE)
        sys.exit(code or 0)


def _fail(message: str, code: int) -> NoReturn:
    click.echo("emcomp: error: " + message.replace("\n", " "), err=True)
    sys.exit(code)


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  emcomp compress glove.6B.300d.txt glove.emcomp --codec uniform:4
  emcomp select glove.6B.300d.txt --budget 40MB --output glove.emcomp
  emcomp evaluate glove.6B.300d.txt glove.emcomp
  emcomp similar glove.emcomp cat
  emcomp demo

\b
Data goes to standard output; errors and progress go to standard error.
Exit codes: 0 good, 1 a check failed, 2 wrong usage, 3 bad input,
4 a file that cannot be read or written, 130 interrupted.""",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Compress embedding tables and use them compressed."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (
    compress, append, evaluate, select, decompress, convert, inspect, verify, lookup, similar, config,
    demo,
):  # fmt: skip
    program.add_command(command)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    sys.exit(TERMINATED)  # an exception, so that unfinished files are removed


def main() -> NoReturn:
    """Run ``emcomp`` with the arguments of this process."""
    signal.signal(signal.SIGTERM, _terminate)
    program.main(prog_name="emcomp")
