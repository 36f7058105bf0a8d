"""Which build of the core is used, and what the installation says of itself."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import emcomp
from emcomp import _isa


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("level", _isa.available_levels())
def test_every_level_can_be_chosen_and_gives_the_same_table(level):
    X = np.random.default_rng(0).standard_normal((30, 33)).astype(np.float32)
    program = (
        "import emcomp, numpy as np; "
        "X = np.random.default_rng(0).standard_normal((30, 33)).astype(np.float32); "
        "t = emcomp.compress(X, 'uniform:5(granularity=row)'); "
        "print(emcomp.show_config('dict')['level'], t.tensors['codes'].tobytes().hex())"
    )
    found = run(program, EMCOMP_ISA=level).stdout.split()
    codes = emcomp.compress(X, "uniform:5(granularity=row)").tensors["codes"]
    assert found == [level, codes.tobytes().hex()]


def test_a_level_that_is_not_there_is_an_error():
    result = run("import emcomp", EMCOMP_ISA="v9")
    assert result.returncode != 0
    assert "EMCOMP_ISA='v9'" in result.stderr
    assert _isa.available_levels()[-1] in result.stderr


def test_every_built_level_is_shipped():
    for level in _isa.available_levels():
        assert run("import emcomp", EMCOMP_ISA=level).returncode == 0


def test_the_configuration_names_its_parts(capsys):
    config = emcomp.show_config("dict")
    assert config["emcomp"] == emcomp.__version__
    assert config["level"] in config["levels available"]
    assert config["numpy"] == np.__version__
    emcomp.show_config()
    printed = capsys.readouterr().out
    for value in ("level", "threads", "compiler", np.__version__, emcomp.__version__):
        assert value in printed


def test_importing_loads_nothing_heavy():
    heavy = ("torch", "scipy", "pandas", "matplotlib", "rich", "click", "gensim", "safetensors")
    program = f"import emcomp, sys; print([m for m in {heavy} if m in sys.modules])"
    assert run(program).stdout.strip() == "[]"
