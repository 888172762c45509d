"""Counts what comes in and what becomes of it. Knows which events are told of apart."""

from collections import Counter as CountedBy
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from eventlog.errors import EventLogFull, EventLogUnavailable, KeyReused
from eventlog.events import Event, InteractionRecorded, VideoUpserted
from service.errors import InvalidInput, NotReady
from service.measures.ingest import IngestMetrics, Reason, Sent

KINDS: Final[dict[type[Any], Sent]] = {VideoUpserted: "video", InteractionRecorded: "interaction"}
SENDING: Final = frozenset({"PUT", "POST"})
INVALID: Final = (InvalidInput, RequestValidationError, HTTPException)
# The first that fits counts: a log that is full is one that cannot be written.
REASONS: Final[tuple[tuple[type[Exception], Reason], ...]] = (
    (KeyReused, "key reused"),
    (EventLogFull, "log full"),
    (EventLogUnavailable, "log away"),
)


@contextmanager
def recorded(metrics: IngestMetrics, events: Sequence[Event]) -> Iterator[None]:
    """Count `events` as accepted if the block records them, else by why it does not."""
    counts = CountedBy(KINDS[type(event)] for event in events if type(event) in KINDS)
    try:
        yield
    except (KeyReused, EventLogUnavailable) as error:
        reason = next(reason for kind, reason in REASONS if isinstance(error, kind))
        for kind, count in counts.items():
            metrics.reject(kind, reason, count)
        raise
    for kind, count in counts.items():
        metrics.accept(kind, count)


class VideoRoute(APIRoute):
    """A route to which videos may be sent: counts a body that is refused as a whole, as one."""

    kind: Sent = "video"

    def get_route_handler(self) -> Callable[[Request], Awaitable[Any]]:  # type: ignore[override] # FastAPI's has a Coroutine
        """Return FastAPI's handler, looked at."""
        handle = super().get_route_handler()
        if SENDING.isdisjoint(self.methods or ()):
            return handle

        async def counted(request: Request) -> Response:
            metrics = request.app.state.services.telemetry.ingest
            try:
                return await handle(request)
            except INVALID:
                metrics.reject(self.kind, "invalid")
                raise
            except NotReady:
                metrics.reject(self.kind, "not ready")
                raise

        return counted


class InteractionRoute(VideoRoute):
    """The same of interactions."""

    kind: Sent = "interaction"
