"""The folders of the core: what may include what."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CORE = Path(__file__).parent.parent / "cpp" / "emcomp"
# Lowest first: a file includes files of its own folder and of those before it.
FOLDERS = [
    "base",
    "simd",
    "packing",
    "statistics",
    "kmeans",
    "networks",
    "transforms",
    "codes",
    "readers",
    "words",
    "vectors",
    "file",
]

pytestmark = pytest.mark.skipif(not CORE.exists(), reason="needs the sources")


def test_includes_run_down():
    assert sorted(path.name for path in CORE.iterdir()) == sorted(FOLDERS)
    up = [
        f"{path.relative_to(CORE)} includes {included}/"
        for path in CORE.glob("*/*.[ch]pp")
        for included in re.findall(r'#include "emcomp/(\w+)/', path.read_text())
        if FOLDERS.index(included) > FOLDERS.index(path.parent.name)
    ]
    assert up == []


def test_each_folder_is_a_namespace():
    for path in CORE.glob("*/*.[ch]pp"):
        if path.name != "errors.hpp":
            names = set(re.findall(r"^namespace ([\w:]+) {", path.read_text(), re.MULTILINE))
            assert names - {"detail"} == {f"emcomp::{path.parent.name}"}, path


def test_the_core_knows_nothing_of_python():
    for path in CORE.glob("*/*.[ch]pp"):
        assert not re.search(r"pybind11|Python\.h", path.read_text()), path
