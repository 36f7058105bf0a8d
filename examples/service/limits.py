"""What a request may ask for: bytes, words, ids, neighbours and time; and short answers to the rest."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 4 << 20
"""Of a request's body."""
MOST_DISCARDED = 64 << 20
"""Bytes of a longer body that are read and thrown away, so that its sender sees the answer."""
MOST_SECONDS = 10.0
"""Until a search is answered with 503; one that has begun ends in its thread."""

Id = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Ids = Annotated[list[Id], Field(max_length=10_000)]
Word = Annotated[str, Field(max_length=1000)]
Words = Annotated[list[Word], Field(max_length=10_000)]
Vector = Annotated[list[float], Field(max_length=100_000)]
Neighbours = Annotated[int, Field(ge=1, le=1000)]


class LimitBodies:
    """Answers a request with 413 when its body is too long, without keeping it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count the bytes of its body as they come."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read <= MOST_BYTES:
                return message
            while message.get("more_body", False) and read < MOST_DISCARDED:
                message = await receive()
                read += len(message.get("body", b""))
            raise HTTPException(413, f"a body may have {MOST_BYTES:,} bytes")

        await self.app(scope, counted, send)


async def invalid_request(_: Request, error: Exception) -> Response:
    """What does not fit, without what was sent."""
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"where": ".".join(map(str, e["loc"][:4]))[:100], "what": e["msg"][:200]}
        for e in error.errors()[:5]
    ]
    return JSONResponse({"detail": wrong}, 422)
