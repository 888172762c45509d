"""Negatives are warm and unmet or known to be met, and every interaction has its turn."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.datasets import interactions
from training.data.dataset import Interactions
from training.data.sampling import Batch, Sampler

TRAIN = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda pairs: interactions(sorted(pairs))
)


def met(train: Interactions) -> set[tuple[int, int]]:
    return set(zip(train.users.tolist(), train.videos.tolist(), strict=True))


def drawn(train: Interactions, *, batch_size: int = 7, seed: int = 0) -> list[tuple[int, int, int]]:
    sampler, rng = Sampler(train, users=8, videos=12), np.random.default_rng(seed)
    found = []
    for batch in sampler.pairwise(batch_size, rng):
        assert batch.met is None
        parts = (batch.users, batch.positives, batch.negatives)
        found += list(zip(*(rows.tolist() for rows in parts), strict=True))
    return found


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
    assert len(Sampler(train, users=8, videos=12)) == len(found)


def test_who_met_all_but_one_gets_that_one() -> None:
    # 400 warm videos: rejection alone would hardly ever find the one that is left.
    train = interactions([(0, video) for video in range(400) if video != 123] + [(1, 123)])
    sampler = Sampler(train, users=2, videos=500)
    triples = next(iter(sampler.pairwise(10_000, np.random.default_rng(0))))
    assert set(triples.negatives[triples.users == 0].tolist()) == {123}
    assert 123 not in triples.negatives[triples.users == 1]


def test_nobody_is_left_when_everybody_met_everything() -> None:
    train = interactions([(user, video) for user in range(3) for video in range(4)])
    assert drawn(train) == []


def test_negatives_and_order_are_new_in_every_epoch() -> None:
    train = interactions(
        [(user, (user * 3 + step) % 50) for user in range(50) for step in range(5)]
    )
    sampler, rng = Sampler(train, users=50, videos=50), np.random.default_rng(0)
    first, second = (next(iter(sampler.pairwise(1000, rng))) for _ in range(2))
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
    sampler = Sampler(train, users=2, videos=20)
    found = Counter(sampler.negatives(np.zeros(9000, int), np.random.default_rng(0)).tolist())
    assert set(found) == set(range(1, 10))
    assert all(count == pytest.approx(1000, rel=0.15) for count in found.values())


def shared(
    train: Interactions, *, batch_size: int = 7, negatives: int = 5, seed: int = 0
) -> list[Batch]:
    sampler = Sampler(train, users=8, videos=12)
    return list(sampler.shared(batch_size, negatives, np.random.default_rng(seed)))


def met_in(batch: Batch) -> list[tuple[int, int]]:
    assert batch.met is not None
    rows, columns = (places.tolist() for places in batch.met)
    return list(zip(rows, columns, strict=True))


@settings(max_examples=150, deadline=None)
@given(train=TRAIN, batch_size=st.integers(1, 70), negatives=st.integers(1, 15))
def test_the_pairs_left_out_are_exactly_those_that_met_in_training(
    train: Interactions, batch_size: int, negatives: int
) -> None:
    known = met(train)
    for batch in shared(train, batch_size=batch_size, negatives=negatives):
        expected = [
            (row, column)
            for row, user in enumerate(batch.users.tolist())
            for column, video in enumerate(batch.negatives.tolist())
            if (user, video) in known
        ]
        assert sorted(met_in(batch)) == expected


@settings(max_examples=150, deadline=None)
@given(train=TRAIN, batch_size=st.integers(1, 70), negatives=st.integers(1, 15))
def test_shared_negatives_are_warm_and_different_and_as_many_as_asked_if_there_are(
    train: Interactions, batch_size: int, negatives: int
) -> None:
    warm = set(train.videos.tolist())
    for batch in shared(train, batch_size=batch_size, negatives=negatives):
        assert set(batch.negatives.tolist()) <= warm
        assert len(set(batch.negatives.tolist())) == len(batch.negatives)
        assert len(batch.negatives) == min(negatives, len(warm))


@settings(max_examples=150, deadline=None)
@given(train=TRAIN, batch_size=st.integers(1, 70))
def test_with_shared_negatives_too_every_interaction_has_one_turn_an_epoch(
    train: Interactions, batch_size: int
) -> None:
    batches = shared(train, batch_size=batch_size)
    found = Counter(
        pair
        for batch in batches
        for pair in zip(batch.users.tolist(), batch.positives.tolist(), strict=True)
    )
    warm, counts = len(set(train.videos.tolist())), Counter(train.users.tolist())
    assert found == Counter(pair for pair in met(train) if counts[pair[0]] < warm)
    assert all(len(batch.users) <= batch_size for batch in batches)


def test_shared_negatives_are_drawn_alike_often_and_anew_in_every_step() -> None:
    train = interactions([(user, (user + step) % 10) for user in range(8) for step in range(4)])
    batches = [
        b for seed in range(300) for b in shared(train, batch_size=8, negatives=3, seed=seed)
    ]
    counts = Counter(video for batch in batches for video in batch.negatives.tolist())
    assert set(counts) == set(range(10))
    expected = 3 * len(batches) / 10
    assert all(count == pytest.approx(expected, rel=0.2) for count in counts.values())
    assert len({tuple(sorted(batch.negatives.tolist())) for batch in batches[:4]}) > 1
