"""Cuts a data set in two: what a model is fitted on, and what it is told of later.

Knows rows and chance; nothing of models or formulas. Who is drawn depends on the `rng` alone.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from training.data.dataset import Dataset, Interactions, Mask, Rows
from training.data.split import hold_out_videos

SHARE = 0.2


class Newcomers(NamedTuple):
    """`known` has no interaction of the `users: (N,)`, who come later."""

    known: Dataset
    users: Rows


class Later(NamedTuple):
    """`known` lacks the interactions `since`, which come later."""

    known: Dataset
    since: Interactions


class Arrivals(NamedTuple):
    """`known` has no interaction of videos `in_val: (V,)` or `in_test: (V,)`, its arrivals.

    `viewers` are their interactions, each at random one of `places: (N,)` among those of its video.
    Those `judged: (N,)`, half of each video's, are never revealed.
    """

    known: Dataset
    in_val: Mask
    in_test: Mask
    viewers: Interactions
    places: Rows
    judged: Mask

    def revealed(self, count: int) -> Interactions:
        """Return the first `count` interactions of each arrival, fewer where it has no more."""
        return selected(self.viewers, ~self.judged & (self.places < count))


def newcomers(dataset: Dataset, rng: np.random.Generator) -> Newcomers:
    """Take a random fifth of the users out."""
    users = np.sort(rng.permutation(dataset.users)[: round(SHARE * dataset.users)])
    kept = np.ones(dataset.users, dtype=bool)
    kept[users] = False
    return Newcomers(of_users(dataset, kept, train=True), users)


def later(dataset: Dataset, rng: np.random.Generator) -> Later:
    """Take from a random half of the users a random half of their training interactions."""
    train = dataset.train
    chosen = rng.random(dataset.users) < 0.5  # noqa: PLR2004
    places = _places(train.users, rng.random(len(train)))
    since = chosen[train.users] & (places < np.bincount(train.users)[train.users] // 2)
    return Later(replace(dataset, train=selected(train, ~since)), selected(train, since))


def arrivals(dataset: Dataset, rng: np.random.Generator, order: np.random.Generator) -> Arrivals:
    """Take a random fifth of the videos out; `order` says who finds them first.

    Only viewers with a training interaction count: no one else has a vector to warm by.
    """
    known = hold_out_videos(dataset, SHARE, rng)
    held = known.cold & ~dataset.cold
    in_val = held & (np.bincount(known.val.videos, minlength=dataset.videos) > 0)
    everything = known.val.joined(known.test)
    trained = np.bincount(known.train.users, minlength=dataset.users) > 0
    viewers = selected(everything, held[everything.videos] & trained[everything.users])
    places = _places(viewers.videos, order.random(len(viewers)))
    half = np.bincount(viewers.videos, minlength=dataset.videos)[viewers.videos] // 2
    return Arrivals(known, in_val, held & ~in_val, viewers, places, places >= half)


def selected(interactions: Interactions, chosen: Mask) -> Interactions:
    """Return the `chosen: (N,)` ones."""
    return Interactions(interactions.users[chosen], interactions.videos[chosen])


def of_users(dataset: Dataset, kept: Mask, *, train: bool = False) -> Dataset:
    """Return `dataset` with val and test, and `train` if asked, of the users `kept: (U,)` alone."""
    return replace(
        dataset,
        train=selected(dataset.train, kept[dataset.train.users]) if train else dataset.train,
        val=selected(dataset.val, kept[dataset.val.users]),
        test=selected(dataset.test, kept[dataset.test.users]),
    )


def _places(groups: Rows, keys: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Rows:
    """Return the place of each of N within its group of `groups: (N,)`, ordered by `keys: (N,)`."""
    order = np.lexsort((keys, groups))
    counts = np.bincount(groups)
    places = np.empty(len(groups), dtype=np.int64)
    places[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places
