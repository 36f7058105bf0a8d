"""``emcomp inspect``, ``emcomp verify`` and ``emcomp config``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import stored_bytes
from emcomp.cli.options import FILE, json_option
from emcomp.cli.output import describe_size, write_fields, write_json, write_table, write_text
from emcomp.cli.progress import progress_bar
from emcomp.errors import FormatError
from emcomp.tables import container
from emcomp.tables.container_header import Json
from emcomp.tables.verification import table_files

CHECK_FAILED, BAD_FILE = 1, 4


def _as_text(value: Json) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value)


def _tensors(path: Path) -> list[dict[str, Any]]:
    """What a table's file holds, or each of its shards' files."""
    found = []
    for file in table_files(path):
        with container.open(file) as opened:
            for name in opened.names:
                array = opened.tensor(name)
                found.append({
                    "name": name if file == path else f"{file.name}: {name}",
                    "dtype": array.dtype.name,
                    "shape": list(array.shape),
                    "bytes": array.nbytes,
                })  # fmt: skip
    return found


@click.command(
    short_help="Say what is in a compressed table.",
    epilog="""\b
Examples:
  emcomp inspect glove.emcomp
  emcomp inspect glove.emcomp --json
""",
)
@click.argument("file", type=FILE)
@json_option
def inspect(file: Path, as_json: bool) -> None:
    """Say what is in a compressed table: shape, codec, sizes, words, how it was fitted."""
    table = emcomp.open(file)
    rows, dim = table.shape
    tensors = _tensors(file)
    words = None if table.words is None else len(table.words)
    vocabulary = sum(t["bytes"] for t in tensors if "vocabulary." in t["name"])
    if as_json:
        write_json({
            "file": str(file),
            "file_bytes": stored_bytes(file),
            "rows": rows,
            "dim": dim,
            "codec": str(table.codec),
            "table_bytes": table.nbytes,
            "bits_per_entry": table.bits_per_entry,
            "ratio": table.ratio,
            "words": words,
            "vocabulary_bytes": vocabulary,
            "fitted": dict(table.info),
            "tensors": tensors,
        })  # fmt: skip
        return
    write_fields([
        ("file", f"{file}, {format_bytes(stored_bytes(file))}"),
        ("table", f"{rows:,} x {dim}"),
        ("codec", str(table.codec)),
        ("size", describe_size(table)),
        ("words", "none" if words is None else f"{words:,}, {format_bytes(vocabulary)}"),
        *((f"fitted {key}", _as_text(value)) for key, value in table.info.items()),
    ])  # fmt: skip
    write_text("\n")
    write_table(
        ("tensor", "type", "shape", "bytes"),
        [
            (t["name"], t["dtype"], " x ".join(map(str, t["shape"])) or "1", f"{t['bytes']:,}")
            for t in tensors
        ],
    )


def _damage(path: Path) -> str | None:
    """What is wrong with a file, None if nothing is."""
    try:
        with progress_bar("bytes") as report:
            emcomp.verify(path, lambda done, total: report("verify", done, total))
    except FormatError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


@click.command(
    short_help="Check every byte of compressed tables.",
    epilog="""\b
Examples:
  emcomp verify glove.emcomp
  emcomp verify tables/*.emcomp && echo all good
""",
)
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
@json_option
@click.pass_context
def verify(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Check every byte of compressed tables.

    Exits with 1 if a file is damaged or not an emcomp file, and with 4 if one cannot be read.
    """
    results: list[dict[str, str | None]] = []
    code = 0
    for file in files:
        status, problem = "good", None
        try:
            problem = _damage(file)
        except OSError as error:
            status, problem, code = "unreadable", error.strerror or str(error), BAD_FILE
        if problem is not None and status == "good":
            status, code = "damaged", max(code, CHECK_FAILED)
        results.append({"file": str(file), "status": status, "problem": problem})
        if not as_json:
            write_text(f"{file}: {status}{'' if problem is None else f': {problem}'}\n")
    if as_json:
        write_json({"files": results})
    ctx.exit(code)


@click.command(
    short_help="Say what this installation is made of.",
    epilog="""\b
Examples:
  emcomp config
  EMCOMP_ISA=baseline emcomp config --json
""",
)
@json_option
def config(as_json: bool) -> None:
    """Say what this installation is made of: version, instruction sets, threads, compiler."""
    found = emcomp.show_config("dict")
    if as_json:
        write_json({key.replace(" ", "_"): value for key, value in found.items()})
        return
    write_fields(
        (key, ", ".join(value) if isinstance(value, list) else str(value))
        for key, value in found.items()
    )
