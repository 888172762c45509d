"""Makes a user's list again, step by step, and compares it with exact search. Knows one view."""

import time
from collections import Counter as CountedBy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np

from service.catalog.bar import Bar
from service.catalog.index import Floats, Rows, VideoRow
from service.catalog.retrieval import retrieve
from service.catalog.view import View
from service.recommend.recommender import bar_for_user, recommend, represent
from service.recommend.request import Request

# So many filtered videos are asked why; a filter of the caller's may leave out a million.
ASKED: Final = 1000
# Scores so near to the last place are as good.
TIE: Final = 1e-6


class Compared(NamedTuple):
    """The best `expected` videos by exact search: how many were `found`, what stood between."""

    expected: int
    found: int
    filtered: Mapping[str, int]
    top_score: float


class Inspection(NamedTuple):
    """How long each step took, and how the list compares; None without a vector or a place."""

    seconds: Mapping[str, float]
    compared: Compared | None


def inspect(view: View, request: Request) -> Inspection:
    """Make the list that `request` got, and look at it."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds[step] = time.perf_counter() - began

    recommend(view, request, timed)
    vector = represent(view, request)
    if vector is None:
        return Inspection(seconds, None)
    return Inspection(seconds, _compare(view, request, vector, bar_for_user(view, request)))


def _compare(view: View, request: Request, vector: Floats, barred: Bar) -> Compared | None:
    scores = _all_scores(view, vector)
    closed = barred.mask()
    open_scores = np.where(closed, -np.inf, scores)
    expected = min(request.k, int(np.count_nonzero(~closed)))
    if not expected:
        return None
    last = float(np.partition(open_scores, -expected)[-expected])
    found = retrieve(view, vector, expected, bar=barred)
    right = sum(scores[one.row] >= last - TIE for one in found)
    before: Rows = np.flatnonzero(closed & (scores > last))[:ASKED]
    reasons = _reasons(view, request, before)
    return Compared(expected, int(right), reasons, float(open_scores.max()))


def _all_scores(view: View, vector: Floats) -> Floats:
    delta = view.overlay.delta
    arrived = delta.vectors[: delta.count] @ vector
    return np.concatenate([view.snapshot.vectors @ vector, arrived])


def _reasons(view: View, request: Request, rows: Rows) -> dict[str, int]:
    """Count why `rows: (N,)` are not in the list, each by the first reason there is."""
    seen = set(view.seen(request.user_id).tolist())
    excluded = request.exclude.union(video_id for video_id, _ in request.session)
    reasons = []
    for row in rows.tolist():
        video_id = view.video_id(VideoRow(row))
        if not view.live[row]:
            reasons.append("gone")
        elif (state := view.state(video_id, request.now)) != "live":
            reasons.append(state)
        elif row in seen:
            reasons.append("seen")
        else:
            reasons.append("excluded" if video_id in excluded else "mismatch")
    return dict(CountedBy(reasons))
