"""Builds views: loads bundles, replays the log, applies what is new. Publishes by one assignment.

Knows bundles and logs; nothing of HTTP, users' wishes or the event loop. The methods that build are
called one at a time; any thread may read `view`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from models.bundle import layout
from models.bundle.errors import BundleError, CorruptBundle
from models.bundle.reader import list_bundle_ids, read_bundle, read_current_id
from service.catalog.overlay import Overlay
from service.catalog.replay import Replay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.errors import EventLogUnavailable, NotReady
from eventlog.events import VideoUpserted
from eventlog.log import Entry, EventLog
from service.telemetry import Telemetry

log = structlog.get_logger()

# Entries read and applied at once: bounds both memory and how long a new view takes to appear.
READ_LIMIT: Final = 512

# Names, sizes and times of a bundle's files: a refused one is looked at again once they change.
Stamp = tuple[tuple[str, int, int], ...]


class Catalog:
    """The current view, and how to get to the next one."""

    def __init__(
        self,
        bundles: Path,
        event_log: EventLog,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float],
        history_limit: int,
    ) -> None:
        """Keep where bundles and events come from; nothing is loaded yet."""
        self._bundles = bundles
        self._event_log = event_log
        self._telemetry = telemetry
        self._clock = clock
        self._replay = Replay(telemetry, history_limit=history_limit)
        self._view: View | None = None
        self._bundle_fault = ""
        self._log_fault = ""
        self._refused: dict[str, tuple[Stamp, BundleError]] = {}

    @property
    def view(self) -> View:
        """The view to answer from; pin it for the whole request.

        Raises:
            NotReady: nothing has been loaded; says why.
        """
        if self._view is None:
            faults = "; ".join(filter(None, (self._bundle_fault, self._log_fault)))
            raise NotReady(faults or "the bundle is being loaded")
        return self._view

    @property
    def has_view(self) -> bool:
        """Whether there is a view to answer from."""
        return self._view is not None

    @property
    def degraded(self) -> str:
        """What answers from the view suffer from; empty if from nothing."""
        suffered = []
        if self._bundle_fault:
            suffered.append("the current bundle cannot be used, serving the last good one")
        if self._log_fault:
            suffered.append("the event log cannot be read, answers may be out of date")
        return "; ".join(suffered)

    def load(self) -> View | None:
        """Build a view on the bundle that CURRENT names, unless it is served already.

        As long as nothing is served, any other bundle will do, the newest first. Returns None if
        there is nothing new to publish; what is wrong is kept.

        Raises:
            EventLogUnavailable: the log cannot be replayed.
        """
        faults: list[str] = []
        candidates: list[str] = []
        try:
            candidates.append(read_current_id(self._bundles))
        except BundleError as error:
            faults.append(str(error))
        served = None if self._view is None else self._view.bundle_id
        if served is None:
            others = list_bundle_ids(self._bundles)
            candidates += [bundle_id for bundle_id in others if bundle_id not in candidates]
        fresh = None
        for bundle_id in candidates:
            if bundle_id == served:
                break
            try:
                fresh = self._build(bundle_id)
                break
            except BundleError as error:
                faults.append(str(error))
        self._bundle_fault = "; ".join(faults)
        return fresh

    def publish(self, fresh: View) -> None:
        """Bring `fresh` up to the end of the log and answer from it from now on.

        Raises:
            EventLogUnavailable: the log cannot be read; the former view stays.
        """
        ready = self._advance(fresh)
        self._show(ready)
        log.info(
            "bundle loaded",
            bundle_id=ready.bundle_id,
            position=ready.position,
            videos=ready.live_videos,
        )

    def catch_up(self) -> None:
        """Apply what the log holds beyond the current view.

        Raises:
            EventLogUnavailable: the log cannot be read; the view stays as it is.
        """
        view = self._view
        while view is not None and (entries := self._read(view)):
            view, events = self._replay.apply(view, entries)
            self._show(view)
            for event in events:
                if isinstance(event, VideoUpserted):
                    # Another process wrote it, by a clock that may be ahead of ours.
                    waited = max(0.0, self._clock() - event.recorded_at)
                    self._telemetry.ingest_to_visible.observe(waited)

    def _build(self, bundle_id: str) -> View:
        """Build a view on a bundle, or say again why it was refused if it is still the same.

        Raises:
            BundleError: it is refused.
            EventLogUnavailable: the log cannot be replayed.
        """
        folder = self._bundles / bundle_id
        stamp = _stamp(folder)
        known_stamp, known_error = self._refused.get(bundle_id, ((), None))
        if known_error is not None and known_stamp == stamp:
            raise known_error
        try:
            snapshot = self._open(folder)
        except BundleError as error:
            self._refused[bundle_id] = (stamp, error)
            self._telemetry.bundle_refusals.inc()
            # A fact, not a bug: the fault says all, a traceback would say nothing more.
            log.error("bundle refused", bundle_id=bundle_id, fault=str(error))  # noqa: TRY400
            raise
        return self._advance(View(snapshot, Overlay.empty(snapshot)))

    def _open(self, folder: Path) -> Snapshot:
        try:
            snapshot = Snapshot(read_bundle(folder))
        except OSError as error:
            raise CorruptBundle(folder, f"cannot be read: {error}") from error
        position = snapshot.manifest.log_position
        if position and not self._event_log.is_position(position):
            fault = f"log_position {position[:40]!r} is no position of the event log"
            raise CorruptBundle(folder / layout.MANIFEST, fault)
        return snapshot

    def _show(self, view: View) -> None:
        self._view = view
        self._telemetry.observe_catalog(bundle_id=view.bundle_id, live_videos=view.live_videos)

    def _advance(self, view: View) -> View:
        while entries := self._read(view):
            view, _ = self._replay.apply(view, entries)
        return view

    def _read(self, view: View) -> list[Entry]:
        try:
            entries = self._event_log.read(view.position, READ_LIMIT)
        except EventLogUnavailable as error:
            self._log_fault = str(error)
            raise
        self._log_fault = ""
        return entries


def _stamp(folder: Path) -> Stamp:
    try:
        files = [(file.name, file.stat()) for file in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in files)
