import numpy as np
import pytest

import emcomp
from tests.helpers.cli_runner import WORDS


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
