import os
from pathlib import Path

import numpy as np
import pytest

import emcomp
from tests.library.library_binding import Library
from tests.library.library_table import DIM, ROOT, ROWS, WORDS, run


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """Where the library is installed: EMCOMP_LIBRARY_PREFIX, or where it is built now."""
    given = os.environ.get("EMCOMP_LIBRARY_PREFIX")
    if given:
        return Path(given)
    build = tmp_path_factory.mktemp("build")
    install = tmp_path_factory.mktemp("prefix")
    options = [f"-DEMCOMP_{name}" for name in ("PYTHON=OFF", "LIBRARY=ON", "LEVELS=baseline")]
    run(
        "cmake",
        "-S",
        ROOT,
        "-B",
        build,
        "-DCMAKE_INSTALL_LIBDIR=lib",
        "-DEMCOMP_WERROR=ON",
        *options,
    )
    run("cmake", "--build", build, "--parallel", 2)
    run("cmake", "--install", build, "--prefix", install, "--component", "library")
    return install


@pytest.fixture(scope="session")
def library(prefix):
    return Library(prefix / "lib" / "libemcomp.so")


@pytest.fixture(scope="session")
def vectors():
    mixing = np.random.default_rng(1).normal(size=(DIM, DIM))
    return (np.random.default_rng(0).normal(size=(ROWS, DIM)) @ mixing).astype(np.float32)


@pytest.fixture(scope="session")
def path(vectors, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "words.emcomp"
    emcomp.compress(vectors, "whiten+kmeans:4", words=WORDS).save(path)
    return path
