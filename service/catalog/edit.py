"""How events change an overlay. Knows events and rows; nothing of where events come from."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, Final, NamedTuple

import numpy as np
from immutables import Map

from eventlog.events import (
    Event,
    InteractionRecorded,
    Kind,
    UserErased,
    VideoDeleted,
    VideoHidden,
    VideoRetold,
    VideoShown,
    VideoUpserted,
    merged,
)
from eventlog.position import START, Position
from models.ids import UserId, VideoId
from service.catalog.delta import NEVER, DeltaEdit
from service.catalog.index import Floats, Mask, VideoRow
from service.catalog.overlay import (
    NAMED_FAULTS,
    NO_HISTORY,
    History,
    LiveVideo,
    Met,
    Overlay,
    Quarantined,
    Retold,
    Warmth,
    settled,
)
from service.catalog.representing import warmed
from service.catalog.snapshot import Snapshot

# Videos of a history that say what a user likes now.
RECENT: Final = 200
# A history is cut back to its limit only when it has outgrown it by this factor.
HISTORY_SLACK: Final = 1.25
# More records of retold rows than this are cut back to one a row, now and then.
RETOLD_KEPT: Final = 1024


class Feedback(NamedTuple):
    """How interactions count: the weight of each kind, and how many of a user are remembered."""

    weights: Mapping[Kind, float]
    history_limit: int


class Fused(NamedTuple):
    """What an upserted video was fused to, (D,), and the digest of its features.

    The vector is None where the features are those the video was trained on: the trained vector,
    with all that was learnt from viewers, comes back. The log has the features behind `before`.
    """

    vector: Floats | None
    feature_digest: int
    before: Position = START


class Edit:
    """Applies a batch of events to an overlay and yields the next one; the old one stays as it was.

    Overlays form one line: only the newest is ever edited, by one thread.
    """

    def __init__(self, snapshot: Snapshot, overlay: Overlay, feedback: Feedback) -> None:
        """Begin from `overlay`."""
        self._snapshot = snapshot
        self._overlay = overlay
        self._feedback = feedback
        self._videos = overlay.videos.mutate()
        self._unreadable = overlay.unreadable.mutate()
        self._hidden = overlay.hidden.mutate()
        self._histories = overlay.histories.mutate()
        self._warmth = overlay.warmth.mutate()
        self._gained = overlay.gained.mutate()
        self._viewers = overlay.viewers.mutate()
        self._moment = overlay.moment
        self._trends = overlay.trends
        self._erased = overlay.erased.mutate()
        self._delta = DeltaEdit(overlay.delta, snapshot.index)
        self._retold = overlay.retold
        # What an edit that failed halfway has left behind; no overlay sees that far.
        del self._retold.rows[self._retold.count :]
        self._retold.facets.cut(self._retold.count)
        self._blocked, self._gone = overlay.blocked, overlay.gone
        self._barred, self._closed = overlay.barred, overlay.closed
        self._quarantined: list[Quarantined] = []
        self._warming: dict[VideoId, None] = {}

    def apply(self, event: Event, fused: Fused | None = None) -> None:  # noqa: C901 - one case a kind
        """Apply one event. An upsert comes with what it was `fused` to."""
        if isfinite(event.recorded_at):
            self._moment = event.recorded_at
        match event:
            case VideoUpserted():
                if fused is None:
                    raise ValueError(f"{event.video_id!r} came without a vector")
                self._upsert(VideoId(event.video_id), event.metadata, fused)
            case VideoDeleted():
                self._delete(VideoId(event.video_id))
            case VideoHidden():
                self._hide(VideoId(event.video_id), hidden=True)
            case VideoShown():
                self._hide(VideoId(event.video_id), hidden=False)
            case VideoRetold():
                self._retell(VideoId(event.video_id), event.metadata)
            case InteractionRecorded():
                weight = self._feedback.weights[event.kind]
                user_id, video_id = UserId(event.user_id), VideoId(event.video_id)
                self._remember(user_id, video_id, weight)
                self._trends = self._trends.grown(user_id, video_id, event.kind, event.recorded_at)
            case UserErased():
                self._erase(UserId(event.user_id))

    def lay_aside(self, video_id: VideoId, position: Position) -> None:
        """Take note of an upsert at `position` that the bundle's network cannot read.

        The video is not live until a later upsert can be read: its former features are void.
        """
        self._remove(video_id)
        self._unreadable[video_id] = position

    def quarantine(self, position: Position, fault: str) -> None:
        """Take note of an entry that could not be applied."""
        self._quarantined.append(Quarantined(position, fault))

    def finish(self, position: Position) -> Overlay:
        """Return the overlay at `position`."""
        for video_id in self._warming:
            self._warm(video_id)
        named = (*self._overlay.quarantine, *self._quarantined)[-NAMED_FAULTS:]
        return replace(
            self._overlay,
            position=position,
            videos=self._videos.finish(),
            unreadable=self._unreadable.finish(),
            hidden=self._hidden.finish(),
            histories=self._histories.finish(),
            warmth=self._warmth.finish(),
            gained=self._gained.finish(),
            viewers=self._viewers.finish(),
            moment=self._moment,
            trends=self._trends,
            erased=self._erased.finish(),
            delta=self._delta.finish(),
            retold=_cut_back(self._retold, self._overlay.retold.count),
            blocked=self._blocked,
            gone=self._gone,
            barred=self._barred,
            closed=self._closed,
            quarantined=self._overlay.quarantined + len(self._quarantined),
            quarantine=named,
        )

    def _upsert(self, video_id: VideoId, metadata: Mapping[str, Any], fused: Fused) -> None:
        live = self._videos.get(video_id)
        if live is not None and live.feature_digest == fused.feature_digest:
            # A retry, or new metadata: vector, viewers and age are as they were.
            self._tell(video_id, live, metadata)
            return
        trained = self._snapshot.video_row(video_id)
        moment = self._moment if trained is None else NEVER
        if live is not None and live.trained is None:
            moment = self._delta.moment(live.serial)
        ordinal = self._remove(video_id)
        hidden = video_id in self._hidden
        digest, before = fused.feature_digest, fused.before
        if fused.vector is not None:
            serial = self._delta.append(
                video_id, fused.vector, metadata, ordinal=ordinal, moment=moment, hidden=hidden
            )
            self._videos[video_id] = LiveVideo(None, serial, before, metadata, digest)
        elif trained is not None:
            self._mark(trained, blocked=False, hidden=hidden)
            self._tell(video_id, LiveVideo(trained, -1, before, {}, digest), metadata)
        else:
            raise ValueError(f"{video_id!r} was never trained and came without a vector")

    def _retell(self, video_id: VideoId, told: Mapping[str, Any]) -> None:
        live, trained = self._videos.get(video_id), self._snapshot.video_row(video_id)
        if live is None:
            if trained is None or self._blocked[trained]:
                return
            digest = int(self._snapshot.bundle.feature_digests[trained])
            live = LiveVideo(trained, -1, START, self._snapshot.metadata(trained), digest)
        self._tell(video_id, live, merged(live.metadata, told))

    def _tell(self, video_id: VideoId, live: LiveVideo, metadata: Mapping[str, Any]) -> None:
        """Put `metadata` in the place of what was told of a video that stays as it is."""
        if live.trained is not None:
            self._retold.rows.append(live.trained)
            self._retold.facets.append(metadata)
            self._retold = replace(self._retold, count=self._retold.count + 1)
        elif metadata != live.metadata:
            live = self._moved(video_id, live, self._delta.vector(live.serial), metadata)
        self._videos[video_id] = live._replace(metadata=metadata)

    def _moved(
        self, video_id: VideoId, live: LiveVideo, vector: Floats, metadata: Mapping[str, Any]
    ) -> LiveVideo:
        """Return an arrival in a new row: what stands in a row of the delta is never changed."""
        moment = self._delta.moment(live.serial)
        ordinal = self._delta.kill(live.serial)
        hidden = video_id in self._hidden
        serial = self._delta.append(
            video_id, vector, metadata, ordinal=ordinal, moment=moment, hidden=hidden
        )
        return live._replace(serial=serial)

    def _delete(self, video_id: VideoId) -> None:
        self._remove(video_id)
        self._hidden.pop(video_id, None)
        self._gained.pop(video_id, None)
        self._viewers.pop(video_id, None)

    def _remove(self, video_id: VideoId) -> int | None:
        """Take a video out, whatever its state; return when it arrived, if it is an arrival."""
        self._unreadable.pop(video_id, None)
        self._warmth.pop(video_id, None)
        live = self._videos.pop(video_id, None)
        trained = self._snapshot.video_row(video_id)
        if trained is not None:
            self._mark(trained, blocked=True, hidden=False)
        return None if live is None or live.trained is not None else self._delta.kill(live.serial)

    def _hide(self, video_id: VideoId, *, hidden: bool) -> None:
        live = self._videos.get(video_id)
        trained = self._snapshot.video_row(video_id)
        if live is not None and live.trained is None:
            self._delta.bar(live.serial, hidden=hidden)
        elif trained is not None and not self._blocked[trained]:
            self._mark(trained, blocked=False, hidden=hidden)
        elif video_id not in self._unreadable:
            return
        if hidden:
            self._hidden[video_id] = None
        else:
            self._hidden.pop(video_id, None)

    def _mark(self, row: VideoRow, *, blocked: bool, hidden: bool) -> None:
        self._gone += int(blocked) - int(self._blocked[row])
        self._blocked = _marked(self._blocked, self._overlay.blocked, row, mark=blocked)
        self._closed += int(blocked or hidden) - int(self._barred[row])
        self._barred = _marked(self._barred, self._overlay.barred, row, mark=blocked or hidden)

    def _remember(self, user_id: UserId, video_id: VideoId, weight: float) -> None:
        history = self._histories.get(user_id, NO_HISTORY)
        met = history.videos.get(video_id)
        before = 0.0 if met is None else met.weight
        now = settled(before, weight)
        videos = history.videos.set(video_id, Met(history.length, now))
        if len(videos) > HISTORY_SLACK * self._feedback.history_limit:
            newest = sorted(videos.items(), key=lambda item: item[1].place)
            videos = Map(newest[-self._feedback.history_limit :])
        recent = (*history.recent, video_id)[-RECENT:]
        self._histories[user_id] = History(videos, recent, history.length + 1)
        if met is None:
            self._count_viewer(video_id, 1)
        self._credit(user_id, video_id, before, now)

    def _count_viewer(self, video_id: VideoId, change: int) -> None:
        """Let an arrival know that one user more or less has met it."""
        live = self._videos.get(video_id)
        if live is not None and live.trained is None:
            count = self._viewers.get(video_id, 0) + change
            if count > 0:
                self._viewers[video_id] = count
            else:
                self._viewers.pop(video_id, None)

    def _credit(self, user_id: UserId, video_id: VideoId, before: float, now: float) -> None:
        """Let a video know that the weight a user gives it has changed."""
        if (before > 0) != (now > 0):
            count = self._gained.get(video_id, 0) + (1 if now > 0 else -1)
            if count > 0:
                self._gained[video_id] = count
            else:
                self._gained.pop(video_id, None)
        live = self._videos.get(video_id)
        row = self._snapshot.user_row(user_id)
        if now == before or live is None or live.trained is not None:
            return
        if row is None or user_id in self._erased or not self._snapshot.bundle.activity[row]:
            return
        warmth = self._warmth.get(video_id)
        if warmth is None:
            content = self._delta.vector(live.serial)
            warmth = Warmth(content, np.zeros(len(content)))
        taste = self._snapshot.taste(row)
        self._warmth[video_id] = warmth._replace(gained=warmth.gained + (now - before) * taste)
        self._warming[video_id] = None

    def _warm(self, video_id: VideoId) -> None:
        live, warmth = self._videos.get(video_id), self._warmth.get(video_id)
        if live is None or warmth is None:  # deleted or replaced since
            return
        vector = warmed(warmth.content, warmth.gained)
        self._videos[video_id] = self._moved(video_id, live, vector, live.metadata)

    def _erase(self, user_id: UserId) -> None:
        history = self._histories.get(user_id, NO_HISTORY)
        # In the order of the log: sums of floats depend on it, and every replica must agree.
        for video_id, met in sorted(history.videos.items(), key=lambda item: item[1].place):
            self._credit(user_id, video_id, met.weight, 0.0)
            self._count_viewer(video_id, -1)
        self._histories.pop(user_id, None)
        self._trends = self._trends.without(user_id)
        if self._snapshot.user_row(user_id) is not None:
            self._erased[user_id] = None


def _cut_back(retold: Retold, before: int) -> Retold:
    """Return `retold`, with one record a row if it has grown by many of the same rows."""
    # Looked at each time it has doubled.
    if retold.count <= RETOLD_KEPT or retold.count.bit_length() == before.bit_length():
        return retold
    last = {row: place for place, row in enumerate(retold.rows)}
    places = np.array(sorted(last.values()), dtype=np.int64)
    rows = [retold.rows[place] for place in places.tolist()]
    return Retold(rows, retold.facets.taken(places), len(rows))


def _marked(mask: Mask, original: Mask, row: VideoRow, *, mark: bool) -> Mask:
    """Return `mask` with one row marked, copied first if it still is the `original`."""
    if mask[row] == mark:
        return mask
    changed = mask.copy() if mask is original else mask
    changed[row] = mark
    return changed
