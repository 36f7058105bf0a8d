from __future__ import annotations

import runpy
from pathlib import Path


def test_mutated_files_are_read_or_refused():
    fuzz = runpy.run_path(str(Path(__file__).parents[1] / "fuzz" / "fuzz_container.py"))
    outcomes = fuzz["run"](seed=20, count=2000)
    assert outcomes.total() == 2000
    # Mutations get past every check of the file and reach the vocabulary.
    assert outcomes["read after repair"] > 50
    assert outcomes["BadWordsError after repair"] > 50
