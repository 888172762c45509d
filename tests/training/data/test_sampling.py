"""Negatives are videos the user has not met, and every interaction has its turn."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.datasets import interactions
from training.data.dataset import Interactions
from training.data.sampling import TripleSampler

TRAIN = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda pairs: interactions(sorted(pairs))
)


def met(train: Interactions) -> set[tuple[int, int]]:
    return set(zip(train.users.tolist(), train.videos.tolist(), strict=True))


def drawn(train: Interactions, *, batch_size: int = 7, seed: int = 0) -> list[tuple[int, int, int]]:
    sampler, rng = TripleSampler(train, videos=12), np.random.default_rng(seed)
    return [
        triple
        for batch in sampler.epoch(batch_size, rng)
        for triple in zip(*(rows.tolist() for rows in batch), strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(train=TRAIN, batch_size=st.integers(1, 70), seed=st.integers(0, 99))
def test_a_negative_is_warm_and_was_never_met(
    train: Interactions, batch_size: int, seed: int
) -> None:
    known, warm = met(train), set(train.videos.tolist())
    for user, positive, negative in drawn(train, batch_size=batch_size, seed=seed):
        assert (user, positive) in known
        assert (user, negative) not in known
        assert negative in warm


@settings(max_examples=150, deadline=None)
@given(train=TRAIN, batch_size=st.integers(1, 70))
def test_every_interaction_has_one_turn_an_epoch_but_those_of_users_who_met_everything(
    train: Interactions, batch_size: int
) -> None:
    warm = len(set(train.videos.tolist()))
    counts = Counter(train.users.tolist())
    expected = Counter(pair for pair in met(train) if counts[pair[0]] < warm)
    found = drawn(train, batch_size=batch_size)
    assert Counter((user, positive) for user, positive, _ in found) == expected
    assert len(TripleSampler(train, videos=12)) == len(found)


def test_who_met_all_but_one_gets_that_one() -> None:
    # 400 warm videos: rejection alone would hardly ever find the one that is left.
    train = interactions([(0, video) for video in range(400) if video != 123] + [(1, 123)])
    sampler = TripleSampler(train, videos=500)
    triples = next(iter(sampler.epoch(10_000, np.random.default_rng(0))))
    assert set(triples.negatives[triples.users == 0].tolist()) == {123}
    assert 123 not in triples.negatives[triples.users == 1]


def test_nobody_is_left_when_everybody_met_everything() -> None:
    train = interactions([(user, video) for user in range(3) for video in range(4)])
    assert drawn(train) == []


def test_negatives_and_order_are_new_in_every_epoch() -> None:
    train = interactions(
        [(user, (user * 3 + step) % 50) for user in range(50) for step in range(5)]
    )
    sampler, rng = TripleSampler(train, videos=50), np.random.default_rng(0)
    first, second = (next(iter(sampler.epoch(1000, rng))) for _ in range(2))
    order = [np.lexsort((triples.positives, triples.users)) for triples in (first, second)]
    assert (first.positives[order[0]] == second.positives[order[1]]).all()
    assert (first.negatives[order[0]] != second.negatives[order[1]]).mean() > 0.8
    assert (first.users != second.users).any()


def test_the_same_seed_draws_the_same_triples() -> None:
    train = interactions([(user, (user + step) % 12) for user in range(9) for step in range(4)])
    assert drawn(train, seed=5) == drawn(train, seed=5)
    assert drawn(train, seed=5) != drawn(train, seed=6)


def test_unmet_warm_videos_are_drawn_alike_often() -> None:
    train = interactions([(0, 0), *((1, video) for video in range(10))])
    sampler = TripleSampler(train, videos=20)
    found = Counter(sampler.negatives(np.zeros(9000, int), np.random.default_rng(0)).tolist())
    assert set(found) == set(range(1, 10))
    assert all(count == pytest.approx(1000, rel=0.15) for count in found.values())
