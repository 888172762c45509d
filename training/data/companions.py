"""Draws videos that one user met, one of which is to be told by the others.

Knows interactions; no model.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Interactions, Rows

# Users drawn for a step, and how many of the videos of one of them stand for all at most.
USERS_A_STEP: Final = 512
OTHERS_AT_MOST: Final = 8


class CompanionBatch(NamedTuple):
    """A video of each of N users, and others of theirs.

    `wanted: (N,)` are video rows. `others: (K,)` are video rows too, of the users in the places
    `owners: (K,)`, ascending; none is the one wanted there.
    """

    wanted: Rows
    others: Rows
    owners: Rows


class Companions:
    """All videos of each user, and draws of them. A user counts once, however much they met."""

    def __init__(self, train: Interactions, *, users: int) -> None:
        """Group `train` by its `users` user rows."""
        met = train.by_user(users)
        self._starts = met.starts
        # Half the memory: there is one for every interaction.
        self._videos: NDArray[np.int32] = met.videos.astype(np.int32)
        self._several = np.flatnonzero(np.diff(met.starts) > 1)

    def __len__(self) -> int:
        """Return how many users have met more than one video."""
        return len(self._several)

    def draw(self, rng: np.random.Generator) -> CompanionBatch:
        """Draw users who met several videos, evenly, and what they met."""
        users = self._several[rng.integers(len(self._several), size=USERS_A_STEP)]
        begins, counts = self._starts[users], self._starts[users + 1] - self._starts[users]
        place = rng.integers(counts)
        owners = np.repeat(np.arange(len(users)), np.minimum(counts - 1, OTHERS_AT_MOST))
        # Steps from the wanted one, round about: all of them, or as many as are drawn.
        first = np.searchsorted(owners, owners)
        steps = np.arange(len(owners)) - first
        many = counts[owners] - 1 > OTHERS_AT_MOST
        steps[many] = rng.integers(counts[owners[many]] - 1)
        others = begins[owners] + (place[owners] + 1 + steps) % counts[owners]
        wanted = self._videos[begins + place].astype(np.int64)
        return CompanionBatch(wanted, self._videos[others].astype(np.int64), owners)

    def grouped(self) -> tuple[Rows, NDArray[np.int32]]:
        """Return where each user's videos begin, and all videos, one user's after another's."""
        return self._starts, self._videos
