"""Gives every request an id, and tells of each in the log where that is wanted. Knows ASGI."""

import re
import secrets
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware import CLIENT_WENT_AWAY
from service.logs import ABOUT, About

log = structlog.get_logger()

HEADER: Final = b"x-request-id"
# What may stand in a log line and a header without being quoted; a longer one is another's.
GOOD: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestIds:
    """Takes the id that a request brings, or makes one; says it in the answer and in log lines."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app
        # Unlike those of other processes, and made in no time.
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._brought(scope) or b"%b-%x" % (
            self._prefix.encode(),
            next(self._numbers),
        )
        # Each request has a context of its own: nothing is to be put back.
        ABOUT.set(About(request_id.decode()))

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = [*message.get("headers", ()), (HEADER, request_id)]
                message = {**message, "headers": said}
            await send(message)

        await self._app(scope, receive, send_named)

    def _brought(self, scope: Scope) -> bytes | None:
        for name, value in scope["headers"]:
            if name == HEADER:
                return value if GOOD.fullmatch(value) else None
        return None


class AccessLog:
    """Writes a line for each answer: what was asked, by template, and how it went.

    With `paths` also the path as it was sent, in which ids of users stand.
    """

    def __init__(
        self, app: ASGIApp, *, paths: bool, served: Callable[[], tuple[str, str] | None]
    ) -> None:
        """Wrap `app`; `served` tells the bundle and position that answers are given from now."""
        self._app = app
        self._paths = paths
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell of one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = CLIENT_WENT_AWAY, time.perf_counter()
        path = scope["path"]

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._note_view()
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            status = 500  # the outermost handler, beyond us, answers it
            raise
        finally:
            more = {"path": path} if self._paths else {}
            log.info(
                "request",
                method=scope["method"],
                route=getattr(scope.get("route"), "path", "unmatched"),
                status=status,
                seconds=round(time.perf_counter() - started, 6),
                **more,
            )

    def _note_view(self) -> None:
        about, served = ABOUT.get(), self._served()
        if about is not None and about.bundle_id is None and served is not None:
            about.bundle_id, about.position = served
