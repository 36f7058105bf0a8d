"""Sources under engines: worker processes and files written as they are made."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import emcomp
from tests.helpers.source_files import KINDS, table, words_for, write_kind

ROWS, DIM = 3000, 8


@pytest.fixture(scope="module")
def workers():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool


@pytest.mark.parametrize("kind", KINDS)
def test_workers_compress_and_measure_what_the_handle_names(tmp_path, workers, kind):
    X = table(ROWS, DIM)
    path, options = write_kind(tmp_path, kind, X)
    source = emcomp.open_source(path, **options, **({"threads": 1} if kind == "glove" else {}))
    here = emcomp.compress(X, "whiten+kmeans:3", threads=1)
    with ThreadPoolExecutor(2) as threads:
        for executor in (workers, threads):
            out = tmp_path / type(executor).__name__
            codec = "whiten+kmeans:3"
            there = emcomp.compress(source, codec, executor=executor, out=out, shard_rows=250)
            assert np.array_equal(there.decode(0, ROWS), here.decode(0, ROWS))
            report = emcomp.evaluate(source, there, ["eos"], executor=executor)
            assert report["table"] == emcomp.evaluate(X, here, ["eos"])["table"]


@pytest.mark.parametrize("kind", ["npy", "glove", "gzip", "parquet"])
def test_tables_are_written_as_sources_are_read(tmp_path, kind):
    X = table(ROWS, DIM)
    path, options = write_kind(tmp_path, kind, X)
    source = emcomp.open_source(path, **options)
    words = words_for(ROWS) if source.has_words else None
    whole = tmp_path / "whole.emcomp"
    emcomp.compress(X, "kmeans:3", words=words, out=whole)
    emcomp.compress(source, "kmeans:3", out=tmp_path / "streamed.emcomp")
    assert (tmp_path / "streamed.emcomp").read_bytes() == whole.read_bytes()
    emcomp.compress(source, "kmeans:3", out=tmp_path / "shards", shard_rows=700)
    shards = emcomp.open(tmp_path / "shards")
    assert np.array_equal(shards.decode(0, ROWS), emcomp.open(whole).decode(0, ROWS))
