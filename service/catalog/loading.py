"""Makes a view of the bundle that should be served, with all that the log has since.

Knows in which order to try and what to refuse; reading files and applying events is done elsewhere.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import structlog

from eventlog.errors import EventLogError, EventLogUnavailable, LogReplaced, PositionTrimmed
from eventlog.log import EventLog
from eventlog.position import START, Position
from models.bundle.errors import BundleError, UnfitBundle
from service.catalog.index import Index
from service.catalog.overlay import Overlay
from service.catalog.replay import Replay
from service.catalog.shelf import Shelf
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.telemetry import Telemetry

T = TypeVar("T")
log = structlog.get_logger()

# Entries read and applied at once: bounds both memory and how long a new view takes to appear.
READ_LIMIT = 512


class Loaded(NamedTuple):
    """A fresh view to serve, if there is one, and why the bundle of choice is not in it.

    `caught_up` tells if the log has been read.
    """

    view: View | None
    fault: str
    caught_up: bool = True


class Loader:
    """Turns what is on the shelf and in the log into views, in a thread of its own.

    A bundle is built beside the line of views, for minutes if need be, without holding the log up.
    """

    def __init__(
        self,
        shelf: Shelf,
        event_log: EventLog,
        replay: Replay,
        telemetry: Telemetry,
        on_served: Callable[[Index], None] | None = None,
    ) -> None:
        """Keep where bundles and events come from; nothing is loaded yet.

        `on_served` is told of the index of each bundle before it is served.
        """
        self._shelf = shelf
        self._event_log = event_log
        self._replay = replay
        self._telemetry = telemetry
        self._on_served = on_served
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="builder")

    async def load(self, served: View | None, *, anew: bool) -> Loaded:
        """Return a view of the bundle that CURRENT names, unless it is `served` already.

        With nothing served, or `anew`, any bundle will do, the newest first. A bundle whose network
        cannot read arrivals that the one served can is refused.

        Raises:
            EventLogUnavailable: the log cannot be read, and something is served.
        """
        served_id = None if served is None or anew else served.bundle_id
        choice = await self._run(self._shelf.choose, served=served_id)
        faults = [choice.fault] if choice.fault else []
        least = Loaded(None, "")
        for bundle_id in choice.bundle_ids:
            if bundle_id == served_id:
                break
            try:
                snapshot = await self._run(self._shelf.open, bundle_id)
                found = await self._replayed(snapshot, offline=served is None)
            except (BundleError, PositionTrimmed) as error:
                faults.append(str(error))
                continue
            unreadable = _unreadable(found.view)
            if found.view is None or not unreadable:
                return found._replace(fault="; ".join(faults))
            unfit = UnfitBundle(snapshot.bundle.folder, _unfit(found.view))
            faults.append(str(unfit))
            if served is not None and not anew and unreadable > _unreadable(served):
                self._shelf.refuse(bundle_id, unfit)
            elif least.view is None or unreadable < _unreadable(least.view):
                least = found
        return least._replace(fault="; ".join(faults))

    def announce(self, view: View) -> None:
        """Say that a view of another bundle is about to be served."""
        if self._on_served is not None:
            self._on_served(view.snapshot.index)

    async def trim(self) -> None:
        """Drop what happened before the oldest bundle on the shelf: no replica reads that again."""
        upto = await self._run(self._shelf.oldest_position)
        if upto == START:
            return
        try:
            await self._event_log.trim(upto)
        except EventLogError as error:
            self._telemetry.event_log_errors.labels("trim").inc()
            log.warning("event log not trimmed", upto=upto, fault=str(error))

    def close(self) -> None:
        """Wait for what is being built."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def advance(self, view: View) -> View:
        """Return `view` with all that the log has behind it.

        Raises:
            EventLogUnavailable: the log cannot be read.
            EventsLost: it has lost what is behind the view.
        """
        while entries := await self._event_log.read(view.position, READ_LIMIT):
            view, _ = await self._run(self._replay.apply, view, entries)
        return view

    async def _replayed(self, snapshot: Snapshot, *, offline: bool) -> Loaded:
        """Return a view of `snapshot` with the log applied, or bare, if that is away and `offline`.

        Raises:
            EventLogUnavailable: the log is away, and not `offline`.
            PositionTrimmed: the log no longer has what follows the bundle.
        """
        start = Position(snapshot.manifest.log_position or START)
        bare = View(snapshot, Overlay.empty(snapshot, start))
        try:
            return Loaded(await self.advance(bare), "")
        except LogReplaced as error:
            # What the other log had is gone for good: this one, from its start, is all there is.
            self._telemetry.events_lost.inc()
            log.error("event log replaced", bundle_id=snapshot.bundle_id, fault=str(error))  # noqa: TRY400 - a fact
            return Loaded(await self.advance(View(snapshot, Overlay.empty(snapshot, START))), "")
        except EventLogUnavailable:
            if not offline:
                raise
            return Loaded(bare, "", caught_up=False)

    async def _run(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: call(*args, **named))


def _unreadable(view: View | None) -> int:
    return 0 if view is None else len(view.overlay.unreadable)


def _unfit(view: View) -> str:
    unreadable = view.overlay.unreadable
    return (
        f"its network takes {dict(view.snapshot.manifest.modalities)} and cannot read the features "
        f"of {len(unreadable)} videos of the event log, the first at {min(unreadable.values())}"
    )
