"""Draws what a training step sees: seen videos beside unseen ones. Knows interactions, no model."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from training.data.dataset import Csr, Interactions, Mask, Rows

# After so many rounds of rejection the few users left have seen nearly everything.
REJECTION_ROUNDS: Final = 16


class Batch(NamedTuple):
    """`users` and `positives`, each (B,), and the `negatives` of the step.

    Negatives drawn for each user are (B,) and unmet. Negatives shared by all users are (N,), and
    `met` = (place in users, place in negatives) lists the pairs to leave out.
    """

    users: Rows
    positives: Rows
    negatives: Rows
    met: tuple[Rows, Rows] | None


class Sampler:
    """Goes through every training interaction once an epoch, in random order.

    Negatives are uniform over the videos with any training interaction. (Cold videos are none: the
    model would learn to bury what nobody could have watched.) Users who met every warm video are
    left out: there is nothing to tell apart.
    """

    def __init__(self, train: Interactions, *, users: int, videos: int) -> None:
        """Index `train` over `users` user rows and `videos` video rows."""
        self._user_count = users
        by_video = np.bincount(train.videos, minlength=videos)
        self._warm = np.flatnonzero(by_video)
        usable = (np.bincount(train.users, minlength=users) < len(self._warm))[train.users]
        # Nearly always all are: then there is no need of a copy.
        everyone = bool(usable.all())
        self._users = train.users if everyone else train.users[usable]
        self._positives = train.videos if everyone else train.videos[usable]
        # One sorted array answers both questions: who met a video, and whether a user has.
        self._met = Interactions(train.videos, train.users).keys(users)
        self._met_by_video = Csr(np.concatenate([[0], np.cumsum(by_video)]), self._met)

    def __len__(self) -> int:
        """Return the number of interactions in an epoch."""
        return len(self._users)

    def pairwise(self, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield an epoch of batches in which every user has a negative of its own."""
        for users, positives in self._positives_in(batch_size, rng):
            yield Batch(users, positives, self.negatives(users, rng), None)

    def shared(self, batch_size: int, negatives: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield an epoch of batches whose users share `negatives` different videos."""
        count = min(negatives, len(self._warm))
        for users, positives in self._positives_in(batch_size, rng):
            drawn = rng.choice(self._warm, count, replace=False)
            yield Batch(users, positives, drawn, self._met_among(users, drawn))

    def _met_among(self, users: Rows, videos: Rows) -> tuple[Rows, Rows]:
        """Return all (place in `users`, place in `videos`) that have met.

        From the videos' side: active users fill a batch, and their histories are long.
        """
        audience = self._met_by_video.of(videos) % self._user_count
        columns = np.repeat(np.arange(len(videos)), self._met_by_video.counts(videos))
        order = np.argsort(users, kind="stable")
        distinct, begins, counts = np.unique(users[order], return_index=True, return_counts=True)
        # Zeros are only written where they are not: a sum over all users would take longer.
        first, times = (np.zeros(self._user_count, np.int64) for _ in range(2))
        first[distinct], times[distinct] = begins, counts
        first, times = first[audience], times[audience]
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        return order[np.repeat(first, times) + within], np.repeat(columns, times)

    def _positives_in(
        self, batch_size: int, rng: np.random.Generator
    ) -> Iterator[tuple[Rows, Rows]]:
        order = rng.permutation(len(self._users))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield self._users[chosen], self._positives[chosen]

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
        keys = videos * self._user_count + users
        places = np.searchsorted(self._met, keys)
        found: Mask = self._met[np.minimum(places, len(self._met) - 1)] == keys
        return found
