"""Turns log entries into the next view: decodes, fuses, applies. Knows no bundle but the view's."""

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from models.bundle.digest import feature_digest
from models.ids import VideoId
from models.modality import in_order
from service.catalog.overlay import Edit
from service.catalog.snapshot import Snapshot
from service.catalog.view import View
from eventlog.events import Event, VideoUpserted, decode
from eventlog.log import Entry
from service.telemetry import Telemetry

Floats = NDArray[np.float32]
log = structlog.get_logger()

FLOAT32_BYTES = 4


class Replay:
    """Applies entries to views. A bad entry is named, counted and passed over: it stops nothing."""

    def __init__(self, telemetry: Telemetry, *, history_limit: int) -> None:
        """Keep how many interactions of a user a view remembers."""
        self._telemetry = telemetry
        self._history_limit = history_limit

    def apply(self, view: View, entries: list[Entry]) -> tuple[View, list[Event]]:
        """Return `view` with all of `entries` applied, and the events that were.

        All arrivals among them are fused together.
        """
        placed = {
            place: event
            for place, entry in enumerate(entries)
            if (event := self._decode(entry)) is not None
        }
        vectors = self._fuse(view.snapshot, entries, placed)
        edit = Edit(view.snapshot, view.overlay, history_limit=self._history_limit)
        for place, event in placed.items():
            edit.apply(event, vectors.get(place))
        position = entries[-1].position
        return View(view.snapshot, edit.finish(position)), list(placed.values())

    def _decode(self, entry: Entry) -> Event | None:
        try:
            return decode(entry.payload)
        except msgspec.DecodeError as error:
            self._pass_over(entry, str(error))
            return None

    def _fuse(
        self, snapshot: Snapshot, entries: list[Entry], placed: dict[int, Event]
    ) -> dict[int, Floats]:
        """Return the vector of each upsert whose features the bundle was not trained on, by place.

        An upsert that this bundle's network cannot read is taken out of `placed`.
        """
        wanted: dict[int, dict[str, Floats]] = {}
        for place, event in list(placed.items()):
            if not isinstance(event, VideoUpserted):
                continue
            features = _features(event)
            if features is None or snapshot.fuser.faults_in(features):
                self._pass_over(entries[place], "features do not fit the bundle's network")
                del placed[place]
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


def _features(event: VideoUpserted) -> dict[str, Floats] | None:
    if any(len(raw) % FLOAT32_BYTES for raw in event.features.values()):
        return None
    return {name: np.frombuffer(raw, dtype="<f4") for name, raw in event.features.items()}


def _is_trained(snapshot: Snapshot, video_id: VideoId, features: dict[str, Floats]) -> bool:
    """Tell whether the bundle trained this very video on these very features."""
    row = snapshot.video_row(video_id)
    if row is None:
        return False
    known = {name: features[name] for name in in_order(features)}
    return bool(snapshot.bundle.feature_digests[row] == feature_digest(known))
