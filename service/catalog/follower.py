"""Keeps the catalog current beside the event loop, and lets callers wait for a position.

Knows when to look; what is done is the catalog's business.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from service.catalog.store import Catalog
from service.catalog.view import View
from service.errors import Behind, EventLogUnavailable
from eventlog.log import Position
from service.telemetry import Telemetry

log = structlog.get_logger()


class Follower:
    """Two loops: one follows the log, one watches CURRENT. Start with `start`, end with `stop`."""

    def __init__(
        self, catalog: Catalog, telemetry: Telemetry, *, log_poll: float, bundle_poll: float
    ) -> None:
        """Keep the intervals, in seconds, at which the log and CURRENT are looked at."""
        self._catalog = catalog
        self._telemetry = telemetry
        self._log_poll = log_poll
        self._bundle_poll = bundle_poll
        # Views are published from one thread alone, so they form one line; a new bundle is built
        # beside it, for minutes if need be, without holding the log up.
        self._publisher = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="builder")
        self._nudged = asyncio.Event()
        self._moved = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to load and to follow; returns at once."""
        self._tasks = [
            asyncio.create_task(self._repeat("event log", self._follow, self._log_poll)),
            asyncio.create_task(self._repeat("bundle", self._watch, self._bundle_poll)),
        ]

    async def stop(self) -> None:
        """End both loops and wait for what they were doing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._builder.shutdown(wait=True, cancel_futures=True)
        self._publisher.shutdown(wait=True, cancel_futures=True)

    def nudge(self) -> None:
        """Say that the log has just grown: look now, not at the next interval."""
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
            await self._moved.wait_for(lambda: self._catalog.has_view)
        return self._catalog.view

    async def _follow(self) -> None:
        await self._run(self._publisher, self._catalog.catch_up)
        async with self._moved:
            self._moved.notify_all()
        try:
            async with asyncio.timeout(self._log_poll):
                await self._nudged.wait()
        except TimeoutError:
            return
        self._nudged.clear()

    async def _watch(self) -> None:
        fresh = await self._run(self._builder, self._catalog.load)
        if fresh is not None:
            await self._run(self._publisher, self._catalog.publish, fresh)
            async with self._moved:
                self._moved.notify_all()
        await asyncio.sleep(self._bundle_poll)

    async def _repeat(self, what: str, step: Callable[[], Any], pause: float) -> None:
        while True:
            try:
                await step()
            except EventLogUnavailable as error:
                self._telemetry.event_log_errors.labels("read").inc()
                log.warning("event log unavailable", fault=str(error))
                await asyncio.sleep(pause)
            except Exception:
                self._telemetry.follower_failures.labels(what).inc()
                log.exception("follower failed", loop=what)
                await asyncio.sleep(max(pause, 1.0))

    @staticmethod
    async def _run(executor: ThreadPoolExecutor, call: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(executor, call, *args)
