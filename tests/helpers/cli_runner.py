"""Running the program as a shell would, and files for it to read."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import emcomp
from emcomp.cli import program

WORDS = ["cat", "dog", "na\u00efve", "New York", "12", "#"]


@pytest.fixture
def vectors():
    return np.random.default_rng(0).standard_normal((6, 9)).astype(np.float32)


@pytest.fixture
def glove(tmp_path, vectors):
    path = tmp_path / "vectors.txt"
    emcomp.write_vectors(path, vectors, WORDS)
    return path


@pytest.fixture
def table_path(tmp_path, vectors):
    path = tmp_path / "table.emcomp"
    emcomp.compress(vectors, "uniform:4", words=WORDS).save(path)
    return path


@pytest.fixture
def plain_path(tmp_path, vectors):
    path = tmp_path / "plain.emcomp"
    emcomp.compress(vectors, "uniform:8").save(path)
    return path


def invoke(*arguments):
    return CliRunner().invoke(program, [str(a) for a in arguments], prog_name="emcomp")


def run(*arguments, code=0):
    result = invoke(*arguments)
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    if code:
        assert re.fullmatch(r"emcomp: error: [^\n]+\n", result.stderr)
    return result


def run_json(command, *arguments):
    return json.loads(run(command, "--json", *arguments).stdout)
