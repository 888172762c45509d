"""Which users met which videos, and in which part: a base, and what a log makes of it.

Knows numbers of users and videos; nothing of ids, features or where events come from.
"""

from array import array
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import PARTS, Dataset, Interactions, Mask, Rows

# Interactions that wait at most until they are settled with all others.
WAITING: Final = 1 << 18
# A pair is one number: that of the user times this, and that of the video.
WIDTH: Final = 1 << 32
TRAIN, VAL, TEST, SEEN = range(len(PARTS))

Parts = NDArray[np.int8]


class Settled(NamedTuple):
    """Pairs of numbers, each once, ascending: `users`, `videos` and `parts` (in `PARTS`), (N,)."""

    users: Rows
    videos: Rows
    parts: Parts

    def at(self, kept: Mask) -> "Settled":
        """Return the pairs that `kept: (N,)` selects."""
        return Settled(self.users[kept], self.videos[kept], self.parts[kept])

    def of(self, part: int) -> Interactions:
        """Return the pairs of one part."""
        chosen = self.parts == part
        return Interactions(self.users[chosen], self.videos[chosen])


class Pairs:
    """The pairs of a base, changed by events one after the other.

    The last event of a pair says: one that was liked trains (or stays in val or test, where it has
    been all the time), one that was not is only seen. What waits takes bounded memory; what is
    settled takes nine bytes a pair.
    """

    def __init__(self, base: Dataset) -> None:
        """Begin with the pairs of `base`, whose rows are the first numbers."""
        parts = [base.train, base.val, base.test, base.seen]
        keys = np.concatenate([part.users * WIDTH + part.videos for part in parts])
        splits = np.repeat(np.arange(len(parts), dtype=np.int8), [len(part) for part in parts])
        order = np.argsort(keys)
        self._keys: Rows = keys[order]
        self._parts: Parts = splits[order]
        self._waiting = array("q")
        self._liked = bytearray()
        # Of who and what is gone: how many interactions waited when they went.
        self._users_gone: dict[int, int] = {}
        self._videos_gone: dict[int, int] = {}

    def met(self, user: int, video: int, *, liked: bool) -> None:
        """A user met a video."""
        self._waiting.append(user * WIDTH + video)
        self._liked.append(liked)
        if len(self._waiting) >= WAITING:
            self._settle()

    def forget_user(self, user: int) -> None:
        """All that a user has met up to now is gone."""
        self._users_gone[user] = len(self._waiting)

    def forget_video(self, video: int) -> None:
        """All that a video was met by up to now is gone."""
        self._videos_gone[video] = len(self._waiting)

    def settled(self) -> Settled:
        """Return all pairs as they are now."""
        self._settle()
        return Settled(*np.divmod(self._keys, WIDTH), self._parts)

    def _settle(self) -> None:
        """Bring what waits and what is gone together with all that was settled before."""
        users, videos = np.divmod(self._keys, WIDTH)
        kept = ~(np.isin(users, [*self._users_gone]) | np.isin(videos, [*self._videos_gone]))
        if not kept.all():
            self._keys, self._parts = self._keys[kept], self._parts[kept]
        keys = np.array(self._waiting, dtype=np.int64)
        users, videos = np.divmod(keys, WIDTH)
        places = np.arange(len(keys))
        alive = places >= np.maximum(
            _last(self._users_gone, users), _last(self._videos_gone, videos)
        )
        liked = np.frombuffer(bytes(self._liked), dtype=np.bool_)
        if alive.any():
            self._merge(keys[alive], liked[alive])
        self._waiting, self._liked = array("q"), bytearray()
        self._users_gone, self._videos_gone = {}, {}

    def _merge(self, keys: Rows, liked: Mask) -> None:
        order = np.argsort(keys, kind="stable")
        keys, liked = keys[order], liked[order]
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        lasts = np.append(firsts[1:], len(keys)) - 1
        always = np.logical_and.reduceat(liked, firsts)
        keys, liked = keys[firsts], liked[lasts]
        places = np.searchsorted(self._keys, keys)
        known = np.append(self._keys, -1)[places] == keys
        before = np.append(self._parts, np.int8(TRAIN))[places]
        judged = known & always & ((before == VAL) | (before == TEST))
        parts = np.where(judged, before, np.where(liked, TRAIN, SEEN)).astype(np.int8)
        self._parts[places[known]] = parts[known]
        self._keys = np.insert(self._keys, places[~known], keys[~known])
        self._parts = np.insert(self._parts, places[~known], parts[~known])


def _last(gone: dict[int, int], numbers: Rows) -> Rows:
    """Return for each of `numbers: (N,)` what `gone` says of it, 0 where it says nothing: (N,)."""
    if not gone:
        return np.zeros(len(numbers), np.int64)
    names = np.array([*gone], dtype=np.int64)
    order = np.argsort(names)
    names, values = names[order], np.array([*gone.values()], dtype=np.int64)[order]
    places = np.minimum(np.searchsorted(names, numbers), len(names) - 1)
    found: Rows = np.where(names[places] == numbers, values[places], 0)
    return found
