"""What all tests share, and the option by which a skipped test fails."""

import os
import re

# OpenBLAS threads spin on the small matrices of the tests, which a busy machine pays for dearly.
# NumPy reads this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# SciPy, too: scikit-learn's checks of estimators want it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest

# What may be skipped under --no-skips, and why.
ALLOWED_SKIPS = {
    "needs EMCOMP_DATA": "the embeddings and tasks of the papers are not part of the project",
    "mounting a file system is not allowed here": "it takes root, and containers may forbid it",
    "needs Linux on x86-64": "elsewhere nothing else says what the processor has",
}


def pytest_addoption(parser):
    parser.addoption(
        "--no-skips", action="store_true", help="fail skipped tests, but for ALLOWED_SKIPS"
    )


def refuse_skip(report, config):
    """Make a failure of a report that a test or a module was skipped."""
    if report.skipped and not hasattr(report, "wasxfail") and config.option.no_skips:
        path, line, reason = report.longrepr
        if not any(re.search(allowed, reason) for allowed in ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: {reason}, but --no-skips was given"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    return refuse_skip((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return refuse_skip((yield), collector.config)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts and shards of few rows, so that small tables have many."""
    monkeypatch.setattr("emcomp.engine.base.part_rows", lambda dim: 256)
    monkeypatch.setattr("emcomp.compression.planning.part_rows", lambda dim: 256)
    monkeypatch.setattr("emcomp.compression.planning._SHARD_ROWS_BYTES", 1)
