"""The answer without a vector: what is popular, then what is fresh. Knows one view."""

from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Literal, NamedTuple

from models.ids import VideoId
from service.catalog.index import VideoRow
from service.catalog.view import View


class FallbackItem(NamedTuple):
    """A video and its number of training interactions."""

    video_id: VideoId
    score: float
    source: Literal["popular", "fresh"]


def popular_then_fresh(view: View, hidden: AbstractSet[VideoRow], k: int) -> list[FallbackItem]:
    """Return the `k` most popular live videos not `hidden`, then arrivals, newest first."""
    rows = ((row, count) for row, count in view.by_popularity() if row not in hidden)
    return [
        FallbackItem(view.video_id(row), float(count), "popular" if count else "fresh")
        for row, count in islice(rows, k)
    ]
