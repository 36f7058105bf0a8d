"""Rows and nearest words of one compressed table over HTTP. Start it with serve.py."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import numpy as np
import orjson
from anyio.to_thread import current_default_thread_limiter
from fastapi import Body, FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from limits import (
    MOST_SECONDS,
    Id,
    Ids,
    LimitBodies,
    Neighbours,
    Vector,
    Word,
    Words,
    invalid_request,
)
from live_table import LiveTable
from metrics import RELOAD_FAILURES, RELOADS, ROWS, TABLE_ROWS, CountRequests, exposition
from pydantic import BaseModel

from emcomp import CompressedEmbedding, EmcompError, UnknownWordError

RAW = "application/octet-stream"
log = logging.getLogger("uvicorn.error")


class Wanted(BaseModel):
    """Rows by their ids or by their words."""

    ids: Ids | None = None
    words: Words | None = None


class Asked(BaseModel):
    """A word, a row or a vector whose nearest rows are wanted."""

    word: Word | None = None
    id: Id | None = None
    vector: Vector | None = None
    k: Neighbours = 10


async def follow(live: LiveTable, seconds: float) -> None:
    """Look again and again whether the file is another one."""
    while True:
        await asyncio.sleep(seconds)
        try:
            if await asyncio.to_thread(live.refresh):
                RELOADS.inc()
                TABLE_ROWS.set(len(live.table))
                log.info("reloaded: %r", live.table)
        except (EmcompError, OSError) as error:
            RELOAD_FAILURES.inc()
            log.error("kept the table that was there: %s", error)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the table, and follow its file as long as the service runs."""
    # Searches use a processor each: more of them at once would only keep lookups waiting.
    current_default_thread_limiter().total_tokens = os.cpu_count() or 1
    live = app.state.live = LiveTable(os.environ["EMCOMP_TABLE"])
    TABLE_ROWS.set(len(live.table))
    task = asyncio.create_task(follow(live, float(os.environ["EMCOMP_RELOAD_SECONDS"])))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


app = FastAPI(title="emcomp", lifespan=lifespan)
app.add_middleware(LimitBodies)
app.add_middleware(CountRequests)
app.add_exception_handler(RequestValidationError, invalid_request)


def json_response(content: Any, status: int = 200) -> Response:
    """JSON, with NumPy arrays as lists."""
    data = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, status, media_type="application/json")


@app.exception_handler(UnknownWordError)
async def unknown_word(_: Request, error: UnknownWordError) -> Response:
    """A word that is not there; the message names words that are close."""
    return json_response({"detail": str(error)}, 404)


@app.exception_handler(IndexError)
@app.exception_handler(EmcompError)
async def bad_input(_: Request, error: Exception) -> Response:
    """An id out of range, a vector of another dimension, words of a table that has none."""
    return json_response({"detail": str(error)}, 422)


def exactly_one(*given: object) -> None:
    """Refuse a request that names nothing, or the same thing twice."""
    if sum(value is not None for value in given) != 1:
        raise HTTPException(422, "name exactly one of what can be asked for")


def find_rows(table: CompressedEmbedding, wanted: Wanted, accept: str) -> Response:
    """The answer to a request for rows, as JSON or as float32."""
    exactly_one(wanted.ids, wanted.words)
    if wanted.ids is not None:
        rows = table.lookup(np.array(wanted.ids, np.int64))
    else:
        rows = table[wanted.words] if wanted.words else table.lookup([])
    ROWS.inc(len(rows))
    if accept != RAW:
        return json_response({"rows": rows})
    shape = {"X-Rows": str(rows.shape[0]), "X-Dim": str(rows.shape[1])}
    return Response(rows.astype("<f4", copy=False).tobytes(), media_type=RAW, headers=shape)


@app.get("/rows")
async def get_rows(
    request: Request,
    id: Annotated[Ids | None, Query()] = None,  # noqa: A002
    word: Annotated[Words | None, Query()] = None,
) -> Response:
    """Rows of ids or words, in the order given: ``/rows?id=3&id=5``, ``/rows?word=cat``."""
    wanted = Wanted(ids=id, words=word)
    return find_rows(request.app.state.live.table, wanted, request.headers.get("accept", ""))


@app.post("/rows")
async def post_rows(request: Request, wanted: Annotated[Wanted, Body()]) -> Response:
    """Rows of many ids or words: ``{"ids": [3, 5]}`` or ``{"words": ["cat"]}``."""
    return find_rows(request.app.state.live.table, wanted, request.headers.get("accept", ""))


def find_nearest(table: CompressedEmbedding, asked: Asked) -> Response:
    """The answer to a request for nearest rows."""
    exactly_one(asked.word, asked.id, asked.vector)
    query: Any = asked.word if asked.word is not None else asked.id
    if asked.vector is not None:
        query = np.array(asked.vector, np.float32)
    found = table.similar(query, asked.k)
    key = "row" if table.words is None else "word"
    return json_response({"nearest": [{key: name, "cosine": cosine} for name, cosine in found]})


async def search(request: Request, asked: Asked) -> Response:
    """The answer of a search, which reads the whole table in a thread beside which lookups go on."""
    table = request.app.state.live.table
    try:
        return await asyncio.wait_for(run_in_threadpool(find_nearest, table, asked), MOST_SECONDS)
    except TimeoutError:
        raise HTTPException(503, f"not answered in {MOST_SECONDS:g} seconds: try again") from None


@app.get("/nearest")
async def get_nearest(
    request: Request,
    word: Word | None = None,
    id: Id | None = None,  # noqa: A002
    k: Neighbours = 10,
) -> Response:
    """The words (rows, without words) of largest cosine: ``/nearest?word=cat&k=5``."""
    return await search(request, Asked(word=word, id=id, k=k))


@app.post("/nearest")
async def post_nearest(request: Request, asked: Annotated[Asked, Body()]) -> Response:
    """The same for a vector: ``{"vector": [0.1, ...], "k": 5}``."""
    return await search(request, asked)


@app.get("/health")
async def health(request: Request) -> Response:
    """What is being served."""
    table = request.app.state.live.table
    about = {
        "status": "ok",
        "rows": table.shape[0],
        "dim": table.dim,
        "codec": str(table.codec),
        "words": table.words is not None,
        "worker": os.getpid(),
    }
    return json_response(about)


@app.get("/metrics")
def metrics() -> Response:
    """Counts of all workers as Prometheus text."""
    return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
