"""What is drawn together was met by one user, and every user has an equal chance."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.datasets import interactions
from training.data.companions import (
    OTHERS_AT_MOST,
    USERS_A_STEP,
    CompanionBatch,
    Companions,
)
from training.data.dataset import Interactions

USERS, VIDEOS = 8, 40
TRAIN = st.sets(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, VIDEOS - 1)), min_size=1, max_size=120
).map(lambda pairs: interactions(sorted(pairs)))


def companions(train: Interactions) -> Companions:
    return Companions(train, users=USERS)


def by_user(train: Interactions) -> dict[int, set[int]]:
    return {user: set(train.videos[train.users == user].tolist()) for user in range(USERS)}


def others_of(batch: CompanionBatch, place: int) -> list[int]:
    found: list[int] = batch.others[batch.owners == place].tolist()
    return found


@settings(max_examples=80, deadline=None)
@given(train=TRAIN, seed=st.integers(0, 99))
def test_one_user_met_all_that_is_drawn_together(train: Interactions, seed: int) -> None:
    source, histories = companions(train), by_user(train)
    several = {user for user, met in histories.items() if len(met) > 1}
    assert len(source) == len(several)
    if not several:
        return
    batch = source.draw(np.random.default_rng(seed))
    assert len(batch.wanted) == USERS_A_STEP
    assert np.all(np.diff(batch.owners) >= 0)
    for place, wanted in list(enumerate(batch.wanted.tolist()))[:40]:
        others = others_of(batch, place)
        assert others
        assert wanted not in others
        assert any({wanted, *others} <= histories[user] for user in several)


def test_of_few_companions_all_are_drawn_once_and_of_many_so_many() -> None:
    few = [(0, video) for video in range(4)]
    many = [(1, video) for video in range(5, 35)]
    source = companions(interactions(few + many))
    batch = source.draw(np.random.default_rng(0))
    for place, wanted in enumerate(batch.wanted.tolist()):
        others = others_of(batch, place)
        if wanted < 5:
            assert sorted([*others, wanted]) == [0, 1, 2, 3]
        else:
            assert len(others) == OTHERS_AT_MOST


def test_users_count_alike_and_so_do_the_videos_of_one() -> None:
    train = interactions([(0, 0), (0, 1), *((1, video) for video in range(2, 32)), (2, 33)])
    source, rng = companions(train), np.random.default_rng(1)
    drawn = Counter(int(video) for _ in range(60) for video in source.draw(rng).wanted)
    total = 60 * USERS_A_STEP
    assert drawn[0] + drawn[1] == pytest.approx(total / 2, rel=0.05)
    assert drawn[0] == pytest.approx(total / 4, rel=0.05)
    assert 33 not in drawn
    assert set(range(2, 32)) <= set(drawn)


def test_the_same_state_of_chance_draws_the_same() -> None:
    source = companions(
        interactions([(user, (user * 3 + k) % 20) for user in range(6) for k in range(9)])
    )
    one, other = (source.draw(np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one.wanted, other.wanted)
    assert np.array_equal(one.others, other.others)
