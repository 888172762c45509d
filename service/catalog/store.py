"""Builds views: loads bundles, replays the log, applies what is new. Publishes by one assignment.

Knows bundles and logs; nothing of HTTP, users' wishes or the event loop. The methods that build are
called one at a time; any thread may read `view`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from models.bundle.digest import feature_digest
from models.bundle.errors import BundleError
from models.bundle.reader import candidate_ids, read_bundle, read_current_id
from models.ids import VideoId
from models.modality import in_order
from service.catalog.overlay import Edit, Overlay
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.errors import EventLogUnavailable, NotReady
from service.eventlog.events import Event, VideoUpserted, decode
from service.eventlog.log import Entry, EventLog
from service.telemetry import Telemetry

Floats = NDArray[np.float32]
log = structlog.get_logger()

# Entries read and applied at once: bounds both memory and how long a new view takes to appear.
READ_LIMIT: Final = 512


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
        self._history_limit = history_limit
        self._view: View | None = None
        self._fault = "no bundle has been loaded yet"
        self._refused_id: str | None = None

    @property
    def view(self) -> View:
        """The view to answer from; pin it for the whole request.

        Raises:
            NotReady: nothing has been loaded; says why.
        """
        if self._view is None:
            raise NotReady(self._fault)
        return self._view

    @property
    def has_view(self) -> bool:
        """Whether there is a view to answer from."""
        return self._view is not None

    @property
    def stale_reason(self) -> str:
        """Why the bundle served is not the one that CURRENT names; empty if it is."""
        return self._fault if self._view is not None else ""

    def load(self) -> View | None:
        """Build a view on the bundle that CURRENT names or, where that is unusable, the next newest.

        Returns None, with the reason kept, if no bundle is usable.

        Raises:
            EventLogUnavailable: the log cannot be replayed.
        """
        faults: list[str] = []
        try:
            candidates = candidate_ids(self._bundles)
        except BundleError as error:
            candidates = []
            faults.append(str(error))
        fresh = None
        for bundle_id in candidates:
            try:
                fresh = self._build(bundle_id)
                break
            except BundleError as error:
                faults.append(self._refuse(bundle_id, error))
        self._fault = "; ".join(faults)
        return fresh

    def load_changed(self) -> View | None:
        """Build a view on the bundle that CURRENT names, if it is neither served nor refused already.

        Raises:
            EventLogUnavailable: the log cannot be replayed.
        """
        try:
            current = read_current_id(self._bundles)
        except BundleError:
            return None
        served = None if self._view is None else self._view.bundle_id
        if current in {served, self._refused_id}:
            return None
        try:
            fresh = self._build(current)
        except BundleError as error:
            self._fault = self._refuse(current, error)
            return None
        self._fault = ""
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
        while view is not None and (entries := self._event_log.read(view.position, READ_LIMIT)):
            events = self._decode(entries)
            view = self._apply(view, entries, events)
            self._show(view)
            for event in events:
                if isinstance(event, VideoUpserted):
                    self._telemetry.ingest_to_visible.observe(self._clock() - event.recorded_at)

    def _build(self, bundle_id: str) -> View:
        snapshot = Snapshot(read_bundle(self._bundles / bundle_id))
        try:
            return self._advance(View(snapshot, Overlay.empty(snapshot)))
        except EventLogUnavailable as error:
            if self._view is None:
                self._fault = str(error)
            raise

    def _refuse(self, bundle_id: str, error: BundleError) -> str:
        self._refused_id = bundle_id
        self._telemetry.bundle_refusals.inc()
        log.error("bundle refused", bundle_id=bundle_id, fault=str(error))
        return str(error)

    def _show(self, view: View) -> None:
        self._view = view
        self._telemetry.observe_catalog(bundle_id=view.bundle_id, live_videos=view.live_videos)

    def _advance(self, view: View) -> View:
        while entries := self._event_log.read(view.position, READ_LIMIT):
            view = self._apply(view, entries, self._decode(entries))
        return view

    def _decode(self, entries: list[Entry]) -> list[Event | None]:
        """Decode each entry; one that cannot be is named, counted and passed over as None."""
        events: list[Event | None] = []
        for entry in entries:
            try:
                events.append(decode(entry.payload))
            except msgspec.DecodeError as error:
                self._pass_over(entry, str(error))
                events.append(None)
        return events

    def _apply(self, view: View, entries: list[Entry], events: list[Event | None]) -> View:
        """Apply a batch: all its arrivals are fused in one forward pass."""
        vectors = self._fuse(view.snapshot, entries, events)
        edit = Edit(view.snapshot, view.overlay, history_limit=self._history_limit)
        for place, event in enumerate(events):
            if event is not None:
                edit.apply(event, vectors.get(place))
        return View(view.snapshot, edit.finish(entries[-1].position))

    def _fuse(
        self, snapshot: Snapshot, entries: list[Entry], events: list[Event | None]
    ) -> dict[int, Floats]:
        """Return the vector of each upsert whose features the bundle was not trained on, by place.

        An upsert that this bundle's network cannot read is taken out of `events`.
        """
        wanted: dict[int, dict[str, Floats]] = {}
        for place, event in enumerate(events):
            if isinstance(event, VideoUpserted):
                features = {
                    name: np.frombuffer(raw, dtype="<f4") for name, raw in event.features.items()
                }
                if snapshot.fuser.faults_in(features):
                    self._pass_over(entries[place], "features do not fit the bundle's network")
                    events[place] = None
                elif not _is_trained(snapshot, VideoId(event.video_id), features):
                    wanted[place] = features
        if not wanted:
            return {}
        with self._telemetry.fusion_seconds.time():
            fused = snapshot.fuser.fuse(list(wanted.values()))
        return dict(zip(wanted, fused, strict=True))

    def _pass_over(self, entry: Entry, fault: str) -> None:
        self._telemetry.events_passed_over.inc()
        log.error("event passed over", position=entry.position, fault=fault)


def _is_trained(snapshot: Snapshot, video_id: VideoId, features: dict[str, Floats]) -> bool:
    """Tell whether the bundle trained this very video on these very features."""
    row = snapshot.video_row(video_id)
    if row is None:
        return False
    known = {name: features[name] for name in in_order(features)}
    return bool(snapshot.bundle.feature_digests[row] == feature_digest(known))
