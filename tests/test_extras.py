"""Optional libraries are imported when they are used, and named when they are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_takes_no_optional_library():
    heavy = "{'gensim', 'sklearn', 'scipy', 'torch', 'pandas', 'matplotlib'}"
    result = run(f"import sys, emcomp; print(sorted({heavy} & sys.modules.keys()))")
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    ("extra", "library"), [("gensim", "gensim"), ("sklearn", "scikit-learn"), ("torch", "torch")]
)
def test_missing_libraries_are_named(extra, library):
    result = run(f"import sys; sys.modules['{extra}'] = None; import emcomp.{extra}")
    assert f"emcomp.{extra} needs {library}: pip install 'emcomp[{extra}]'" in result.stderr
