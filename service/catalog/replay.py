"""Turns log entries into the next view: decodes, fuses, applies. Knows no bundle but the view's."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import structlog

from eventlog.events import Event, VideoUpserted, decode
from eventlog.log import Entry
from models.bundle.digest import feature_digests
from models.ids import VideoId
from service.catalog.edit import Edit, Feedback, Fused
from service.catalog.fusing import FLOAT32_BYTES, Fuser
from service.catalog.index import Floats
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from service.telemetry import Telemetry

log = structlog.get_logger()


class _Upsert(NamedTuple):
    """Features of an upsert, joined: (F,), or why this bundle's network cannot read them."""

    features: Floats
    feature_digest: int
    fault: str


class Arrived(NamedTuple):
    """When a video was received, in Unix seconds, and the trace in which it was sent, or ""."""

    recorded_at: float
    trace: str


class Applied(NamedTuple):
    """The next view, and the videos that arrived with it."""

    view: View
    arrived: list[Arrived]


class Replay:
    """Applies entries to views. A bad entry is named, counted and laid aside: it stops nothing."""

    def __init__(self, telemetry: Telemetry, feedback: Feedback) -> None:
        """Keep how interactions count."""
        self._telemetry = telemetry
        self._feedback = feedback

    def apply(self, view: View, entries: list[Entry]) -> Applied:
        """Apply all of `entries` to `view`; all arrivals among them are fused together.

        Should that fail, they are applied one by one, so that the entry at fault is found.
        """
        try:
            return self._apply(view, entries)
        except Exception:
            if len(entries) == 1:
                log.exception("event failed", position=entries[0].position)
                refused = self._edited(view, entries, lambda edit: self._refuse(edit, entries[0]))
                return Applied(refused, [])
            arrived: list[Arrived] = []
            for entry in entries:
                view, moments = self.apply(view, [entry])
                arrived += moments
            return Applied(view, arrived)

    def _apply(self, view: View, entries: list[Entry]) -> Applied:
        decoded = [(entry, *_decoded(entry)) for entry in entries]
        upserts = _read(
            {
                p: event
                for p, (_, event, _) in enumerate(decoded)
                if isinstance(event, VideoUpserted)
            },
            view.snapshot.fuser,
        )
        fused = self._fuse(view, decoded, upserts)

        def change(edit: Edit) -> None:
            for place, (entry, event, fault) in enumerate(decoded):
                if event is None:
                    self._quarantine(edit, entry, fault)
                elif place in upserts and upserts[place].fault:
                    edit.lay_aside(VideoId(event.video_id), entry.position)  # type: ignore[union-attr] # an upsert
                    self._quarantine(edit, entry, upserts[place].fault)
                else:
                    edit.apply(event, fused.get(place))

        arrived = [
            Arrived(event.recorded_at, event.trace)
            for _, event, _ in decoded
            if isinstance(event, VideoUpserted)
        ]
        return Applied(self._edited(view, entries, change), arrived)

    def _edited(self, view: View, entries: list[Entry], change: Callable[[Edit], None]) -> View:
        edit = Edit(view.snapshot, view.overlay, self._feedback)
        change(edit)
        return View(view.snapshot, edit.finish(entries[-1].position))

    def _fuse(
        self,
        view: View,
        decoded: list[tuple[Entry, Event | None, str]],
        upserts: dict[int, _Upsert],
    ) -> dict[int, Fused]:
        """Return what each readable upsert is fused to, by its place among `decoded`."""
        fused: dict[int, Fused] = {}
        wanted: dict[int, _Upsert] = {}
        before = [view.position, *(entry.position for entry, _, _ in decoded)]
        for place, upsert in upserts.items():
            if upsert.fault:
                continue
            event = decoded[place][1]
            if _is_trained(view.snapshot, VideoId(event.video_id), upsert):  # type: ignore[union-attr] # an upsert
                fused[place] = Fused(None, upsert.feature_digest, before[place])
            else:
                wanted[place] = upsert
        if wanted:
            with self._telemetry.fusion_seconds.time():
                rows = np.stack([upsert.features for upsert in wanted.values()])
                vectors = view.snapshot.fuser.fuse_rows(rows)
            for (place, upsert), vector in zip(wanted.items(), vectors, strict=True):
                fused[place] = Fused(vector, upsert.feature_digest, before[place])
        return fused

    def _refuse(self, edit: Edit, entry: Entry) -> None:
        self._quarantine(edit, entry, "could not be applied; the log of this service says why")

    def _quarantine(self, edit: Edit, entry: Entry, fault: str) -> None:
        edit.quarantine(entry.position, fault)
        self._telemetry.events_quarantined.inc()
        log.error("event quarantined", position=entry.position, fault=fault)


def _decoded(entry: Entry) -> tuple[Event | None, str]:
    try:
        return decode(entry.payload), ""
    except msgspec.DecodeError as error:
        return None, str(error)


def _read(events: dict[int, VideoUpserted], fuser: Fuser) -> dict[int, _Upsert]:
    rows, readable = fuser.join([event.features for event in events.values()])
    digests = feature_digests(rows, fuser.widths)
    return {
        place: _Upsert(row, digest, "" if fine else _fault_in(event, fuser))
        for (place, event), row, digest, fine in zip(
            events.items(), rows, digests, readable.tolist(), strict=True
        )
    }


def _fault_in(event: VideoUpserted, fuser: Fuser) -> str:
    if any(len(raw) % FLOAT32_BYTES for raw in event.features.values()):
        return "features are no whole float32 numbers"
    told = "; ".join(map(str, fuser.faults([event.features])[0]))
    return f"features do not fit the bundle's network: {told}"


def _is_trained(snapshot: Snapshot, video_id: VideoId, upsert: _Upsert) -> bool:
    """Tell whether the bundle trained this very video on these very features."""
    row = snapshot.video_row(video_id)
    return row is not None and bool(snapshot.bundle.feature_digests[row] == upsert.feature_digest)
