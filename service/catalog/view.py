"""One consistent picture of the catalog: a snapshot and an overlay. A request pins one.

Knows which videos are live, where they are and what is near; nothing of who may see what.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import chain
from itertools import count as counting
from math import sqrt
from typing import Any, Final, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from eventlog.position import Position
from models.bundle.metadata import moment_of
from models.ids import UserId, VideoId
from service.catalog.bar import NO_ROWS, Bar
from service.catalog.delta import NEVER
from service.catalog.facets import Facets, Filter
from service.catalog.index import Doubles, Floats, Mask, Rows, UserRow, VideoRow, contenders
from service.catalog.overlay import NO_HISTORY, History, Overlay, settled
from service.catalog.snapshot import Snapshot
from service.errors import UnknownVideo

# A single-precision inner product goes wrong by less than this share of the two lengths multiplied.
FLOAT32_SLACK: Final = 1e-5
T = TypeVar("T", np.bool_, np.float64)
# So many rows are scored one by one faster than looked for among the others.
FEW_ROWS: Final = 4096
# Looking for more than this share of all rows is slower than scoring all of them.
LARGEST_SHARE: Final = 0.5
# So many arrivals are compared as fast as a part of them is picked out.
FEW_ARRIVALS: Final = 4096
# So many times K are looked for beyond K where as many were seen.
EXPECTED_SEEN: Final = 3
# Rows in order of popularity are looked at in chunks of this size, doubled each time.
FIRST_CHUNK: Final = 1024


class Candidate(NamedTuple):
    """A live video and how well it suits a vector."""

    row: VideoRow
    video_id: VideoId
    score: float


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
        return self.rows - self.overlay.gone - self._dead_arrivals

    @cached_property
    def _dead_arrivals(self) -> int:
        return int(np.count_nonzero(self.overlay.delta.dead))

    @property
    def few_arrivals(self) -> bool:
        """Whether all arrivals are compared rather than those of some cells."""
        # Live ones decide: how many dead ones are still there differs between replicas.
        return self.overlay.delta.count - self._dead_arrivals <= FEW_ARRIVALS

    @cached_property
    def _bar(self) -> Bar:
        """Rows that must not be recommended."""
        arrived = self.overlay.delta.barred
        barred = self.overlay.closed + int(np.count_nonzero(arrived))
        return Bar(self.overlay.barred, arrived, self.rows - barred, NO_ROWS)

    def bar(self, now: float) -> Bar:
        """Return which rows must not be recommended at `now`: hidden, gone, or at their end."""
        if not self._perishable:
            return self._bar
        since, until, bar = self._ended
        if not since <= now < until:
            ends = self._spread(Facets.ends)
            later = ends[ends > now]
            bar = self._bar.and_mask(ends <= now)
            # Of use until the next end; what others work out at the same time is as good.
            self.__dict__["_ended"] = (now, float(later.min()) if len(later) else np.inf, bar)
        return bar

    @cached_property
    def _ended(self) -> tuple[float, float, Bar]:
        return np.inf, -np.inf, self._bar

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

    def retrieve(self, vector: Floats, k: int, *, bar: Bar | None = None) -> list[Candidate]:
        """Return the `k` best rows without a `bar`, best first, ties by id.

        Hidden and dead rows are barred unless a bar is given, which must hold these too.
        Scores are inner products with `vector: (D,)`; video vectors have unit length. The search is
        in single precision, whose last bits depend on what else is in the matrix; what comes near
        the cut is scored again in double precision, row by row, so that every replica gives the
        same list and the same numbers.
        """
        bar = bar or self._bar
        if k < 1:
            return []
        if bar.at_least_open <= FEW_ROWS:
            return self._ranked(np.flatnonzero(~bar.mask()), vector, k)
        slack = FLOAT32_SLACK * sqrt(vector @ vector)
        rows = self._retrieve_base(vector, k, bar, slack)
        if self.overlay.delta.count:
            rows = np.concatenate([rows, self.arrivals_near(vector, k, bar, slack)])
        return self._ranked(rows, vector, k)

    def scores(self, rows: Rows, vector: Floats) -> Doubles:
        """Return the inner products of `rows: (N,)` with `vector: (D,)`: (N,)."""
        return products(self.vectors(rows), vector)

    def _retrieve_base(self, vector: Floats, k: int, bar: Bar, slack: float) -> Rows:
        """Return the `k` best snapshot rows that are not barred, and those within `slack` of them.

        Filtering after the search must not shorten the list, however much is barred: ask for more
        until enough is found, and look at every row where the index has no more to give.
        """
        index, videos = self.snapshot.index, self.snapshot.manifest.videos
        wanted, effort = index.refine * k + 1, 1
        fetch = wanted + expected_barred(wanted, k, len(bar.rows))
        while effort * index.scanned < LARGEST_SHARE * videos or effort == 1:
            found, scores = index.retrieve(vector, fetch, effort=effort)
            open_ = ~bar.bars(found)
            kept, scores = found[open_], scores[open_]
            # What the cells hold that were looked into, not how much was asked for, decides how
            # far is looked: with others in one search more is asked for.
            all_there = len(found) < min(fetch, videos)
            if index.refine > 1 and len(kept) >= wanted:
                kept = kept[:wanted]
                return kept[contenders(self.snapshot.vectors[kept] @ vector, k, slack)]
            if index.refine == 1 and len(kept) > k:
                cut = scores[k - 1] - slack
                if all_there or scores[-1] < cut:
                    near: Rows = kept[scores >= cut]
                    return near
            if all_there:
                effort *= 4
                continue
            if fetch >= videos:
                return kept
            fetch = max(4 * fetch, wanted + 2 * (len(found) - len(kept)))
        scores = self.snapshot.vectors @ vector
        scores[bar.mask()[:videos]] = -np.inf
        return contenders(scores, k, slack)

    def arrivals_near(self, vector: Floats, k: int, bar: Bar, slack: float) -> Rows:
        """Return the rows of the `k` best arrivals, and those within `slack` of them.

        Where there are many, and the index of the snapshot looks into some cells, arrivals of these
        cells are looked at. That is a matter of vectors and numbers alone, not of when this replica
        learnt of them.
        """
        delta, videos = self.overlay.delta, self.snapshot.manifest.videos
        if not delta.count:
            return NO_ROWS
        probed = None if self.few_arrivals else self.snapshot.index.probed_cells(vector)
        if probed is not None:
            places = delta.within(probed)
            places = places[~bar.bars(places + videos)]
            if len(places) >= k:
                near = contenders(delta.vectors[places] @ vector, k, slack)
                return places[near] + videos
        scores = delta.vectors[: delta.count] @ vector
        scores[bar.bars(np.arange(videos, self.rows))] = -np.inf
        return contenders(scores, k, slack) + videos

    def nearest(self, video_id: VideoId, k: int, *, bar: Bar | None = None) -> list[Candidate]:
        """Return the `k` videos of largest cosine with a live video, it and barred ones left out.

        Raises:
            UnknownVideo: there is no such live video.
        """
        row = self.row(video_id)
        if row is None:
            raise UnknownVideo(video_id)
        vector = self.vectors(np.array([row]))[0]
        return self.retrieve(vector, k, bar=(bar or self._bar).and_rows(np.array([row])))

    def by_popularity(self, barred: Mask | None = None) -> Iterator[tuple[VideoRow, int]]:
        """Yield rows that are not `barred` and how many users met them and were not put off.

        `barred: (V + count,)` are the hidden and dead rows, unless it is given. Most first, then
        arrivals that nobody met yet, newest first. A replaced video keeps its place: its popularity
        is a matter of its id.
        """
        barred = self._bar.mask() if barred is None else barred
        gained = self.overlay.gained
        steady = (
            (row, count) for row, video_id, count in self._trained(barred) if video_id not in gained
        )
        risen = (pair for pair in self._risen if not barred[pair[0]])
        yield from merge(steady, risen, key=lambda pair: -pair[1])
        for row in self.arrivals(barred).tolist():
            if self.video_id(VideoRow(row)) not in gained:
                yield VideoRow(row), 0

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

    def _trained(self, barred: Mask) -> Iterator[tuple[VideoRow, VideoId, int]]:
        """Yield row now, id and training interactions of what is not `barred`, most first."""
        counts, blocked = self.snapshot.bundle.popularity, self.overlay.blocked
        popular, start = self.snapshot.popular, 0
        for doublings in counting():
            chunk = popular[start : start + (FIRST_CHUNK << doublings)]
            if not len(chunk):
                return
            start += len(chunk)
            # Who was replaced lives in another row, which may be shown.
            for trained in chunk[~barred[chunk] | blocked[chunk]].tolist():
                video_id = self.snapshot.video_id(trained)
                row = self.row(video_id)
                if row is not None and not barred[row]:
                    yield row, video_id, int(counts[trained])

    @cached_property
    def _risen(self) -> list[tuple[VideoRow, int]]:
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

    def _ranked(self, rows: Rows, vector: Floats, k: int) -> list[Candidate]:
        """Return the `k` best of `rows: (N,)` by exact score, ties by id."""
        scores = self.scores(rows, vector)
        if len(rows) > 2 * k:
            best = contenders(scores, k, slack=0)
            rows, scores = rows[best], scores[best]
        ranked = sorted(zip((-scores).tolist(), self.video_ids(rows), rows.tolist(), strict=True))
        return [Candidate(VideoRow(row), name, -score) for score, name, row in ranked[:k]]


def expected_barred(wanted: int, k: int, barred: int) -> int:
    """Return how many rows to ask for beyond those `wanted`, where `barred` are barred from a user.

    What a user has seen is near them: some more at once is cheaper than another search.
    """
    return min(barred, max(wanted, EXPECTED_SEEN * k))


def products(rows: Floats, vectors: Floats) -> Doubles:
    """Return the inner products of `rows: (N, D)` with `vectors: (N, D)` or with one, (D,): (N,).

    Summed row by row: unlike a matrix product, the sum never depends on the other rows.
    """
    products: Doubles = (rows.astype(np.float64) * vectors).sum(axis=1)
    return products
