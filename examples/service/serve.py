"""Serve a table:  python serve.py TABLE.emcomp [--port 8000] [--workers 2]."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import uvicorn


def main() -> None:
    """Start the workers."""
    parser = argparse.ArgumentParser(description="Serve a compressed table over HTTP.")
    parser.add_argument("table", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--reload-seconds", type=float, default=1.0, help="between looks at the file"
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="map the file, which workers then share and nobody may write to in place",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="emcomp-metrics-") as metrics:
        os.environ["EMCOMP_TABLE"] = str(arguments.table.resolve(strict=True))
        os.environ["EMCOMP_RELOAD_SECONDS"] = str(arguments.reload_seconds)
        os.environ["EMCOMP_SHARED"] = str(int(arguments.shared))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        # Workers are processes, and requests are many: one thread for each is best.
        os.environ.setdefault("EMCOMP_NUM_THREADS", "1")
        uvicorn.run(
            "service:app",
            app_dir=str(Path(__file__).parent),
            host=arguments.host,
            port=arguments.port,
            workers=arguments.workers,
            access_log=False,
        )


if __name__ == "__main__":
    main()
