"""The answer without a vector: what is popular, then what is fresh. Knows one view."""

from itertools import islice
from typing import Literal, NamedTuple

from models.ids import VideoId
from service.catalog.index import Mask
from service.catalog.view import View


class FallbackItem(NamedTuple):
    """A video and its number of training interactions."""

    video_id: VideoId
    score: float
    source: Literal["popular", "fresh"]


def popular_then_fresh(view: View, barred: Mask, k: int) -> list[FallbackItem]:
    """Return the `k` most popular videos not `barred`, then arrivals, newest first."""
    return [
        FallbackItem(view.video_id(row), float(count), "popular" if count else "fresh")
        for row, count in islice(view.by_popularity(barred), k)
    ]
