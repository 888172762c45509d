"""Draws (user, seen video, unseen video) triples. Knows interactions; nothing of models."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from training.data.dataset import Interactions, Mask, Rows

# After so many rounds of rejection the few users left have seen nearly everything.
REJECTION_ROUNDS: Final = 16


class Triples(NamedTuple):
    """A batch: `users`, `positives`, `negatives`, each (B,)."""

    users: Rows
    positives: Rows
    negatives: Rows


class TripleSampler:
    """Draws an epoch of triples: every training interaction once, beside a fresh negative.

    A negative is uniform over the videos with any training interaction that this user has not met.
    (Cold videos are no negatives: the model would learn to bury what nobody could have watched.)
    """

    def __init__(self, train: Interactions, *, videos: int) -> None:
        """Index `train` over `videos` video rows; users who met every warm video are left out."""
        self._videos = videos
        self._warm = np.unique(train.videos)
        counts = np.bincount(train.users)
        usable = counts[train.users] < len(self._warm)
        self._users, self._positives = train.users[usable], train.videos[usable]
        self._met = np.sort(train.users * videos + train.videos)

    def __len__(self) -> int:
        """Return the number of triples in an epoch."""
        return len(self._users)

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[Triples]:
        """Yield the triples of one epoch in random order, `batch_size` at a time."""
        order = rng.permutation(len(self._users))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            users = self._users[chosen]
            yield Triples(users, self._positives[chosen], self.negatives(users, rng))

    def negatives(self, users: Rows, rng: np.random.Generator) -> Rows:
        """Return for each of `users: (B,)` a warm video that the user has not met: (B,)."""
        drawn = rng.choice(self._warm, len(users))
        clash = np.flatnonzero(self._has_met(users, drawn))
        for _ in range(REJECTION_ROUNDS):
            if not len(clash):
                return drawn
            drawn[clash] = rng.choice(self._warm, len(clash))
            clash = clash[self._has_met(users[clash], drawn[clash])]
        for place in clash:
            unmet = self._warm[~self._has_met(users[place], self._warm)]
            drawn[place] = rng.choice(unmet)
        return drawn

    def _has_met(self, users: Rows, videos: Rows) -> Mask:
        keys = users * self._videos + videos
        places = np.searchsorted(self._met, keys)
        found: Mask = self._met[np.minimum(places, len(self._met) - 1)] == keys
        return found
