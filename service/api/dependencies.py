"""What every handler may ask for: services, an id of the path, a pinned view, worker threads."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from eventlog.errors import EventLogUnavailable
from eventlog.events import Event
from eventlog.log import EventLog, WriteKey, digest_of
from eventlog.position import START, Position, is_position
from models.ids import MAX_ID_BYTES, UserId, VideoId, fault_in_id
from service.api.ingesting import recorded
from service.api.observing import Observer
from service.catalog.follower import Follower
from service.catalog.store import Catalog
from service.catalog.view import View
from service.errors import Behind, Fault, InvalidInput
from service.logs import ABOUT
from service.settings import Settings
from service.siblings import Siblings
from service.steps import Step, unwatched
from service.telemetry import Telemetry

if TYPE_CHECKING:
    from service.tracing import Tracing

T = TypeVar("T")

MAX_K = 500
MAX_KEY = 200
ID_RULE = f"an id: UTF-8 text of 1 to {MAX_ID_BYTES} bytes, no control characters"


@dataclass(frozen=True)
class Services:
    """All that `create_app` has wired."""

    settings: Settings
    catalog: Catalog
    follower: Follower
    event_log: EventLog
    telemetry: Telemetry
    siblings: Siblings
    observer: Observer
    workers: ThreadPoolExecutor
    clock: Callable[[], float]
    tracing: "Tracing | None" = None

    async def in_worker(self, call: Callable[..., T], *args: Any) -> T:
        """Run blocking or heavy work beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.workers, call, *args)

    def steps(self) -> Step:
        """Return what traces the steps of the request that is worked on, if it is traced."""
        return unwatched if self.tracing is None else self.tracing.steps()

    async def search(self, response: Response, call: Callable[..., T], *args: Any) -> T:
        """Do the same with what may search; a header of `response` says what it suffered from.

        That an index engine is away may have been found out just then.
        """
        found = await self.in_worker(call, *args)
        if self.catalog.degraded:
            response.headers["X-Degraded"] = self.catalog.degraded
        return found

    async def record(
        self, events: Sequence[Event], key: WriteKey | None, response: Response
    ) -> Position:
        """Append `events` durably, wait until they show here, return the position.

        The client's next read sees them; a header of `response` says where that cannot be promised.
        Another says if `key` was known, so that nothing was recorded again.

        Raises:
            NotReady: nothing was recorded.
            KeyReused: the key came with another request; nothing was recorded.
            EventLogUnavailable: nothing was recorded.
        """
        _ = self.catalog.view
        if self.tracing is not None:
            events = self.tracing.carried_by(events)
        try:
            with recorded(self.telemetry.ingest, events):
                position, repeated = await self.event_log.append(events, key)
        except EventLogUnavailable:
            self.telemetry.event_log_errors.labels("append").inc()
            raise
        if repeated:
            response.headers["Idempotency-Replayed"] = "true"
        try:
            await self.follower.reached(position, within=self.settings.write_visible_wait_seconds)
        except Behind:
            response.headers["X-Degraded"] = "recorded, not visible yet"
        return position


# Async, all of them: FastAPI sends plain functions to a thread, half a millisecond away.
async def get_services(request: Request) -> Services:
    """Return the services that the lifespan has opened."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def refuse_stray_query(request: Request) -> None:
    """Refuse query parameters that the route does not know, or that come twice.

    Raises:
        InvalidInput: names each such parameter.
    """
    route = request.scope.get("route")
    names = [name for name, _ in request.query_params.multi_items()]
    if not names:
        return
    known = _query_names(route) if isinstance(route, APIRoute) else {}
    faults = [
        Fault(f"query.{name}", "no such parameter", "one") for name in names if name not in known
    ]
    faults += [
        Fault(f"query.{name}", "once", f"{names.count(name)} times")
        for name in sorted(known)
        if names.count(name) > 1 and not known[name]
    ]
    if faults:
        raise InvalidInput(faults)


def _query_names(route: APIRoute) -> dict[str, bool]:
    """Return the names of the parameters that a route knows, and which are lists."""
    fields: dict[str, Any] = {}
    pending = [route.dependant]
    while pending:
        dependant = pending.pop()
        pending += dependant.dependencies
        for field in dependant.query_params:
            kind = field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                fields |= {name: each.annotation for name, each in kind.model_fields.items()}
            else:
                fields[field.alias] = kind
    return {name: get_origin(kind) is list for name, kind in fields.items()}


async def require_json(request: Request) -> None:
    """Refuse a body that does not call itself JSON.

    Raises:
        HTTPException: 415, says what was expected.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    if not is_json and await body_of(request):
        came = f"got {kind[:80]!r}" if kind else "got none"
        raise HTTPException(415, f"expected a body of content-type application/json, {came}")


async def body_of(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        HTTPException: 400, the client went away, or sent more than is allowed.
    """
    try:
        return await request.body()
    except ClientDisconnect:
        raise HTTPException(400, "There was an error reading the body") from None


async def _write_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=MAX_KEY,
            description="Any text that names this write: sent again within a day with the same "
            "key, it is recorded once.",
        ),
    ] = None,
) -> WriteKey | None:
    if idempotency_key is None:
        return None
    said = (request.method.encode(), request.scope["raw_path"], await body_of(request))
    return WriteKey(idempotency_key, digest_of(*said))


WriteKeyDep = Annotated[WriteKey | None, Depends(_write_key)]


def _checked_id(field: str, encoded: str) -> str:
    try:
        # `EncodedPath` has kept every byte of the path as one character.
        text = unquote_to_bytes(encoded.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput([Fault(field, ID_RULE, "bytes that are not UTF-8")]) from None
    fault = fault_in_id(text)
    if fault:
        raise InvalidInput([Fault(field, ID_RULE, f"one that {fault}")])
    return text


async def _video_id(
    video_id: Annotated[str, Path(description="The id, percent-encoded (slashes too).")],
) -> VideoId:
    return VideoId(_checked_id("path.video_id", video_id))


async def _user_id(
    user_id: Annotated[str, Path(description="The id, percent-encoded (slashes too).")],
) -> UserId:
    return UserId(_checked_id("path.user_id", user_id))


VideoIdDep = Annotated[VideoId, Depends(_video_id)]
UserIdDep = Annotated[UserId, Depends(_user_id)]
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
        if min_position != START and not is_position(min_position):
            got = repr(min_position[:40])
            wanted = "a position that a write returned"
            raise InvalidInput([Fault("query.min_position", wanted, got)])
        wait = services.settings.min_position_wait_seconds
        view = await services.follower.reached(Position(min_position), within=wait)
    about = ABOUT.get()
    if about is not None:
        about.bundle_id, about.position = view.bundle_id, view.position
    if services.catalog.degraded:
        response.headers["X-Degraded"] = services.catalog.degraded
    return view


ViewDep = Annotated[View, Depends(pin_view)]
