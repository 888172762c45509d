"""What the log adds to a snapshot: arrivals, deletions, histories. Immutable.

Knows what is the case; how an event changes it is `service.catalog.edit`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from immutables import Map
from numpy.typing import NDArray

from eventlog.position import Position
from models.ids import UserId, VideoId
from service.catalog.delta import Delta
from service.catalog.facets import GrownFacets
from service.catalog.index import Floats, Mask, VideoRow
from service.catalog.snapshot import Snapshot
from service.catalog.trends import Trends

# Entries that could not be applied are named up to this number; all are counted.
NAMED_FAULTS: Final = 20


def settled(before: float, weight: float) -> float:
    """Return what a video weighs for a user who has met it, and now meets it with `weight`."""
    # A like that is followed by a view is still a like; what is disliked is so until liked.
    return max(before, weight) if weight >= 0 and before >= 0 else weight


class Met(NamedTuple):
    """How a user met a video: the place of the last time in their history, and its weight."""

    place: int
    weight: float


class History(NamedTuple):
    """What one user met since the bundle. `recent` are the last videos met, oldest first."""

    videos: Map[VideoId, Met]
    recent: tuple[VideoId, ...]
    length: int


NO_HISTORY: Final = History(Map(), (), 0)


class LiveVideo(NamedTuple):
    """A video of which the log tells: its row in the snapshot, or the serial of its delta row.

    Of one in the delta, the entry of the log that follows `before` holds the features.
    """

    trained: VideoRow | None
    serial: int
    before: Position
    metadata: Mapping[str, Any]
    feature_digest: int


class Warmth(NamedTuple):
    """What viewers have made of an arrival: its content vector (D,) and the sum of theirs (D,)."""

    content: Floats
    gained: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Retold:
    """What the log tells of snapshot rows in the place of the bundle; of a row, the last counts.

    `rows` and `facets` only ever grow, and are shared: the first `count` are of this overlay.
    """

    rows: list[VideoRow]
    facets: GrownFacets
    count: int


class Quarantined(NamedTuple):
    """An entry of the log that could not be applied."""

    position: Position
    fault: str


@dataclass(frozen=True, eq=False)
class Overlay:
    """All that happened up to `position`.

    `videos` were put or told of since the bundle and are live. `unreadable` ones are not: the
    bundle's network cannot read their features. `hidden` are live and must not be recommended.
    `gained` counts users who met a video since the bundle and liked what they saw; `viewers` those
    who met an arrival, whatever they made of it. `moment` is that of the last event. `erased` users
    are of the bundle and are no longer known. `blocked: (V,)` snapshot rows were replaced or
    deleted, `gone` in number; `barred: (V,)` are those and the hidden ones, `closed` in number.
    """

    position: Position
    videos: Map[VideoId, LiveVideo]
    unreadable: Map[VideoId, Position]
    hidden: Map[VideoId, None]
    histories: Map[UserId, History]
    warmth: Map[VideoId, Warmth]
    gained: Map[VideoId, int]
    viewers: Map[VideoId, int]
    moment: float
    trends: Trends
    erased: Map[UserId, None]
    delta: Delta
    retold: Retold
    blocked: Mask
    gone: int
    barred: Mask
    closed: int
    quarantined: int
    quarantine: tuple[Quarantined, ...]

    @classmethod
    def empty(cls, snapshot: Snapshot, position: Position) -> "Overlay":
        """Return the overlay of a log that holds nothing behind `position`."""
        hidden = snapshot.bundle.hidden
        return cls(
            position=position,
            videos=Map(),
            unreadable=Map(),
            hidden=Map((snapshot.video_id(VideoRow(int(r))), None) for r in np.flatnonzero(hidden)),
            histories=Map(),
            warmth=Map(),
            gained=Map(),
            viewers=Map(),
            moment=0.0,
            trends=Trends.empty(),
            erased=Map(),
            delta=Delta.empty(snapshot.manifest.vector_dim),
            retold=Retold([], GrownFacets(), 0),
            blocked=np.zeros(snapshot.manifest.videos, dtype=bool),
            gone=0,
            barred=np.array(hidden, dtype=bool),
            closed=int(np.count_nonzero(hidden)),
            quarantined=0,
            quarantine=(),
        )
