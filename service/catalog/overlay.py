"""What the log adds to a snapshot: arrivals, deletions, histories. Immutable; edits yield new ones.

Knows events and rows; nothing of where events come from or who reads the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from immutables import Map, MapMutation
from numpy.typing import NDArray

from models.ids import UserId, VideoId
from service.catalog.index import Floats, VideoRow
from service.catalog.snapshot import Snapshot
from eventlog.events import Event, InteractionRecorded, VideoDeleted, VideoUpserted
from eventlog.log import START, Position

FIRST_CAPACITY: Final = 256
# A delta with more dead rows than this and than live ones is copied without them.
DEAD_ROWS_KEPT: Final = 1024
# A history is cut back to its limit only when it has outgrown it by this factor.
HISTORY_SLACK: Final = 1.25


class History(NamedTuple):
    """What one user met since the bundle: each video with the place of its last interaction."""

    videos: Map[VideoId, int]
    length: int


NO_HISTORY: Final = History(Map(), 0)


class LiveVideo(NamedTuple):
    """A video that the log has touched: its row now and its metadata."""

    row: VideoRow
    metadata: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Delta:
    """The vectors of arrivals: rows V, V + 1, … behind the V rows of the snapshot.

    `vectors` and `ids` are append-only and shared between overlays: each sees its first `count`
    rows and never what was appended later. `dead: (count,)` marks rows replaced or deleted.
    """

    vectors: Floats
    ids: list[VideoId]
    dead: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """The number of rows, dead ones included."""
        return len(self.dead)


@dataclass(frozen=True, eq=False)
class Overlay:
    """All that happened up to `position`. `blocked: (V,)`: snapshot rows replaced or deleted."""

    position: Position
    videos: Map[VideoId, LiveVideo]
    histories: Map[UserId, History]
    delta: Delta
    blocked: NDArray[np.bool_]

    @classmethod
    def empty(cls, snapshot: Snapshot) -> "Overlay":
        """Return the overlay of a log that is empty behind the bundle's position."""
        width = snapshot.manifest.vector_dim
        vectors = np.empty((FIRST_CAPACITY, width), dtype=np.float32)
        return cls(
            position=Position(snapshot.manifest.log_position or START),
            videos=Map(),
            histories=Map(),
            delta=Delta(vectors, [], np.zeros(0, dtype=bool)),
            blocked=np.zeros(snapshot.manifest.videos, dtype=bool),
        )


class Edit:
    """Applies a batch of events to an overlay and yields the next one; the old one stays as it was.

    Overlays form one line: only the newest is ever edited, by one thread.
    """

    def __init__(self, snapshot: Snapshot, overlay: Overlay, *, history_limit: int) -> None:
        """Begin from `overlay`."""
        self._snapshot = snapshot
        self._overlay = overlay
        self._history_limit = history_limit
        self._videos: MapMutation[VideoId, LiveVideo] = overlay.videos.mutate()
        self._histories: MapMutation[UserId, History] = overlay.histories.mutate()
        self._blocked = overlay.blocked
        self._vectors = overlay.delta.vectors
        self._ids = overlay.delta.ids
        # What an edit that failed halfway has left behind; no overlay sees that far.
        del self._ids[overlay.delta.count :]
        self._count = overlay.delta.count
        self._dead = np.zeros(len(self._vectors), dtype=bool)
        self._dead[: self._count] = overlay.delta.dead

    def apply(self, event: Event, vector: Floats | None) -> None:
        """Apply one event. `vector: (D,)` is what an upserted video was fused to.

        An upsert without one carries the very features the video was trained on: its trained
        vector, with all that was learnt from viewers, comes back.
        """
        match event:
            case VideoUpserted():
                self._upsert(VideoId(event.video_id), event.metadata, vector)
            case VideoDeleted():
                self._remove(VideoId(event.video_id))
            case InteractionRecorded():
                self._remember(UserId(event.user_id), VideoId(event.video_id))

    def finish(self, position: Position) -> Overlay:
        """Return the overlay at `position`."""
        delta = Delta(self._vectors, self._ids, self._dead[: self._count])
        overlay = Overlay(
            position, self._videos.finish(), self._histories.finish(), delta, self._blocked
        )
        dead = int(delta.dead.sum())
        return self._compact(overlay) if dead > max(DEAD_ROWS_KEPT, delta.count - dead) else overlay

    def _upsert(
        self, video_id: VideoId, metadata: Mapping[str, Any], vector: Floats | None
    ) -> None:
        self._remove(video_id)
        trained = self._snapshot.video_row(video_id)
        if vector is None and trained is not None:
            self._block(trained, blocked=False)
            row = trained
        elif vector is not None:
            row = self._append(video_id, vector)
        else:
            raise ValueError(f"{video_id!r} was never trained and came without a vector")
        self._videos[video_id] = LiveVideo(row, metadata)

    def _remove(self, video_id: VideoId) -> None:
        live = self._videos.pop(video_id, None)
        offset = self._snapshot.manifest.videos
        if live is not None and live.row >= offset:
            self._dead[live.row - offset] = True
        trained = self._snapshot.video_row(video_id)
        if trained is not None:
            self._block(trained, blocked=True)

    def _block(self, row: VideoRow, *, blocked: bool) -> None:
        if self._blocked[row] != blocked:
            if self._blocked is self._overlay.blocked:
                self._blocked = self._blocked.copy()
            self._blocked[row] = blocked

    def _append(self, video_id: VideoId, vector: Floats) -> VideoRow:
        place = self._count
        if place == len(self._vectors):
            grown = np.empty((2 * place, self._vectors.shape[1]), dtype=np.float32)
            grown[:place] = self._vectors
            self._vectors = grown
            self._dead = np.concatenate([self._dead, np.zeros(place, dtype=bool)])
        self._vectors[place] = vector
        self._ids.append(video_id)
        self._count += 1
        return VideoRow(self._snapshot.manifest.videos + place)

    def _remember(self, user_id: UserId, video_id: VideoId) -> None:
        history = self._histories.get(user_id, NO_HISTORY)
        videos = history.videos.set(video_id, history.length)
        if len(videos) > HISTORY_SLACK * self._history_limit:
            newest = sorted(videos.items(), key=lambda item: item[1])[-self._history_limit :]
            videos = Map(newest)
        self._histories[user_id] = History(videos, history.length + 1)

    def _compact(self, overlay: Overlay) -> Overlay:
        """Copy the delta without its dead rows, so that memory follows what is live."""
        offset = self._snapshot.manifest.videos
        live = np.flatnonzero(~overlay.delta.dead)
        vectors = np.empty((max(FIRST_CAPACITY, 2 * len(live)), self._vectors.shape[1]), np.float32)
        vectors[: len(live)] = overlay.delta.vectors[live]
        ids = [overlay.delta.ids[place] for place in live]
        videos = overlay.videos.mutate()
        for place, video_id in enumerate(ids):
            videos[video_id] = LiveVideo(VideoRow(offset + place), videos[video_id].metadata)
        delta = Delta(vectors, ids, np.zeros(len(live), dtype=bool))
        return replace(overlay, videos=videos.finish(), delta=delta)
