"""What the service counts, added up over all workers, as Prometheus text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("emcomp_requests", "Requests answered", ["path", "status"])
SECONDS = Histogram(
    "emcomp_request_seconds",
    "Time to answer a request",
    ["path"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
ROWS = Counter("emcomp_rows_served", "Rows looked up")
RELOADS = Counter("emcomp_reloads", "Files that took over, in each worker")
RELOAD_FAILURES = Counter("emcomp_reload_failures", "Files that were refused, in each worker")
TABLE_ROWS = Gauge("emcomp_table_rows", "Rows of the table", multiprocess_mode="mostrecent")


def exposition() -> bytes:
    """The metrics of all workers, which keep them in files in PROMETHEUS_MULTIPROC_DIR."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


class CountRequests:
    """Middleware that counts requests by path and status, and their time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it has been answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        status = 500

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watching)
        finally:
            route = scope.get("route")
            path = "other" if route is None else route.path  # not every path that is asked for
            REQUESTS.labels(path, str(status)).inc()
            SECONDS.labels(path).observe(time.perf_counter() - begin)
