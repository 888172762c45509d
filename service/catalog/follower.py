"""Keeps the catalog current beside the event loop, and lets callers wait for a position.

Knows when to look; how views are made is the business of the loader and of replay.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog

from eventlog.errors import EventLogUnavailable, EventsLost
from eventlog.log import EventLog
from eventlog.position import Position
from service.catalog.loading import READ_LIMIT, Loader
from service.catalog.replay import Replay
from service.catalog.store import Catalog
from service.catalog.view import View
from service.errors import Behind
from service.telemetry import Telemetry

log = structlog.get_logger()

# How long a failed look is not repeated, at least.
PAUSE: Final = 1.0


class Follower:
    """Two loops: one follows the log, one watches CURRENT. Start with `start`, end with `stop`."""

    def __init__(
        self,
        catalog: Catalog,
        loader: Loader,
        event_log: EventLog,
        replay: Replay,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float],
        bundle_poll: float,
    ) -> None:
        """Look at CURRENT every `bundle_poll` seconds."""
        self._catalog = catalog
        self._loader = loader
        self._event_log = event_log
        self._replay = replay
        self._telemetry = telemetry
        self._clock = clock
        self._bundle_poll = bundle_poll
        # Told of each arrival that came with a trace, if somebody wants to know.
        self.trace: Callable[..., None] | None = None
        self._publisher = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        # Views form one line: who holds this makes the next one.
        self._publishing = asyncio.Lock()
        self._nudged = asyncio.Event()
        self._wanted_anew = asyncio.Event()
        self._moved = asyncio.Condition()
        self._growth: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to load and to follow; returns at once."""
        self._tasks = [
            asyncio.create_task(self._repeat("event log", self._follow)),
            asyncio.create_task(self._repeat("bundle", self._watch)),
        ]

    async def stop(self) -> None:
        """End both loops and wait for what they were doing."""
        for task in self._tasks:
            task.cancel()
        if self._growth is not None:
            self._growth.cancel()
            self._tasks.append(self._growth)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loader.close()
        self._publisher.shutdown(wait=True, cancel_futures=True)

    def nudge(self) -> None:
        """Say that the log has just grown: look now, not when the log tells."""
        self._nudged.set()

    async def reached(self, position: Position, *, within: float) -> View:
        """Return a view at `position` or beyond, waiting at most `within` seconds for it.

        Raises:
            NotReady: there is no view at all.
            Behind: the time ran out.
        """
        view = self._catalog.view
        if view.position >= position:
            return view
        self.nudge()
        try:
            async with asyncio.timeout(within), self._moved:
                await self._moved.wait_for(lambda: self._catalog.view.position >= position)
        except TimeoutError:
            raise Behind(self._catalog.view.position, position) from None
        return self._catalog.view

    async def first_view(self) -> View:
        """Return a view as soon as there is one, however long that takes."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._catalog.latest is not None)
        return self._catalog.view

    async def _follow(self) -> None:
        """Bring the view up to the end of the log, then wait until there is more."""
        self._nudged.clear()
        try:
            async with self._publishing:
                view = self._catalog.latest
                if view is not None and not self._catalog.lost:
                    view = await self._advance(view)
        except EventsLost as error:
            await self._lose(str(error))
        if view is None or self._catalog.lost:
            # Until another view is made there is nothing to follow; a log that has entries would
            # say so at once, again and again.
            await self._nudged.wait()
        else:
            await self._until_more(view.position)

    async def _advance(self, view: View) -> View:
        while True:
            entries = await self._event_log.read(view.position, READ_LIMIT)
            self._catalog.note_log("")
            if not entries:
                await self._show(view)
                return view
            view, arrived = await self._in_publisher(self._replay.apply, view, entries)
            await self._show(view)
            self._telemetry.catalog.applied.observe(len(entries))
            now = self._clock()
            for one in arrived:
                # Another process wrote it, by a clock that may be ahead of ours.
                self._telemetry.ingest_to_visible.observe(max(0.0, now - one.recorded_at))
                if one.trace and self.trace is not None:
                    said = {"reco.bundle_id": view.bundle_id, "reco.position": view.position}
                    self.trace(one.trace, one.recorded_at, now, **said)

    async def _until_more(self, position: Position) -> None:
        if self._growth is None or self._growth.done():
            self._growth = asyncio.create_task(self._event_log.grown(position))
            self._growth.add_done_callback(_look_at)
        nudge = asyncio.create_task(self._nudged.wait())
        try:
            # The log's own call is never cancelled for a nudge: it may hold a connection.
            await asyncio.wait({self._growth, nudge}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudge.cancel()
        if self._growth.done():
            self._growth.result()

    async def _watch(self) -> None:
        """Look whether another bundle should be served, and serve it."""
        anew = self._wanted_anew.is_set()
        served = self._catalog.latest
        loaded = await self._loader.load(served, anew=anew)
        self._catalog.note_bundle(loaded.fault)
        if loaded.view is not None:
            # Until now the log was followed beside; from here to the swap it waits for us.
            async with self._publishing:
                fresh = loaded.view
                if loaded.caught_up:
                    fresh = await self._loader.advance(fresh)
                    self._catalog.note_loss("")
                    self._wanted_anew.clear()
                self._loader.announce(fresh)
                await self._show(fresh, caught_up=loaded.caught_up)
            log.info(
                "bundle loaded",
                bundle_id=fresh.bundle_id,
                position=fresh.position,
                videos=fresh.live_videos,
            )
            self.nudge()
            await self._loader.trim()
        if self._wanted_anew.is_set() and anew:
            await asyncio.sleep(self._bundle_poll)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._bundle_poll):
                await self._wanted_anew.wait()

    async def _show(self, view: View, *, caught_up: bool = True) -> None:
        self._catalog.show(view, caught_up=caught_up)
        async with self._moved:
            self._moved.notify_all()

    async def _lose(self, loss: str) -> None:
        """Say that the view can no longer be kept current, and have another one made."""
        self._catalog.note_loss(loss)
        self._telemetry.events_lost.inc()
        log.error("events lost", fault=loss)
        self._wanted_anew.set()

    async def _repeat(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except EventLogUnavailable as error:
                self._catalog.note_log(str(error))
                self._telemetry.event_log_errors.labels("read").inc()
                log.warning("event log unavailable", fault=str(error))
                await asyncio.sleep(PAUSE)
            except Exception:
                self._telemetry.follower_failures.labels(what).inc()
                log.exception("follower failed", loop=what)
                await asyncio.sleep(PAUSE)

    async def _in_publisher(self, call: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._publisher, call, *args)


def _look_at(growth: asyncio.Task[None]) -> None:
    """Spare asyncio a complaint of a failure nobody waits for: reading fails too, and tells."""
    if not growth.cancelled():
        growth.exception()
