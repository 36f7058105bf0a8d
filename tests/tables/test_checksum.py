from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from emcomp import _core
from emcomp.tables.container_header import checksum


@pytest.mark.parametrize("size", [*range(140), 1023, 4096, 100_003])
def test_equals_xxh64_at_every_length(size):
    data = np.random.default_rng(size).bytes(size)
    assert checksum(data) == xxhash.xxh64(data).intdigest()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80)))
def test_pieces_do_not_matter(pieces):
    state = _core.Checksum()
    for piece in pieces:
        state.update(np.frombuffer(piece, np.uint8))
        state.digest()  # looking at it changes nothing
    assert state.digest() == xxhash.xxh64(b"".join(pieces)).intdigest()


def test_bytes_at_odd_addresses():
    data = np.arange(200, dtype=np.uint8)
    for first in range(9):
        piece = data[first:]
        assert checksum(piece.data) == xxhash.xxh64(piece.tobytes()).intdigest()


def test_takes_nothing_but_bytes():
    with pytest.raises(TypeError):
        _core.Checksum().update(np.zeros(3, np.float32))
    with pytest.raises(TypeError):
        _core.Checksum().update(np.zeros(8, np.uint8)[::2])
