"""Answers with videos: for a user, or like a video. Knows one view; nothing of HTTP or logs."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from models.ids import UserId, VideoId
from service.catalog import retrieval
from service.catalog.bar import Bar
from service.catalog.batching import retrieve_many
from service.catalog.facets import Filter
from service.catalog.index import Floats
from service.catalog.representing import fold_in
from service.catalog.retrieval import Candidate
from service.catalog.view import View
from service.recommend.diversity import diversified, pool_size
from service.recommend.exploring import with_fresh
from service.recommend.fallback import popular_then_fresh
from service.recommend.recommendation import Recommendation, Source
from service.recommend.request import Request, Wanted
from service.steps import Step, unwatched

# A list is quick if it is not longer, a search scores no more rows, and no more was met of late.
QUICK_K: Final = 100
QUICK_ROWS: Final = 20_000
QUICK_HISTORY: Final = 300


def recommend(view: View, request: Request, step: Step = unwatched) -> list[Recommendation]:
    """Return the best live videos that were not met before and are as asked for, best first.

    Who has no vector gets what is popular, then what is fresh. Where places are promised to
    arrivals or diversity is asked for, the order is that of choosing. The list is shorter than `k`
    only if there is nothing more to show. Each `step` is done within what that returns.
    """
    with step("represent"):
        vector = represent(view, request)
    with step("filter"):
        barred = bar_for_user(view, request)
    with step("retrieve"):
        pool = retrieve(view, request, vector, barred)
    with step("rank"):
        best = rank(view, request, pool)
        return with_fresh(view, request, vector, barred, best)


def recommend_many(view: View, requests: Sequence[Request]) -> list[list[Recommendation]]:
    """Return what `recommend` gives to each of `requests`, in one pass over what they share.

    They have one `k`, want no diversity and have had no page before.
    """
    vectors = [represent(view, request) for request in requests]
    bars = [bar_for_user(view, request) for request in requests]
    known = [(v, bar) for v, bar in zip(vectors, bars, strict=True) if v is not None]
    found: Iterator[list[tuple[VideoId, float]]] = iter(())
    if known:
        stacked = np.stack([vector for vector, _ in known])
        found = iter(retrieve_many(view, stacked, requests[0].k, [bar for _, bar in known]))
    lists = []
    for request, vector, barred in zip(requests, vectors, bars, strict=True):
        if vector is None:
            best = retrieve(view, request, vector, barred)
        else:
            source = _source(view, request)
            best = [Recommendation(video_id, score, source) for video_id, score in next(found)]
        lists.append(with_fresh(view, request, vector, barred, best))
    return lists


def recommend_similar(view: View, video_id: VideoId, wanted: Wanted) -> list[Recommendation]:
    """Return the live videos most like a live one, by cosine of their vectors.

    Raises:
        UnknownVideo: there is no such live video.
    """
    return _named(retrieval.nearest(view, video_id, wanted.k, bar=bar(view, wanted)), "similar")


def represent(view: View, request: Request) -> Floats | None:
    """Return the unit vector of a user, (D,): as trained, moved by what they met since.

    None of a user who was not trained and has met nothing that says anything.
    """
    trained = view.user_vector(request.user_id)
    interactions = view.trained_interactions(request.user_id)
    met = view.experience(request.user_id, request.session)
    if not len(met.weights):
        return trained if interactions else None
    return fold_in(
        view.snapshot.geometry,
        met.vectors,
        met.weights,
        trained=trained,
        interactions=interactions,
    )


def retrieve(
    view: View, request: Request, vector: Floats | None, barred: Bar
) -> list[Recommendation]:
    """Return the best videos that are not `barred` and were on no former page, best first."""
    wanted = pool_size(request.k, request.diversity)
    if vector is None:
        found = popular_then_fresh(view, barred.mask(), wanted, unshown=request.unshown)
        return [Recommendation(*item) for item in found]
    candidates = retrieval.retrieve(view, vector, wanted + len(request.shown), bar=barred)
    named = _named(candidates, _source(view, request))
    if request.shown:
        named = [one for one in named if request.unshown(one.video_id)]
    return named[:wanted]


def rank(view: View, request: Request, pool: list[Recommendation]) -> list[Recommendation]:
    """Return those of the `pool` that make the list, in its order."""
    if not request.diversity:
        return pool[: request.k]
    rows = np.array([view.row(one.video_id) for one in pool], dtype=np.int64)
    scores = np.array([one.score for one in pool])
    chosen = diversified(scores, view.vectors(rows), request.k, request.diversity)
    return [pool[place] for place in chosen]


def bar(view: View, wanted: Wanted) -> Bar:
    """Return which rows must not be in the list: hidden, ended, seen, excluded, not as asked."""
    return _bar(view, wanted, wanted.seen_by, wanted.exclude)


def bar_for_user(view: View, request: Request) -> Bar:
    """Return the same for a user, who has also seen what is in the session."""
    met = (video_id for video_id, _ in request.session)
    barred = _bar(view, request, request.user_id, request.exclude.union(met))
    if request.exclude_own and request.user_id is not None:
        barred = barred.and_mask(view.matching(Filter(uploader=request.user_id)))
    return barred


def _bar(view: View, wanted: Wanted, seen_by: UserId | None, exclude: frozenset[VideoId]) -> Bar:
    barred = view.bar(wanted.now).and_rows(view.seen(seen_by))
    if exclude:
        rows = (view.row(video_id) for video_id in exclude)
        barred = barred.and_rows(np.array([row for row in rows if row is not None], dtype=np.int64))
    if wanted.matching:
        barred = barred.and_mask(~view.matching(wanted.matching))
    return barred


def _source(view: View, request: Request) -> Source:
    return "personal" if view.trained_interactions(request.user_id) else "fold_in"


def _named(candidates: list[Candidate], source: Source) -> list[Recommendation]:
    return [Recommendation(video_id, score, source) for _, video_id, score in candidates]


def is_quick(view: View, user_id: UserId, k: int) -> bool:
    """Tell whether a list for this user is a matter of tenths of a millisecond."""
    index = view.snapshot.index
    few = not index.remote and index.scanned <= QUICK_ROWS
    return few and k <= QUICK_K and len(view.history(user_id).videos) <= QUICK_HISTORY
