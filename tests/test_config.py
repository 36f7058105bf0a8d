"""Which build of the core is used, and what the installation says of itself."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emcomp
from emcomp import _isa, _native


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


def test_a_processor_that_runs_no_built_level_is_told_what_it_lacks():
    missing = {"v3": ["movbe"], "v4": ["movbe", "avx512f", "avx512bw"]}
    with pytest.raises(ImportError) as caught:
        _native.choose_level("", ["v4"], missing)
    message = str(caught.value)
    assert "built for x86-64-v4 only" in message
    assert "lacks movbe, avx512f, avx512bw;" in message
    assert "EMCOMP_LEVELS=all pip install" in message
    with pytest.raises(ImportError, match=r"for x86-64-v3 and x86-64-v4 only, .* lacks movbe;"):
        _native.choose_level("v4", ["v3", "v4"], missing)


def test_the_best_level_that_runs_is_chosen():
    built = ["baseline", "v3", "v4"]
    missing = {"baseline": [], "v3": [], "v4": ["avx512f"]}
    assert _native.choose_level("", built, missing) == "v3"
    assert _native.choose_level("baseline", built, missing) == "baseline"
    with pytest.raises(ImportError, match=r"EMCOMP_ISA='v4'.* offer baseline, v3\."):
        _native.choose_level("v4", built, missing)


def test_a_level_lacks_at_least_what_the_one_below_lacks():
    assert _isa.missing_features("baseline") == []
    v3, v4 = (_isa.missing_features(level) for level in ("v3", "v4"))
    assert v4[: len(v3)] == v3
    assert _isa.missing_features("v9") == ["any"]
    assert _isa.available_levels() == [
        level for level in _isa.built_levels() if not _isa.missing_features(level)
    ]


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="needs Linux on x86-64"
)
def test_missing_features_against_the_system():
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    names = {"lahf_lm": "lahf", "pni": "sse3", "abm": "lzcnt"}
    has = {names.get(flag, flag.replace("_", ".")) for flag in flags[1].split()}
    v4 = _isa.missing_features("v4")
    known = "cx16 lahf popcnt sse3 ssse3 sse4.1 sse4.2 avx avx2 bmi1 bmi2 f16c fma lzcnt movbe"
    known += " avx512f avx512bw avx512cd avx512dq avx512vl"
    assert v4 == [name for name in known.split() if name not in has]


def test_every_built_level_is_shipped():
    for level in _isa.available_levels():
        assert run("import emcomp", EMCOMP_ISA=level).returncode == 0


def test_the_configuration_names_its_parts(capsys):
    config = emcomp.show_config("dict")
    assert config["emcomp"] == emcomp.__version__
    assert config["level"] in config["levels available"]
    assert set(config["levels available"]) <= set(config["levels built"])
    assert config["numpy"] == np.__version__
    emcomp.show_config()
    printed = capsys.readouterr().out
    for value in ("level", "threads", "compiler", np.__version__, emcomp.__version__):
        assert value in printed


def test_importing_loads_nothing_heavy():
    heavy = ("torch", "scipy", "pandas", "matplotlib", "rich", "click", "gensim", "safetensors")
    program = f"import emcomp, sys; print([m for m in {heavy} if m in sys.modules])"
    assert run(program).stdout.strip() == "[]"
