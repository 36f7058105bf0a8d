"""What tests of codecs and transforms that learn from rows have in common."""

from __future__ import annotations

import numpy as np

from emcomp.engine.base import Engine
from emcomp.io.sources.base import Block, as_source


def correlated_table(rows, dim, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dim, dim)) / np.sqrt(dim)
    return (rng.standard_normal((rows, dim)) @ mixing).astype(np.float32)


def unpack(packed, count, bits):
    """The codes of each row from its bytes, bit by bit."""
    stream = np.unpackbits(packed, axis=1, bitorder="little")
    assert not stream[:, count * bits :].any()
    groups = stream[:, : count * bits].reshape(len(packed), count, bits)
    return (groups.astype(np.int64) << np.arange(bits)).sum(axis=2)


def compressed(X, codec, threads=1):
    """The tensors of a table, encoded in one block."""
    fitted = codec.fit(as_source(X), Engine(threads))
    codes = np.empty((len(X), codec.row_bytes), np.uint8)
    fitted.encode(Block(0, X), {"codes": codes}, threads)
    return {"codes": codes, **fitted.shared_tensors}


def rows_of(codec, tensors, shape):
    """All rows, decoded from tensors."""
    out = np.empty(shape, np.float32)
    codec.reader(shape, tensors).read(0, out, 2)
    return out
