"""What every handler may ask for: the services, an id from the path, a pinned view, worker threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

from fastapi import Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute

from models.ids import UserId, VideoId, fault_in_id
from service.catalog.follower import Follower
from service.catalog.store import Catalog
from service.catalog.view import View
from service.errors import EventLogUnavailable, InvalidInput
from service.eventlog.events import Event
from service.eventlog.log import EventLog, Position
from service.settings import Settings
from service.telemetry import Telemetry

T = TypeVar("T")

MAX_K = 500


@dataclass(frozen=True)
class Services:
    """All that `create_app` has wired."""

    settings: Settings
    catalog: Catalog
    follower: Follower
    event_log: EventLog
    telemetry: Telemetry
    workers: ThreadPoolExecutor
    clock: Callable[[], float]

    async def in_worker(self, call: Callable[..., T], *args: Any) -> T:
        """Run blocking or heavy work beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.workers, call, *args)

    async def record(self, events: list[Event]) -> Position:
        """Append `events` durably, wake the follower, return the position.

        Raises:
            EventLogUnavailable: nothing was recorded.
        """
        try:
            position = await self.in_worker(self.event_log.append, events)
        except EventLogUnavailable:
            self.telemetry.event_log_errors.labels("append").inc()
            raise
        self.follower.nudge()
        return position


def get_services(request: Request) -> Services:
    """Return the services that the lifespan has opened."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def refuse_stray_query(request: Request) -> None:
    """Refuse query parameters that the route does not know, or that come twice.

    Raises:
        InvalidInput: names each such parameter.
    """
    route = request.scope.get("route")
    known = (
        {field.alias for field in _query_fields(route)} if isinstance(route, APIRoute) else set()
    )
    names = [name for name, _ in request.query_params.multi_items()]
    faults = [
        (f"query.{name}", "expected no such parameter") for name in names if name not in known
    ]
    faults += [
        (f"query.{name}", f"expected once, got {names.count(name)} times")
        for name in sorted(known)
        if names.count(name) > 1
    ]
    if faults:
        raise InvalidInput(faults)


def _query_fields(route: APIRoute) -> list[Any]:
    fields, pending = [], [route.dependant]
    while pending:
        dependant = pending.pop()
        fields += dependant.query_params
        pending += dependant.dependencies
    return fields


def _checked_id(field: str, encoded: str) -> str:
    try:
        text = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput([(field, "is not valid UTF-8 text")]) from None
    fault = fault_in_id(text)
    if fault:
        raise InvalidInput([(field, fault)])
    return text


def _video_id(
    video_id: Annotated[str, Path(description="The id, percent-encoded (slashes too).")],
) -> VideoId:
    return VideoId(_checked_id("path.video_id", video_id))


def _user_id(
    user_id: Annotated[str, Path(description="The id, percent-encoded (slashes too).")],
) -> UserId:
    return UserId(_checked_id("path.user_id", user_id))


VideoIdDep = Annotated[VideoId, Depends(_video_id)]
UserIdDep = Annotated[UserId, Depends(_user_id)]
ListLength = Annotated[int, Query(ge=1, le=MAX_K, description="Length of the list, K.")]
MinPosition = Annotated[
    str | None,
    Query(
        max_length=128,
        description="Answer from this log position or later: the one a write returned.",
    ),
]


async def pin_view(
    services: ServicesDep, response: Response, min_position: MinPosition = None
) -> View:
    """Return the view to answer from, and say in a header if it is not what was wanted.

    Raises:
        InvalidInput: `min_position` is no position of this log.
        Behind: it was not reached in time.
        NotReady: there is no view.
    """
    view = services.catalog.view
    if min_position is not None:
        if not services.event_log.is_position(min_position):
            fault = f"expected a position that a write returned, got {min_position[:40]!r}"
            raise InvalidInput([("query.min_position", fault)])
        wait = services.settings.min_position_wait_seconds
        view = await services.follower.reached(Position(min_position), within=wait)
    if services.catalog.stale_reason:
        response.headers["X-Degraded"] = "serving an older bundle: the current one was refused"
    return view


ViewDep = Annotated[View, Depends(pin_view)]
