"""What may be asked of the recommender. Knows ids and numbers; nothing of views or HTTP."""

from dataclasses import dataclass, field
from typing import Final

from models.ids import UserId, VideoId
from service.catalog.facets import Filter

DEFAULT_K: Final = 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A list of videos: how long, and which videos may be in it, at which moment.

    `seen_by` names a user whose seen videos are left out.
    """

    now: float
    k: int = DEFAULT_K
    exclude: frozenset[VideoId] = frozenset()
    matching: Filter = field(default_factory=Filter)
    seen_by: UserId | None = None


@dataclass(frozen=True, kw_only=True)
class Request(Wanted):
    """A list for a user, or for somebody without a name who has met videos in this `session`.

    The session is videos and the weights they were met with, oldest first.
    """

    user_id: UserId | None = None
    exclude_own: bool = False
    session: tuple[tuple[VideoId, float], ...] = ()
