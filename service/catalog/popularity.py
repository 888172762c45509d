"""Orders the videos of a view by how many users met them. Knows counts; nothing of vectors."""

from collections.abc import Iterator
from heapq import merge
from itertools import count as counting
from typing import Final

from models.ids import VideoId
from service.catalog.index import Mask, VideoRow
from service.catalog.view import View

# Rows in order of popularity are looked at in chunks of this size, doubled each time.
FIRST_CHUNK: Final = 1024


def by_popularity(view: View, barred: Mask | None = None) -> Iterator[tuple[VideoRow, int]]:
    """Yield rows that are not `barred` and how many users met them and were not put off.

    `barred: (V + count,)` are the hidden and dead rows, unless it is given. Most first, then
    arrivals that nobody met yet, newest first. A replaced video keeps its place: its popularity
    is a matter of its id.
    """
    barred = view.standing_bar.mask() if barred is None else barred
    gained = view.overlay.gained
    steady = (
        (row, count) for row, video_id, count in _trained(view, barred) if video_id not in gained
    )
    risen = (pair for pair in view.risen if not barred[pair[0]])
    yield from merge(steady, risen, key=lambda pair: -pair[1])
    for row in view.arrivals(barred).tolist():
        if view.video_id(VideoRow(row)) not in gained:
            yield VideoRow(row), 0


def _trained(view: View, barred: Mask) -> Iterator[tuple[VideoRow, VideoId, int]]:
    """Yield row now, id and training interactions of what is not `barred`, most first."""
    counts, blocked = view.snapshot.bundle.popularity, view.overlay.blocked
    popular, start = view.snapshot.popular, 0
    for doublings in counting():
        chunk = popular[start : start + (FIRST_CHUNK << doublings)]
        if not len(chunk):
            return
        start += len(chunk)
        # Who was replaced lives in another row, which may be shown.
        for trained in chunk[~barred[chunk] | blocked[chunk]].tolist():
            video_id = view.snapshot.video_id(trained)
            row = view.row(video_id)
            if row is not None and not barred[row]:
                yield row, video_id, int(counts[trained])
