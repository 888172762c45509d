"""What happens to every request before a route sees it. Knows ASGI; nothing of resources."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.telemetry import Telemetry

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_WENT_AWAY: Final = 499


class EncodedPath:
    """Routes by the path as it was sent, so that an encoded slash stays inside its segment.

    Handlers get path parameters still encoded and decode them once (`service.api.dependencies`).
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the raw path in the place of the decoded one."""
        if scope["type"] == "http" and scope.get("raw_path"):
            scope["path"] = scope["raw_path"].decode("latin-1")
        await self._app(scope, receive, send)


class BodyLimit:
    """Answers 413 to a body above the limit: at once if its length is known, else as it comes."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Wrap `app`."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what is received."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._max_bytes:
            await problem_response(413, "Content Too Large", self._detail)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            # To the application a body that is too large is a client that hung up.
            return message if received <= self._max_bytes else {"type": "http.disconnect"}

        async def send_unless_refused(message: Message) -> None:
            if received <= self._max_bytes:
                await send(message)

        await self._app(scope, receive_counted, send_unless_refused)
        if received > self._max_bytes:
            await problem_response(413, "Content Too Large", self._detail)(scope, receive, send)

    @property
    def _detail(self) -> str:
        return f"expected a body of at most {self._max_bytes} bytes"


class RequestMetrics:
    """Counts and times every request under its route template; every unknown path is one series."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        """Wrap `app`."""
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_WENT_AWAY
        started = time.perf_counter()

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        except Exception:
            status = 500  # the outermost handler, beyond us, answers it
            raise
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._telemetry.requests.labels(route, method, status).inc()
            seconds = time.perf_counter() - started
            self._telemetry.request_seconds.labels(route, method).observe(seconds)
