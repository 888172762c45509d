"""Judges vectors that follow what is revealed later, beside those that do not.

Knows how a data set is cut and how vectors move; nothing of how models are fitted or tables look.
Every revealed interaction is a like of weight 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Literal, NamedTuple

import numpy as np

from benchmarks.revealing import arrivals, later, newcomers, of_users, selected
from models.geometry import Geometry, survey
from service.catalog.representing import fold_in, warmed
from training.data.dataset import Csr, Dataset, Floats, Interactions, Mask, Rows, Split
from training.evaluate import Scorer, evaluate, inner_products, rank, recall_by_user
from training.untrained.popularity import Popularity

REVEALED: Final = (1, 2, 5, 10)
# Constants are chosen on one side, and figures told of the other.
Side = Literal["choosing", "telling"]
Vectors = tuple[Floats, Floats]
# Fits a model on a data set and returns its vectors of users and videos; the name says which cut.
Fit = Callable[[str, Dataset], Vectors]


class Judged(NamedTuple):
    """What a row of a table says: `recalls: (U,)` is recall@20 of each user, nan for the others.

    `against` is the row it is set against, if any.
    """

    label: str
    against: str | None
    figures: dict[str, float]
    recalls: Floats


def folded_newcomers(dataset: Dataset, fit: Fit, seed: int, side: Side) -> Iterator[Judged]:
    """Judge users who were never trained, folded in, beside the same users trained as others are.

    Constants are chosen on their validation interactions; test tells.
    """
    cut = newcomers(dataset, np.random.default_rng(seed))
    split: Split = "val" if side == "choosing" else "test"
    chosen = np.zeros(dataset.users, dtype=bool)
    chosen[cut.users] = np.bincount(dataset.train.users, minlength=dataset.users)[cut.users] > 0
    judged = of_users(dataset, chosen)
    trained = "trained with the others"
    yield _judged(trained, None, judged, split, inner_products(*fit("full", dataset)))
    yield _judged("most popular", trained, judged, split, Popularity(cut.known).scores)
    users, videos = fit("newcomers", cut.known)
    geometry = _geometry(cut.known, users, videos)
    moved = _followed(geometry, (users, videos), None, dataset.train, np.flatnonzero(chosen))
    yield _judged("folded in", trained, judged, split, inner_products(moved, videos))


def known_users(dataset: Dataset, fit: Fit, seed: int, side: Side) -> Iterator[Judged]:
    """Judge trained users who did more since, with and without it, on test.

    Once the validation interactions came since, once half of the training interactions of half of
    the users. Constants are chosen on one half of the users; the other half tells.
    """
    half = np.random.default_rng([seed, 1]).random(dataset.users) < 0.5  # noqa: PLR2004
    if side == "telling":
        half = ~half
    cut = later(dataset, np.random.default_rng(seed))
    for name, what, known, since in (
        ("full", "validation since", dataset, dataset.val),
        ("later", "half since", cut.known, cut.since),
    ):
        old = np.bincount(known.train.users, minlength=dataset.users)
        new = np.bincount(since.users, minlength=dataset.users)
        chosen = half & (old > 0) & (new > 0)
        judged = of_users(dataset, chosen)
        if not len(judged.test):
            continue
        users, videos = fit(name, known)
        geometry = _geometry(known, users, videos)
        moved = _followed(geometry, (users, videos), old, since, np.flatnonzero(chosen))
        before, after = inner_products(users, videos), inner_products(moved, videos)
        yield _judged(f"{what}: ignored", None, judged, "test", before)
        yield _judged(f"{what}: followed", f"{what}: ignored", judged, "test", after)


def warmed_arrivals(dataset: Dataset, fit: Fit, seed: int, side: Side) -> Iterator[Judged]:
    """Judge videos that were never trained, with and without their first viewers.

    The unrevealed half of each arrival's interactions is judged beside the test interactions of
    trained videos. Constants are chosen on arrivals of validation; those of test tell.
    """
    cut = arrivals(dataset, np.random.default_rng(seed), np.random.default_rng([seed, 1]))
    users, videos = fit("arrivals", cut.known)
    geometry = _geometry(cut.known, users, videos)
    of_side = cut.in_val if side == "choosing" else cut.in_test
    warm = ~cut.known.cold
    test = selected(cut.known.test, warm[cut.known.test.videos])
    test = test.joined(selected(cut.viewers, cut.judged & of_side[cut.viewers.videos]))
    for count in REVEALED:
        seen = cut.revealed(count)
        val = selected(cut.known.val, warm[cut.known.val.videos])
        judged = replace(cut.known, val=val, test=test, seen=dataset.seen.joined(seen))
        moved = _warmed(geometry, (users, videos), seen)
        before, after = inner_products(users, videos), inner_products(users, moved)
        yield _judged(f"{count}: content alone", None, judged, "test", before)
        yield _judged(f"{count}: warmed", f"{count}: content alone", judged, "test", after)


def _geometry(known: Dataset, users: Floats, videos: Floats) -> Geometry:
    trained: Mask = np.bincount(known.train.users, minlength=known.users) > 0
    return survey(users[trained], videos)


def _followed(
    geometry: Geometry, vectors: Vectors, old: Rows | None, since: Interactions, rows: Rows
) -> Floats:
    """Return the user vectors, those of `rows: (N,)` moved by `since`.

    `old: (U,)` tells of how many interactions each vector was trained; None for users without one.
    """
    users, videos = vectors[0].copy(), vectors[1]
    met: Csr = since.by_user(len(users))
    for row in rows.tolist():
        liked = videos[met.videos[met.starts[row] : met.starts[row + 1]]]
        prior = {} if old is None else {"trained": users[row], "interactions": int(old[row])}
        moved = fold_in(geometry, liked, np.ones(len(liked)), **prior)
        users[row] = 0 if moved is None else moved
    return users


def _warmed(geometry: Geometry, vectors: Vectors, seen: Interactions) -> Floats:
    """Return the video vectors, arrivals moved by who has `seen` them."""
    users, videos = vectors[0], vectors[1].copy()
    gained = np.zeros(videos.shape)
    np.add.at(gained, seen.videos, users[seen.users] - geometry.typical)
    for row in np.unique(seen.videos).tolist():
        videos[row] = warmed(videos[row], gained[row])
    return videos


def _judged(
    label: str, against: str | None, dataset: Dataset, split: Split, scorer: Scorer
) -> Judged:
    ranking = rank(dataset, split, scorer)
    told = evaluate(dataset, split, scorer, ranking)
    figures = {
        f"{metric} {group.replace('_', ' ')}": told[group][metric]
        for group, metric in (
            ("overall", "recall@20"),
            ("overall", "ndcg@20"),
            ("warm", "recall@20"),
            ("cold", "recall@20"),
            ("cold_among_cold", "recall@20"),
        )
        if metric in told[group]
    }
    return Judged(label, against, figures, recall_by_user(dataset, split, ranking))
