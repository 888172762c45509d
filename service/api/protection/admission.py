"""Lets requests in: body first, then a place to be worked on. Knows ASGI; nothing of resources."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import service_problem
from service.api.protection.access import Asked
from service.api.protection.bodies import Bodies
from service.api.protection.room import Room
from service.errors import BodyTooLarge, BodyTooSlow, Overloaded, ServiceError
from service.keys import Scope as KeyScope
from service.telemetry import Kind, Telemetry

IMPORTS: Final = "/v1/videos:import"


class Quick(Protocol):
    """A request with an answer that takes next to no time."""

    def enter(self) -> None:
        """Be in line: who is answered before may answer this one too."""

    def body(self) -> bytes:
        """Return the JSON of the answer, whose status is 200."""


class Admission:
    """Reads and writes have rooms of their own, so that a slow event log never keeps readers out.

    What is open to all (probes, metrics, documentation) and what is no route goes past them. An
    import reads its own body, piece by piece, as long as it may be.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        take: Callable[[Scope], Quick | None],
        bodies: Bodies,
        rooms: Mapping[Kind, Room],
        telemetry: Telemetry,
    ) -> None:
        """Wrap `app`; what `take` takes is answered at once, with its JSON."""
        self._app = app
        self._take = take
        self._bodies = bodies
        self._rooms = rooms
        self._refused = telemetry.requests_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in when it is its turn, or answer it."""
        asked = scope.get("route")
        if not isinstance(asked, Asked) or asked.needs is None:
            await self._app(scope, receive, send)
            return
        kind: Kind = "read" if asked.needs == KeyScope.READ else "write"
        try:
            quick = self._take(scope)
            if quick is not None and self._rooms[kind].join():
                await self._answer(quick, self._rooms[kind], send)
                return
            if asked.path == IMPORTS:
                async with self._rooms["import"].place():
                    await self._app(scope, receive, send)
                return
            async with self._bodies.received(scope, receive) as body:
                client = _Client(receive, send, body)
                async with client.awaited():
                    await self._work(kind, scope, client)
        except ClientDisconnect:
            return
        except (BodyTooLarge, BodyTooSlow, Overloaded) as error:
            self._refused.labels(_reason(error)).inc()
            await service_problem(error)(scope, receive, send)

    async def _answer(self, quick: Quick, room: Room, send: Send) -> None:
        quick.enter()
        try:
            # Whoever has come by now is in line too, and counted.
            await asyncio.sleep(0)
        finally:
            room.leave()
        body = quick.body()
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _work(self, kind: Kind, scope: Scope, client: "_Client") -> None:
        async with self._rooms[kind].place():
            # A write that has begun ends: half of it may be in the event log.
            client.may_leave = kind == "read"
            await self._app(scope, client.receive, client.send)


class _Client:
    """Who asked: gives the body once, and ends the work on the answer by going away."""

    def __init__(self, receive: Receive, send: Send, body: bytes) -> None:
        self.may_leave = True
        self._receive = receive
        self._send = send
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._left = False

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[None]:
        """Cancel the work in the block when the client goes and may.

        Raises:
            ClientDisconnect: that happened.
        """
        task = asyncio.current_task()
        watch = asyncio.create_task(self._watch(task))
        try:
            yield
        except asyncio.CancelledError:
            # Whoever else cancels us (a stop of the server) shall see it done.
            if self._left and task is not None and task.uncancel() == 0:
                raise ClientDisconnect from None
            raise
        finally:
            watch.cancel()

    async def receive(self) -> Message:
        """Return the whole body; from then on wait until the client goes."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send `message`; an answer that has begun is not taken back."""
        self.may_leave = False
        await self._send(message)

    async def _watch(self, task: "asyncio.Task[None] | None") -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if self.may_leave and task is not None:
            self._left = True
            task.cancel()


def _reason(error: ServiceError) -> str:
    match error:
        case Overloaded():
            return error.reason
        case BodyTooLarge():
            return "body too large"
        case _:
            return "body too slow"
