"""Lists that are for everybody: what is trending, what is fresh, and all there is, by id."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from heapq import nsmallest
from itertools import chain, islice
from typing import Final, Literal

import numpy as np

from eventlog.events import Kind
from models.ids import VideoId
from service.catalog.facets import Filter
from service.catalog.index import VideoRow
from service.catalog.view import View
from service.recommend.fallback import popular_then_fresh
from service.recommend.recommendation import Recommendation
from service.recommend.recommender import bar
from service.recommend.request import Wanted

Window = Literal["hour", "day", "week"]
SECONDS: Final[Mapping[Window, float]] = {"hour": 3600, "day": 86_400, "week": 604_800}


def recommend_trending(
    view: View, wanted: Wanted, window: Window, weights: Mapping[Kind, float]
) -> list[Recommendation]:
    """Return what found most users within the window, then what is popular, then what is fresh."""
    barred = bar(view, wanted).mask()
    scores = view.overlay.trends.scores(wanted.now, SECONDS[window], weights)
    trending = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = ((view.row(video_id), video_id, score) for video_id, score in trending)
    shown = ((row, v, score) for row, v, score in rows if row is not None and not barred[row])
    found = []
    for row, video_id, score in islice(shown, wanted.k):
        found.append(Recommendation(video_id, score, "trending"))
        barred[row] = True
    rest = popular_then_fresh(view, barred, wanted.k - len(found))
    return [*found, *(Recommendation(*item) for item in rest)]


def recommend_fresh(view: View, wanted: Wanted) -> list[Recommendation]:
    """Return what arrived since the bundle, the latest first; scores are who liked it."""
    rows = view.arrivals(bar(view, wanted).mask())[: wanted.k]
    ids = [view.video_id(VideoRow(row)) for row in rows.tolist()]
    gained = view.overlay.gained
    return [Recommendation(v, float(gained.get(v, 0)), "fresh") for v in ids]


def list_videos(view: View, matching: Filter, k: int, after: str) -> list[VideoId]:
    """Return the first `k` ids behind `after` of live videos, hidden ones too, in their order."""
    wanted = view.live & view.matching(matching) if matching else view.live
    ids, order = view.snapshot.bundle.video_ids, view.snapshot.by_id
    rest = order[bisect_right(order, after, key=lambda row: ids[row]) :]
    trained = rest[wanted[rest]][:k]
    offset, arrived = view.snapshot.manifest.videos, view.overlay.delta.ids
    places = np.flatnonzero(wanted[offset:]).tolist()
    behind: Iterator[VideoId] = (arrived[p] for p in places if arrived[p] > after)
    found = chain((VideoId(ids[row]) for row in trained.tolist()), nsmallest(k, behind))
    return sorted(found)[:k]
