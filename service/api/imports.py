"""Imports of any length: lines in, lines out, each piece durable before the next one is read.

Knows bodies and replies that flow; what a video may be is decided where batches are.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from eventlog.errors import EventLogFull, EventLogUnavailable
from eventlog.position import Position
from service.api.decoding import Refused, SentVideo, read_lines
from service.api.dependencies import Services, ServicesDep
from service.api.ingesting import VideoRoute
from service.api.lines import Lines
from service.api.outbox import Outbox
from service.api.problems import service_problem
from service.api.upserts import judged, row_problem, upsert
from service.errors import BodyTooSlow, LineTooLong, NotReady

router = APIRouter(prefix="/v1", tags=["videos"], route_class=VideoRoute)

# The longest video there is, as JSON of many digits.
LINE_BYTES: Final = 2 << 20
MEDIA_TYPE: Final = "application/x-ndjson"
MEDIA_TYPES: Final = frozenset({MEDIA_TYPE, "application/ndjson", "application/jsonl"})
# What ends an import that has begun; before that they are answered as everywhere.
ENDS: Final = (LineTooLong, BodyTooSlow, EventLogUnavailable, EventLogFull, NotReady)


class Rejected(msgspec.Struct, tag_field="event", tag="rejected"):
    """A line that is no video. The others go on."""

    line: int
    video_id: str | None
    problem: dict[str, Any]


class Progress(msgspec.Struct, tag_field="event", tag="progress"):
    """All lines up to `lines` are done with, for good: those accepted are in the event log."""

    lines: int
    accepted: int
    rejected: int
    position: str
    degraded: str | None = None


class Ended(Progress, tag_field="event", tag="ended"):
    """The last line of a reply. With a `problem` it ended before the body did: go on from there."""

    problem: dict[str, Any] | None = None


LINES_IN: Final = {
    "requestBody": {
        "required": True,
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string", "description": "A `BatchVideo` as JSON on each line."}
            }
        },
    }
}
LINES_OUT: Final[dict[str, Any]] = {
    "description": "One JSON object a line: `rejected`, `progress` and, at last, `ended`.",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}


class _Import(Response):
    """The reply to one import, written while its lines come."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._done = Progress(lines=0, accepted=0, rejected=0, position="")
        self._encoder = msgspec.json.Encoder()

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Take in all lines; a client that goes ends the work."""
        seconds = self._services.settings.body_seconds
        lines = Lines(receive, max_bytes=LINE_BYTES, seconds=seconds)
        outbox = Outbox(send, media_type=MEDIA_TYPE, seconds=seconds)
        try:
            await self._answer(lines, outbox)
        except ClientDisconnect:
            return
        finally:
            outbox.drop()

    async def _answer(self, lines: Lines, outbox: Outbox) -> None:
        problem: dict[str, Any] | None = None
        try:
            await self._take(lines, outbox)
        except ENDS as error:
            if isinstance(error, LineTooLong):
                self._services.telemetry.ingest.reject("video", "invalid")
            if not outbox.begun:
                raise
            problem = json.loads(bytes(service_problem(error).body))
        ended = Ended(**msgspec.structs.asdict(self._done), problem=problem)
        await outbox.put(self._encoded([ended]))
        await outbox.close()

    async def _take(self, lines: Lines, outbox: Outbox) -> None:
        recording: asyncio.Task[None] | None = None
        try:
            while piece := await lines.piece():
                found = await self._services.in_worker(self._judged, piece)
                # One piece is recorded while the next is read, no more: so a sender is held back.
                if recording is not None:
                    await recording
                recording = asyncio.create_task(self._record(found, outbox))
        finally:
            # What was read whole is recorded and told of, whatever has ended the reading.
            if recording is not None:
                await recording

    def _judged(self, piece: list[bytes]) -> list[SentVideo | Refused | None]:
        read = read_lines(piece)
        fuser = self._services.catalog.view.snapshot.fuser
        said = iter(judged(fuser, [one for one in read if one is not None]))
        return [None if one is None else next(said) for one in read]

    async def _record(self, found: Sequence[SentVideo | Refused | None], outbox: Outbox) -> None:
        now, done = self._services.clock(), self._done
        events = [upsert(one, now) for one in found if isinstance(one, SentVideo)]
        position, degraded = Position(done.position), None
        if events:
            header = Response()
            position = await self._services.record(events, None, header)
            degraded = header.headers.get("x-degraded")
        rejected = [
            Rejected(line=number, video_id=one.video_id, problem=row_problem(f"line {number}", one))
            for number, one in enumerate(found, done.lines + 1)
            if isinstance(one, Refused)
        ]
        self._services.telemetry.ingest.reject("video", "invalid", len(rejected))
        self._done = Progress(
            lines=done.lines + len(found),
            accepted=done.accepted + len(events),
            rejected=done.rejected + len(rejected),
            position=position,
            degraded=degraded,
        )
        await outbox.put(self._encoded([*rejected, self._done]))

    def _encoded(self, events: Sequence[msgspec.Struct]) -> bytes:
        return b"".join(self._encoder.encode(event) + b"\n" for event in events)


async def require_lines(request: Request) -> None:
    """Refuse a body that does not call itself lines of JSON.

    Raises:
        HTTPException: 415, says what was expected.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        came = f"got {kind[:80]!r}" if kind else "got none"
        raise HTTPException(415, f"expected a body of content-type {MEDIA_TYPE}, {came}")


@router.post(
    "/videos:import",
    dependencies=[Depends(require_lines)],
    response_class=Response,
    openapi_extra=LINES_IN,
    responses={200: LINES_OUT},
)
async def post_import(services: ServicesDep) -> Response:
    """Add or replace any number of videos, one a line; answered line by line while they come."""
    return _Import(services)
