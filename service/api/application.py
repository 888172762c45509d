"""FastAPI with layers around it: a request that one of them answers never gets to FastAPI."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_fields_from_routes
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Application(FastAPI):
    """What `add_middleware` adds lies within FastAPI, and the way to there is long (ADR 18)."""

    def __init__(self, **options: Any) -> None:
        """Begin with no layer."""
        super().__init__(**options)
        self._outermost: ASGIApp = super().__call__

    def wrap(self, layer: Callable[..., ASGIApp], **options: Any) -> None:
        """Put a `layer` around all that is there: the last one sees a request first."""
        self._outermost = layer(self._outermost, **options)

    async def prepare(self) -> None:
        """Have FastAPI make its routes and their fields now.

        The first request would hold the event loop for it. Fields are told apart by which object
        they are and made without a lock: OpenAPI by a worker must not meet others than requests do.
        """
        nowhere = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
        await super().__call__({**nowhere, "query_string": b""}, _nothing, _nobody)
        get_fields_from_routes(self.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the layers, then FastAPI, answer."""
        await self._outermost(scope, receive, send)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nobody(message: Message) -> None:
    """Take a reply that was only asked for to warm up."""
