"""The real embeddings and tasks that some tests use where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("EMCOMP_DATA", Path(__file__).parents[3] / "shared" / "data"))

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs EMCOMP_DATA")
