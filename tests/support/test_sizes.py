"""Budgets in every notation, and what is none."""

import numpy as np
import pytest

from emcomp import InputError, compress
from emcomp._support.sizes import budget_bytes

SHAPE = (1000, 300)


@pytest.mark.parametrize(
    ("budget", "nbytes"),
    [
        (1, 1),
        (np.int64(12345), 12345),
        ("40MB", 40_000_000),
        ("40 mb", 40_000_000),
        ("1.5GB", 1_500_000_000),
        ("2TB", 2 * 10**12),
        ("64kB", 64_000),
        ("64KiB", 65_536),
        ("1.5MiB", 1_572_864),
        (".25GiB", 2**28),
        ("77", 77),
        (" 77B ", 77),
        ("0.9999kB", 999),
        ("16x", 1_200_000 // 16 + 75),
        ("2.5bits", 93_750 + 93),
        ("1 bit", 37_500 + 37),
    ],
)
def test_notations(budget, nbytes):
    assert budget_bytes(budget, SHAPE) == nbytes


@pytest.mark.parametrize(
    "budget",
    [
        0, -1, True, 2.5, float("nan"), None, "", "MB", "40 M B", "40PB", "-4MB", "0x", "0MB",
        "0.5", "0bits", "1e3", "16 x 2", "1.2.3MB", "bits", "x", b"40MB", "\u0664MB",
    ],
)  # fmt: skip
def test_what_is_no_budget(budget):
    with pytest.raises(InputError, match="a budget is bytes such as"):
        budget_bytes(budget, SHAPE)


def test_the_step_that_all_rows_share_does_not_count_against_bits_or_ratio():
    for bits in (1, 2, 4):
        size = compress(np.ones((1000, 304), np.float32), f"uniform:{bits}").nbytes
        assert size == 1000 * 38 * bits + 4
        assert size <= budget_bytes(f"{bits}bits", (1000, 304)) < 1.002 * size
        assert size <= budget_bytes(f"{32 // bits}x", (1000, 304)) < 1.002 * size
