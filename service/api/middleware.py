"""What happens to every request before a route sees it. Knows ASGI; nothing of resources."""

import time
from typing import Final

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class RequestMetrics:
    """Counts and times every request under its route template; every unknown path is one series."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        """Wrap `app`."""
        self._app = app
        self._telemetry = telemetry
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

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
            counter, histogram = self._of(route, method, status)
            counter.inc()
            histogram.observe(time.perf_counter() - started)

    def _of(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        """Return the series of a kind of request; looking them up takes longer than counting."""
        known = self._series.get((route, method, status))
        if known is None:
            counter = self._telemetry.requests.labels(route, method, status)
            histogram = self._telemetry.request_seconds.labels(route, method)
            known = self._series[route, method, status] = counter, histogram
        return known
