"""``emcomp compress``."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import emcomp
from emcomp._support.sizes import format_bytes
from emcomp.cli.files import check_output, read_input, stored_bytes, writing
from emcomp.cli.options import FILE, INPUT, CodecType, json_option, reading_options, threads_option
from emcomp.cli.output import describe_size, write_fields, write_json
from emcomp.cli.progress import WatchedSource, progress_bar
from emcomp.compression.runs import check_target
from emcomp.statistics.squared_error import relative_squared_error

if TYPE_CHECKING:
    from emcomp.codecs.base import Codec


@click.command(
    short_help="Compress a file of vectors.",
    epilog="""\b
Examples:
  emcomp compress glove.6B.300d.txt glove.emcomp
  emcomp compress cc.en.300.vec.gz en.emcomp --codec uniform:2 --limit 200000
  emcomp compress glove.6B.zip glove.emcomp --member glove.6B.300d.txt
  emcomp compress "parts/*.parquet" parts.emcomp --words-column word
  emcomp compress tokens.npy tokens.emcomp --words tokenizer.json
  emcomp compress model.safetensors tokens.emcomp --codec "uniform:8(granularity=row)"
  emcomp compress huge.npy huge.emcomp --memory-limit 1GB
  emcomp compress huge.npy huge --shard-rows 1000000 --resume
""",
)
@click.argument("input_path", metavar="INPUT", type=INPUT)
@click.argument("output", metavar="OUTPUT", type=FILE)
@click.option(
    "-c",
    "--codec",
    type=CodecType(),
    default="uniform:4",
    show_default=True,
    help="How to compress: a name, a size and options.",
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Write the table as it is made, in so much memory, such as 1GB.",
)
@click.option(
    "--shard-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Make OUTPUT a folder of files of N rows, which emcomp append can add to.",
)
@click.option("--resume", is_flag=True, help="Go on with what an interrupted run has finished.")
@reading_options("--format")
@threads_option
@json_option
def compress(
    input_path: Path | str,
    output: Path,
    codec: Codec,
    memory_limit: str | None,
    shard_rows: int | None,
    resume: bool,
    threads: int | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Compress the vectors of INPUT into OUTPUT, and say what was lost.

    INPUT is GloVe or word2vec text, word2vec binary, a fastText model, CSV, npy, npz, safetensors,
    a torch checkpoint, GGUF, HDF5, Parquet or Arrow. It may be compressed or in a zip or tar
    archive; - is standard input. It may be a folder or quoted pattern of files of one table, the
    index of a checkpoint in several files, or a URL. An emcomp file is taken too, to make it
    smaller. An OUTPUT that is there is replaced when the new one is complete.
    """
    streaming = memory_limit is not None or shard_rows is not None or resume
    check_output(output, input_path, reading["words"], folder=shard_rows is not None)
    started = time.perf_counter()
    with progress_bar() as report:
        report("read", 0, 0)
        source, words = read_input(input_path, threads=threads, streamed=streaming, **reading)
        if streaming:
            check_target(output, shard_rows is not None, resume)
            limits: dict[str, Any] = {"memory_limit": memory_limit, "shard_rows": shard_rows}
            click.echo(str(emcomp.plan(source, codec, **limits)), err=True)
            with writing(output):
                table = emcomp.compress(
                    source,
                    codec,
                    words=words,
                    out=output,
                    resume=resume,
                    threads=threads,
                    progress=report,
                    **limits,
                )
        else:
            table = emcomp.compress(source, codec, words=words, threads=threads, progress=report)
        watched = WatchedSource(source, "measure", report)
        comparable = table.shape == source.shape
        error = relative_squared_error(watched, table, threads=threads) if comparable else math.nan
        if not streaming:
            report("write", 0, 0)
            with writing(output):
                table.save(output)
    seconds = time.perf_counter() - started
    rows, dim = table.shape
    file_bytes = stored_bytes(output)
    if as_json:
        write_json({
            "input": str(input_path),
            "output": str(output),
            "codec": str(table.codec),
            "rows": rows,
            "dim": dim,
            "words": None if table.words is None else len(table.words),
            "table_bytes": table.nbytes,
            "file_bytes": file_bytes,
            "bits_per_entry": table.bits_per_entry,
            "ratio": table.ratio,
            "relative_squared_error": error if math.isfinite(error) else None,
            "seconds": seconds,
        })  # fmt: skip
        return
    vocabulary = "" if table.words is None else ", the rest is the vocabulary"
    write_fields([
        ("table", f"{rows:,} x {dim}" + (", with words" if table.words is not None else "")),
        ("codec", str(table.codec)),
        ("size", describe_size(table)),
        ("file", f"{output}, {format_bytes(file_bytes)}{vocabulary}"),
        ("relative squared error", f"{error:.4g}" if comparable else "none, rows are shorter"),
        ("time", f"{seconds:.3f} s"),
    ])  # fmt: skip
