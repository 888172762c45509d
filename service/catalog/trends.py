"""The newest interactions, in columns: who met what, how, when. Knows no rows and no scores.

Columns only ever grow at their end and are shared by all of one line, as those of the delta are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count as counting
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eventlog.events import KINDS, Kind
from models.ids import UserId, VideoId

# So many interactions are looked at; up to twice as many are held.
KEPT: Final = 100_000
# The kind of an interaction whose user was erased.
FORGOTTEN: Final = len(KINDS)
_CODES: Final = {kind: code for code, kind in enumerate(KINDS)}


@dataclass(frozen=True, eq=False)
class Trends:
    """Interactions, oldest first; those of this line are the first `count` of the columns.

    `videos`, `users` and `kinds` are numbers; `ids` has the video of each number.
    """

    videos: NDArray[np.int32]
    users: NDArray[np.int32]
    kinds: NDArray[np.int8]
    times: NDArray[np.float64]
    ids: list[VideoId]
    video_codes: dict[VideoId, int]
    user_codes: dict[UserId, int]
    user_numbers: Iterator[int]
    count: int

    @classmethod
    def empty(cls, room: int = 256) -> "Trends":
        """Return no interactions, with room for some."""
        return cls(
            videos=np.empty(room, np.int32),
            users=np.empty(room, np.int32),
            kinds=np.empty(room, np.int8),
            times=np.empty(room, np.float64),
            ids=[],
            video_codes={},
            user_codes={},
            user_numbers=counting(),
            count=0,
        )

    def grown(self, user_id: UserId, video_id: VideoId, kind: Kind, moment: float) -> "Trends":
        """Return these and one more interaction."""
        trends = self if self.count < len(self.times) else self._roomier()
        video = trends.video_codes.setdefault(video_id, len(trends.ids))
        if video == len(trends.ids):
            trends.ids.append(video_id)
        if user_id not in trends.user_codes:
            trends.user_codes[user_id] = next(trends.user_numbers)
        place = trends.count
        trends.videos[place] = video
        trends.users[place] = trends.user_codes[user_id]
        trends.kinds[place] = _CODES[kind]
        trends.times[place] = moment
        return replace(trends, count=place + 1)

    def without(self, user_id: UserId) -> "Trends":
        """Return these without what one user did."""
        if user_id not in self.user_codes:
            return self
        kinds = self.kinds.copy()
        kinds[: self.count][self.users[: self.count] == self.user_codes[user_id]] = FORGOTTEN
        codes = {user: code for user, code in self.user_codes.items() if user != user_id}
        return replace(self, kinds=kinds, user_codes=codes)

    def scores(
        self, now: float, window: float, weights: Mapping[Kind, float]
    ) -> dict[VideoId, float]:
        """Return the sum of what users made of each video within `window` seconds before `now`.

        What a user did last with a video counts, by the weight of its kind; kinds without one are
        passed over. It counts half a quarter of the window later. Only sums above 0 are returned.
        """
        newest = slice(max(0, self.count - KEPT), self.count)
        by_kind = np.array([*(weights.get(kind, np.nan) for kind in KINDS), np.nan])
        weighed = by_kind[self.kinds[newest]]
        # Another process wrote it, by a clock that may be ahead of ours.
        ages = np.maximum(0.0, now - self.times[newest])
        counted = np.flatnonzero((ages < window) & ~np.isnan(weighed))
        videos, users = self.videos[newest][counted], self.users[newest][counted]
        pairs = videos.astype(np.int64) << 32 | users
        last = len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]
        places = counted[np.sort(last)]
        decayed = weighed[places] * np.exp2(-ages[places] / (window / 4))
        sums = np.bincount(self.videos[newest][places], decayed)
        return {self.ids[code]: float(sums[code]) for code in np.flatnonzero(sums > 0).tolist()}

    def _roomier(self) -> "Trends":
        """Return the newest of these with room for more; what is too old is dropped."""
        kept = slice(max(0, self.count - KEPT), self.count)
        size = kept.stop - kept.start
        fresh = Trends.empty(2 * size)
        known = self.videos[kept]
        used, fresh.videos[:size] = np.unique(known, return_inverse=True)
        fresh.users[:size] = self.users[kept]
        fresh.kinds[:size] = self.kinds[kept]
        fresh.times[:size] = self.times[kept]
        ids = [self.ids[code] for code in used.tolist()]
        users = set(self.users[kept].tolist())
        return replace(
            fresh,
            ids=ids,
            video_codes={video_id: code for code, video_id in enumerate(ids)},
            user_codes={user: code for user, code in self.user_codes.items() if code in users},
            user_numbers=self.user_numbers,
            count=size,
        )
