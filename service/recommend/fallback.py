"""The answer without a vector: what is popular, then what is fresh. Knows one view."""

from collections.abc import Callable
from itertools import islice
from typing import Literal, NamedTuple

from models.ids import VideoId
from service.catalog.index import Mask
from service.catalog.popularity import by_popularity
from service.catalog.view import View


class FallbackItem(NamedTuple):
    """A video and its number of training interactions."""

    video_id: VideoId
    score: float
    source: Literal["popular", "fresh"]


def popular_then_fresh(
    view: View, barred: Mask, k: int, *, unshown: Callable[[VideoId], bool] = lambda _: True
) -> list[FallbackItem]:
    """Return the `k` most popular videos not `barred`, then arrivals, newest first.

    Only those that are `unshown` yet.
    """
    found = ((view.video_id(row), count) for row, count in by_popularity(view, barred))
    return [
        FallbackItem(video_id, float(count), "popular" if count else "fresh")
        for video_id, count in islice((pair for pair in found if unshown(pair[0])), k)
    ]
