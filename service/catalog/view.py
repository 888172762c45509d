"""One consistent picture of the catalog: a snapshot and an overlay. A request pins one and keeps it.

Knows which videos are live, where they are and what is near; nothing of who may see what.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.ids import UserId, VideoId
from service.catalog.index import Floats, Mask, Rows, VideoRow, best_rows
from service.catalog.overlay import NO_HISTORY, Overlay
from service.catalog.snapshot import Snapshot, safe_norms
from service.errors import UnknownVideo
from service.eventlog.log import Position


class Candidate(NamedTuple):
    """A live video and how well it suits a vector."""

    row: VideoRow
    video_id: VideoId
    score: float


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
        """How many videos can be recommended."""
        return self.rows - int(self.overlay.blocked.sum()) - int(self.overlay.delta.dead.sum())

    def row(self, video_id: VideoId) -> VideoRow | None:
        """Return the row of a live video."""
        live = self.overlay.videos.get(video_id)
        if live is not None:
            return live.row
        row = self.snapshot.video_row(video_id)
        return None if row is None or self.overlay.blocked[row] else row

    def video_id(self, row: VideoRow) -> VideoId:
        """Return the id of the video in `row`."""
        offset = self.snapshot.manifest.videos
        return self.snapshot.video_id(row) if row < offset else self.overlay.delta.ids[row - offset]

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
        found = np.empty((len(rows), self.snapshot.manifest.vector_dim), dtype=np.float32)
        arrived = rows >= offset
        found[~arrived] = self.snapshot.vectors[rows[~arrived]]
        found[arrived] = self.overlay.delta.vectors[rows[arrived] - offset]
        return found

    def user_vector(self, user_id: UserId) -> Floats | None:
        """Return the vector of a trained user: (D,)."""
        row = self.snapshot.user_row(user_id)
        return None if row is None else self.snapshot.user_vector(row)

    def seen(self, user_id: UserId) -> set[VideoRow]:
        """Return the rows a user has met, in training or since, as the rows stand now."""
        rows: set[VideoRow] = set()
        trained = self.snapshot.user_row(user_id)
        if trained is not None:
            met = self.snapshot.seen(trained)
            rows.update(met.tolist())
            # A replaced video lives in another row now; having seen it is a matter of its id.
            replaced = (self.snapshot.video_id(row) for row in met[self.overlay.blocked[met]])
            rows.update(filter(None.__ne__, map(self.row, replaced)))  # type: ignore[arg-type]
        history = self.overlay.histories.get(user_id, NO_HISTORY)
        rows.update(row for row in map(self.row, history.videos) if row is not None)
        return rows

    def retrieve(
        self, vector: Floats, k: int, *, hidden: AbstractSet[VideoRow] = frozenset()
    ) -> list[Candidate]:
        """Return the `k` best live rows that are not `hidden`, best first, ties by id.

        Scores are inner products with `vector: (D,)`, recomputed in float64 so that every replica
        gives the same number.
        """
        offset, delta = self.snapshot.manifest.videos, self.overlay.delta
        barred = np.concatenate([self.overlay.blocked, delta.dead])
        barred[np.fromiter(hidden, dtype=np.int64, count=len(hidden))] = True
        scores = delta.vectors[: delta.count] @ vector
        scores[barred[offset:]] = -np.inf
        arrived = best_rows(scores, min(k, delta.count - int(barred[offset:].sum()))) + offset
        base = self._retrieve_base(vector, k, barred[:offset])
        rows = np.concatenate([base, arrived])
        return self._ranked(rows, self.vectors(rows).astype(np.float64) @ vector)[:k]

    def _retrieve_base(self, vector: Floats, k: int, barred: Mask) -> Rows:
        """Return the `k` best snapshot rows that are not barred, asking for more until they are found.

        Filtering after the search must not shorten the list, however much is barred.
        """
        fetch = k
        while True:
            found = self.snapshot.index.retrieve(vector, fetch)
            kept = found[~barred[found]]
            if len(kept) >= k or fetch >= len(barred):
                return kept[:k]
            fetch = max(4 * fetch, k + 2 * (len(found) - len(kept)))

    def nearest(self, video_id: VideoId, k: int) -> list[Candidate]:
        """Return the `k` live videos of largest cosine with a live video, itself left out.

        The bias column is left out: two videos are not alike for being popular.

        Raises:
            UnknownVideo: there is no such live video.
        """
        row = self.row(video_id)
        if row is None:
            raise UnknownVideo(video_id)
        width = self.snapshot.unbiased_dim
        query = self.vectors(np.array([row]))[0, :width]
        delta = self.overlay.delta
        fresh = delta.vectors[: delta.count, :width]
        cosines = np.concatenate(
            [
                (self.snapshot.vectors[:, :width] @ query) / self.snapshot.norms,
                (fresh @ query) / safe_norms(fresh),
            ]
        )
        cosines /= safe_norms(query[None, :])
        cosines[: len(self.overlay.blocked)][self.overlay.blocked] = -np.inf
        cosines[len(self.overlay.blocked) :][delta.dead] = -np.inf
        cosines[row] = -np.inf
        rows = best_rows(cosines.astype(np.float32), min(k, self.live_videos - 1))
        return self._ranked(rows, cosines[rows].astype(np.float64))

    def by_popularity(self) -> Iterator[tuple[VideoRow, int]]:
        """Yield live rows with their training interactions, most first, then arrivals, newest first.

        A replaced video keeps its place: its popularity is a matter of its id.
        """
        counts = self.snapshot.bundle.popularity
        for trained in self.snapshot.popular:
            row = self.row(self.snapshot.video_id(VideoRow(int(trained))))
            if row is not None:
                yield row, int(counts[trained])
        delta, offset = self.overlay.delta, self.snapshot.manifest.videos
        for place in range(delta.count - 1, -1, -1):
            if not delta.dead[place] and self.snapshot.video_row(delta.ids[place]) is None:
                yield VideoRow(offset + place), 0

    def _ranked(self, rows: Rows, scores: Any) -> list[Candidate]:
        pairs = zip(rows.tolist(), scores.tolist(), strict=True)
        found = [Candidate(VideoRow(row), self.video_id(VideoRow(row)), s) for row, s in pairs]
        return sorted(found, key=lambda candidate: (-candidate.score, candidate.video_id))
