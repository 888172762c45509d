"""One consistent picture of the catalog: a snapshot and an overlay. A request pins one.

Knows which videos are live, where they are and who met them; nothing of who may see what.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from eventlog.position import Position
from models.bundle.metadata import moment_of
from models.ids import UserId, VideoId
from service.catalog.bar import NO_ROWS, Bar
from service.catalog.delta import NEVER
from service.catalog.facets import Facets, Filter
from service.catalog.index import Doubles, Floats, Mask, Rows, UserRow, VideoRow
from service.catalog.overlay import NO_HISTORY, History, Overlay, settled
from service.catalog.snapshot import Snapshot
from service.errors import UnknownVideo

T = TypeVar("T", np.bool_, np.float64)


class Experience(NamedTuple):
    """What a user met of late: vectors (N, D) of live videos, weights (N,), ids; oldest first."""

    vectors: Floats
    weights: Doubles
    video_ids: tuple[VideoId, ...]


@dataclass(frozen=True, eq=False)
class View:
    """What is known at one position of the log. Rows V and above are those of arrivals."""

    snapshot: Snapshot
    overlay: Overlay

    @property
    def bundle_id(self) -> str:
        """The bundle this view is built on."""
        return self.snapshot.bundle_id

    @property
    def position(self) -> Position:
        """The log position this view has reached."""
        return self.overlay.position

    @property
    def rows(self) -> int:
        """How many rows there are, dead ones included."""
        return self.snapshot.manifest.videos + self.overlay.delta.count

    @property
    def live_videos(self) -> int:
        """How many videos there are, hidden ones included."""
        return self.snapshot.manifest.videos - self.overlay.gone + self.live_arrivals

    @cached_property
    def live_arrivals(self) -> int:
        """How many videos there are in rows of arrivals, hidden ones included."""
        return self.overlay.delta.count - int(np.count_nonzero(self.overlay.delta.dead))

    @cached_property
    def standing_bar(self) -> Bar:
        """Rows that must not be recommended, whatever the time: hidden or gone."""
        arrived = self.overlay.delta.barred
        barred = self.overlay.closed + int(np.count_nonzero(arrived))
        return Bar(self.overlay.barred, arrived, self.rows - barred, NO_ROWS)

    def bar(self, now: float) -> Bar:
        """Return which rows must not be recommended at `now`: hidden, gone, or at their end."""
        if not self._perishable:
            return self.standing_bar
        since, until, bar = self._ended
        if not since <= now < until:
            ends = self._spread(Facets.ends)
            later = ends[ends > now]
            bar = self.standing_bar.and_mask(ends <= now)
            # Of use until the next end; what others work out at the same time is as good.
            self.__dict__["_ended"] = (now, float(later.min()) if len(later) else np.inf, bar)
        return bar

    @cached_property
    def _ended(self) -> tuple[float, float, Bar]:
        return np.inf, -np.inf, self.standing_bar

    @cached_property
    def _perishable(self) -> bool:
        parts = (self.snapshot.facets, self.overlay.retold.facets, self.overlay.delta.facets)
        return any(facets.perishable for facets in parts)

    def matching(self, wanted: Filter) -> Mask:
        """Return which rows have metadata as `wanted`, as it stands now: (V + count,)."""
        return self._spread(lambda facets, count: facets.matching(wanted, count))

    @cached_property
    def live(self) -> Mask:
        """Which rows are those of live videos, hidden and ended ones too: (V + count,)."""
        return ~np.concatenate([self.overlay.blocked, self.overlay.delta.dead])

    def _spread(self, ask: Callable[[Facets, int], NDArray[T]]) -> NDArray[T]:
        """Return what `ask` says of all rows, from where the metadata of each stands: (R,)."""
        retold, delta = self.overlay.retold, self.overlay.delta
        trained = ask(self.snapshot.facets, self.snapshot.manifest.videos)
        column = np.concatenate([trained, ask(delta.facets, delta.count)])
        # In order: of a row that was told of more than once, the last remains.
        column[self._retold_rows] = ask(retold.facets, retold.count)
        return column

    @cached_property
    def _retold_rows(self) -> Rows:
        return np.array(self.overlay.retold.rows[: self.overlay.retold.count], dtype=np.int64)

    def row(self, video_id: VideoId) -> VideoRow | None:
        """Return the row of a live video."""
        live = self.overlay.videos.get(video_id)
        if live is None:
            row = self.snapshot.video_row(video_id)
            return None if row is None or self.overlay.blocked[row] else row
        if live.trained is not None:
            return live.trained
        return VideoRow(self.snapshot.manifest.videos + self.overlay.delta.place(live.serial))

    def video_id(self, row: VideoRow) -> VideoId:
        """Return the id of the video in `row`."""
        offset = self.snapshot.manifest.videos
        return self.snapshot.video_id(row) if row < offset else self.overlay.delta.ids[row - offset]

    def video_ids(self, rows: Rows) -> list[VideoId]:
        """Return the ids of the videos in `rows: (N,)`."""
        # Few lists hold an arrival.
        if not self.overlay.delta.count or rows.max(initial=0) < self.snapshot.manifest.videos:
            return self.snapshot.video_ids(rows)
        return [self.video_id(VideoRow(row)) for row in rows.tolist()]

    def state(self, video_id: VideoId, now: float) -> Literal["live", "hidden", "expired"]:
        """Return whether a live video may be recommended at `now`.

        Raises:
            UnknownVideo: there is no such live video.
        """
        if moment_of(self.metadata(video_id).get("expires_at")) <= now:
            return "expired"
        return "hidden" if video_id in self.overlay.hidden else "live"

    def metadata(self, video_id: VideoId) -> Mapping[str, Any]:
        """Return the metadata of a live video.

        Raises:
            UnknownVideo: there is no such live video.
        """
        live = self.overlay.videos.get(video_id)
        if live is not None:
            return live.metadata
        row = self.row(video_id)
        if row is None:
            raise UnknownVideo(video_id)
        return self.snapshot.metadata(row)

    def vectors(self, rows: Rows) -> Floats:
        """Return the vectors of `rows: (N,)`: (N, D)."""
        offset = self.snapshot.manifest.videos
        if not self.overlay.delta.count or rows.max(initial=0) < offset:
            return np.asarray(self.snapshot.vectors[rows])
        found = np.empty((len(rows), self.snapshot.manifest.vector_dim), dtype=np.float32)
        arrived = rows >= offset
        found[~arrived] = self.snapshot.vectors[rows[~arrived]]
        found[arrived] = self.overlay.delta.vectors[rows[arrived] - offset]
        return found

    def vector(self, video_id: VideoId) -> Floats:
        """Return the vector of a live video: (D,).

        Raises:
            UnknownVideo: there is no such live video.
        """
        row = self.row(video_id)
        if row is None:
            raise UnknownVideo(video_id)
        found: Floats = self.vectors(np.array([row]))[0]
        return found

    def user_vector(self, user_id: UserId | None) -> Floats | None:
        """Return the vector of a trained user: (D,)."""
        row = self._trained_row(user_id)
        return None if row is None else self.snapshot.user_vector(row)

    def trained_interactions(self, user_id: UserId | None) -> int:
        """Return how many interactions a user's vector was trained with; 0 for a stranger."""
        row = self._trained_row(user_id)
        return 0 if row is None else int(self.snapshot.bundle.activity[row])

    def _trained_row(self, user_id: UserId | None) -> UserRow | None:
        if user_id is None or user_id in self.overlay.erased:
            return None
        return self.snapshot.user_row(user_id)

    def experience(
        self, user_id: UserId | None, session: Sequence[tuple[VideoId, float]] = ()
    ) -> Experience:
        """Return what the user met of late, then in a `session`, as these videos stand now.

        The session is videos and weights, oldest first; it counts as the log would count it.
        """
        history = self.history(user_id)
        if not history.recent and not session:
            return self._no_experience
        newest_first = dict.fromkeys(reversed(history.recent))
        weights = {video_id: history.videos[video_id].weight for video_id in reversed(newest_first)}
        for video_id, weight in session:
            weights[video_id] = settled(weights.pop(video_id, 0.0), weight)
        met = [(self.row(video_id), video_id) for video_id in weights]
        known = [(row, video_id) for row, video_id in met if row is not None]
        rows = np.array([row for row, _ in known], dtype=np.int64)
        ids = tuple(video_id for _, video_id in known)
        return Experience(self.vectors(rows), np.array([weights[v] for v in ids]), ids)

    @cached_property
    def _no_experience(self) -> Experience:
        return Experience(self.vectors(NO_ROWS), np.empty(0), ())

    def history(self, user_id: UserId | None) -> History:
        """Return what a user met since the bundle."""
        return NO_HISTORY if user_id is None else self.overlay.histories.get(user_id, NO_HISTORY)

    def seen_in_training(self, user_id: UserId | None) -> Rows:
        """Return the snapshot rows that a user met in training, ascending."""
        row = self._trained_row(user_id)
        return NO_ROWS if row is None else self.snapshot.seen(row)

    def seen(self, user_id: UserId | None) -> Rows:
        """Return the rows a user has met, in training or since, as rows stand now; ascending."""
        met = self.seen_in_training(user_id)
        history = self.history(user_id)
        if not history.videos and not self.overlay.gone:
            return met
        moved = self.overlay.blocked[met]
        # A replaced video lives in another row now; having seen it is a matter of its id.
        replaced = (self.snapshot.video_id(VideoRow(row)) for row in met[moved].tolist())
        found = (self.row(video_id) for video_id in chain(replaced, history.videos))
        since = np.array([row for row in found if row is not None], dtype=np.int64)
        return np.union1d(met, since)

    def arrivals(self, barred: Mask) -> Rows:
        """Return the rows of arrivals that are not `barred`, the latest first."""
        rows = self._newest_first + self.snapshot.manifest.videos
        return rows[~barred[rows]]

    def arrived(self, video_id: VideoId) -> bool:
        """Tell whether a live video is an arrival: the bundle has never met it."""
        # Asked first what is cheaper, and settles it for most videos.
        return video_id in self.overlay.videos and self.snapshot.video_row(video_id) is None

    def ages(self, rows: Rows) -> Doubles:
        """Return how long before the last event the arrivals in `rows: (N,)` came: (N,) seconds.

        By the clocks of who recorded it, not by ours: at one position every replica says the same.
        """
        moments = self.overlay.delta.moments[rows - self.snapshot.manifest.videos]
        return np.maximum(0.0, self.overlay.moment - moments)

    @cached_property
    def risen(self) -> list[tuple[VideoRow, int]]:
        """Rows of videos that found users since the bundle, and all of their users, most first."""
        counts = self.snapshot.bundle.popularity
        found = []
        for video_id, gained in self.overlay.gained.items():
            row, trained = self.row(video_id), self.snapshot.video_row(video_id)
            if row is not None:
                total = gained + (0 if trained is None else int(counts[trained]))
                found.append((-total, video_id, row))
        return [(row, -fewer) for fewer, _, row in sorted(found)]

    @cached_property
    def _newest_first(self) -> Rows:
        """Places of the delta that live and were never trained, the latest arrival first."""
        delta = self.overlay.delta
        shown = np.flatnonzero(~delta.dead & (delta.moments[: delta.count] > NEVER))
        return shown[np.argsort(-delta.ordinals[shown], kind="stable")]
