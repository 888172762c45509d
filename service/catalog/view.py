"""One consistent picture of the catalog: a snapshot and an overlay. A request pins one.

Knows which videos are live, where they are and what is near; nothing of who may see what.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ids import UserId, VideoId
from service.catalog.index import Floats, Mask, Rows, VideoRow, contenders
from service.catalog.overlay import NO_HISTORY, Overlay
from service.catalog.snapshot import Snapshot
from service.errors import UnknownVideo
from eventlog.log import Position

# A single-precision inner product goes wrong by less than this share of the two lengths multiplied.
FLOAT32_SLACK: Final = 1e-5
Doubles = NDArray[np.float64]


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
            rows.update(row for row in map(self.row, replaced) if row is not None)
        history = self.overlay.histories.get(user_id, NO_HISTORY)
        rows.update(row for row in map(self.row, history.videos) if row is not None)
        return rows

    def retrieve(
        self, vector: Floats, k: int, *, hidden: AbstractSet[VideoRow] = frozenset()
    ) -> list[Candidate]:
        """Return the `k` best live rows that are not `hidden`, best first, ties by id.

        Scores are inner products with `vector: (D,)`; video vectors have unit length. The search is
        in single precision, whose last bits depend on what else is in the matrix; what comes near
        the cut is scored again in double precision, row by row, so that every replica gives the
        same list and the same numbers.
        """
        if k < 1:
            return []
        offset, delta = self.snapshot.manifest.videos, self.overlay.delta
        barred = np.concatenate([self.overlay.blocked, delta.dead])
        barred[np.fromiter(hidden, dtype=np.int64, count=len(hidden))] = True
        scores = delta.vectors[: delta.count] @ vector
        scores[barred[offset:]] = -np.inf
        slack = FLOAT32_SLACK * float(np.linalg.norm(vector))
        arrived = contenders(scores, k, slack) + offset
        rows = np.concatenate([self._retrieve_base(vector, k, barred[:offset], slack), arrived])
        return self._ranked(rows, _products(self.vectors(rows), vector), k)

    def _retrieve_base(self, vector: Floats, k: int, barred: Mask, slack: float) -> Rows:
        """Return the `k` best snapshot rows that are not barred, and those within `slack` of them.

        Filtering after the search must not shorten the list, however much is barred: ask for more
        until enough is found, and look at every row where the index has no more to give.
        """
        fetch = k + 1
        while True:
            found = self.snapshot.index.retrieve(vector, fetch)
            kept = found[~barred[found]]
            if len(found) < min(fetch, len(barred)):
                scores = self.snapshot.vectors @ vector
                scores[barred] = -np.inf
                return contenders(scores, k, slack)
            if fetch >= len(barred):
                return kept
            if len(kept) > k:
                scores = self.snapshot.vectors[kept] @ vector
                if scores[-1] < scores[k - 1] - slack:
                    return kept
            fetch = max(4 * fetch, k + 2 * (len(found) - len(kept)))

    def nearest(self, video_id: VideoId, k: int) -> list[Candidate]:
        """Return the `k` live videos of largest cosine with a live video, itself left out.

        Raises:
            UnknownVideo: there is no such live video.
        """
        row = self.row(video_id)
        if row is None:
            raise UnknownVideo(video_id)
        return self.retrieve(self.vectors(np.array([row]))[0], k, hidden={row})

    def by_popularity(self) -> Iterator[tuple[VideoRow, int]]:
        """Yield live rows and their training interactions, most first, then arrivals, newest first.

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

    def _ranked(self, rows: Rows, scores: Doubles, k: int) -> list[Candidate]:
        """Return the `k` best of `rows` by `scores`, both (N,), ties by id."""
        best = contenders(scores, k, slack=0)
        pairs = zip(rows[best].tolist(), scores[best].tolist(), strict=True)
        found = [Candidate(VideoRow(row), self.video_id(VideoRow(row)), s) for row, s in pairs]
        return sorted(found, key=lambda candidate: (-candidate.score, candidate.video_id))[:k]


def _products(rows: Floats, vectors: Floats) -> Doubles:
    """Return the inner products of `rows: (N, D)` with `vectors: (N, D)` or with one, (D,): (N,).

    Summed row by row: unlike a matrix product, the sum never depends on the other rows.
    """
    products: Doubles = (rows.astype(np.float64) * vectors).sum(axis=1)
    return products
