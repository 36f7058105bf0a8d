"""Python and the library open, refuse and decode the same files."""

from __future__ import annotations

import random
import runpy
from collections import Counter

import numpy as np
import pytest

import emcomp
from emcomp.errors import CorruptFileError, FormatError
from tests.helpers import odd_files
from tests.library import library_binding
from tests.library.library_binding import StatusError, Table
from tests.library.library_table import CAN_BUILD, ROOT

if not CAN_BUILD:
    pytest.skip("needs cmake", allow_module_level=True)


def check_verdict(library, path, label):
    """Compare what opening a file comes to, and its rows; returns the status of the library."""
    try:
        expected = emcomp.open(path)
    except FormatError as error:
        damaged = isinstance(error, CorruptFileError)
        status = library_binding.CORRUPT if damaged else library_binding.NOT_A_TABLE
        with pytest.raises(StatusError) as raised:
            Table(library, path)
        found, message = raised.value.status, str(error)[:500]  # its messages are of fixed length
        np.testing.assert_equal((found, str(raised.value)[:500]), (status, message), label)
        return status
    with Table(library, path) as table:
        assert table.shape == expected.shape, label
        assert table.has_words == (expected.words is not None), label
        found = table.lookup(np.arange(expected.shape[0]))
        np.testing.assert_array_equal(found, expected.decode(), err_msg=label)
    return library_binding.OK


def test_odd_files(library, tmp_path):
    path = tmp_path / "odd"
    found = Counter()
    originals = odd_files.tables(tmp_path)
    for label, data in odd_files.odd_files(originals, seed=2, count=2000):
        path.write_bytes(data)
        found[check_verdict(library, path, label)] += 1
    assert min(found.values()) > 300, found


def test_mutated_files(library, tmp_path):
    fuzz = runpy.run_path(str(ROOT / "tests" / "fuzz" / "fuzz_container.py"))
    path = tmp_path / "mutated"
    originals = [odd_files.build(parts) for parts in odd_files.tables(tmp_path)]
    rng = random.Random(5)
    found = Counter()
    for i in range(1000):
        original = rng.choice(originals)
        header_end = 8 + int.from_bytes(original[:8], "little")
        data = fuzz["mutate"](original, rng, first=header_end if i % 4 == 1 else 0)
        if i % 2:
            data = fuzz["with_right_checksums"](data)
        path.write_bytes(data)
        found[check_verdict(library, path, f"mutated file {i}")] += 1
    assert found[library_binding.OK] > 100 < found[library_binding.CORRUPT], found
