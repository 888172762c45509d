"""What may be asked of the recommender. Knows ids and numbers; nothing of views or HTTP."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from models.ids import UserId, VideoId
from service.catalog.facets import Filter

DEFAULT_K: Final = 20
# Bytes that stand for a video which was shown. That one of a million videos is taken for one of a
# thousand shown happens to one list in 280,000.
MARK_BYTES: Final = 6
# So many places may be paged through.
MAX_SHOWN: Final = 1400


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
class Exploring:
    """What share of places arrivals get at least, and when a video no longer counts as new.

    Its chances halve with every `half_life` seconds of age and with every `viewers` users who met
    it. `seed` draws who is shown; without one, user and position do.
    """

    share: float = 0.0
    half_life: float = 86_400.0
    viewers: float = 20.0
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request(Wanted):
    """A list for a user, or for somebody without a name who has met videos in this `session`.

    The session is videos and the weights they were met with, oldest first. `diversity` is from 0,
    the best videos, to 1, the most different ones. `shown` are the marks of videos on former pages.
    With `explained` it is to be said why each video is there.
    """

    user_id: UserId | None = None
    exclude_own: bool = False
    session: tuple[tuple[VideoId, float], ...] = ()
    diversity: float = 0.0
    exploring: Exploring = field(default_factory=Exploring)
    shown: frozenset[bytes] = frozenset()
    explained: bool = False

    def unshown(self, video_id: VideoId) -> bool:
        """Tell whether a video was on no former page."""
        return not self.shown or mark_of(video_id) not in self.shown


def mark_of(video_id: VideoId) -> bytes:
    """Return a few bytes that stand for a video on all replicas and bundles."""
    return blake2b(video_id.encode(), digest_size=MARK_BYTES).digest()


def marks_in(joined: bytes) -> list[bytes]:
    """Return the marks that stand one behind the other in `joined`."""
    return [joined[start : start + MARK_BYTES] for start in range(0, len(joined), MARK_BYTES)]
