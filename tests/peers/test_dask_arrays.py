"""Dask arrays as sources."""

import pickle

import numpy as np
import pytest

import emcomp
from emcomp.errors import InputError
from emcomp.io.sources.base import as_source
from tests.helpers.source_files import table

da = pytest.importorskip("dask.array")


@pytest.mark.parametrize("chunks", [(7, 5), (25, 2), (60, 5)])
def test_a_dask_array(chunks):
    X = table(60, 5)
    source = as_source(da.from_array(X, chunks=chunks))
    assert (source.shape, source.dtype) == ((60, 5), "float32")
    for first, count in [(0, 60), (5, 30), (59, 1), (60, 0)]:
        assert np.array_equal(source.read(first, count), X[first : first + count])
    assert np.array_equal(pickle.loads(pickle.dumps(source)).read(5, 9), X[5:14])
    compressed = emcomp.compress(da.from_array(X, chunks=chunks), "uniform:4")
    assert np.array_equal(compressed.decode(0, 60), emcomp.compress(X, "uniform:4").decode(0, 60))


def test_dask_arrays_that_cannot_be_read():
    X = da.from_array(table(60, 5), chunks=(20, 5))
    with pytest.raises(InputError, match=r"unknown size .* compute_chunk_sizes\(\) first"):
        as_source(X[X[:, 0] > 0])
    with pytest.raises(InputError, match="not int64"):
        as_source(X.astype(int))
    with pytest.raises(InputError, match="shape"):
        as_source(X[0])
    bits = da.zeros((8, 2), dtype=np.uint16)
    with pytest.raises(InputError, match="need dtype='bfloat16'"):
        as_source(bits)
    assert as_source(bits, "bfloat16").read(1, 2).dtype == np.uint16
