"""The table that tests of the library for C and C++ programs read, and running what reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CAN_BUILD = "EMCOMP_LIBRARY_PREFIX" in os.environ or shutil.which("cmake")
ROOT = Path(__file__).parents[2]
ROWS, DIM = 300, 33
WORDS = ["cat", "dog", "", "straße", b"\xff\xfe", *(f"word{i}" for i in range(ROWS - 5))]


def run(*command, **settings):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **settings
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
