"""A short run of the program that fuzzes folders of shards."""

import subprocess
import sys
from pathlib import Path


def test_mutated_folders_are_read_or_refused(tmp_path):
    program = Path(__file__).parent / "fuzz_folder.py"
    result = subprocess.run(
        [sys.executable, program, "--seed", "7", "--count", "150"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "CorruptFileError" in result.stdout
    assert list(tmp_path.iterdir()) == []
