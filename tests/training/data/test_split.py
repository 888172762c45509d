"""Each user's interactions are divided alone, the latest held out where times are known."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.dataset import SPLITS
from training.data.split import leave_last_out, split_by_user

USERS = st.lists(st.integers(0, 6), max_size=80).map(lambda rows: np.array(rows, dtype=np.int64))


def named(numbers: np.ndarray) -> list[str]:
    """The splits that `numbers` stand for."""
    return [SPLITS[number] for number in numbers]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (2, 0, 1)), (4, (3, 0, 1)), (5, (4, 0, 1)),
     (8, (6, 1, 1)), (10, (8, 1, 1)), (20, (16, 2, 2)), (100, (80, 10, 10))],
)  # fmt: skip
def test_of_n_interactions_so_many_go_to_each_split(
    count: int, expected: tuple[int, int, int]
) -> None:
    found = Counter(named(split_by_user(np.zeros(count, int), None, np.random.default_rng(0))))
    assert (found["train"], found["val"], found["test"]) == expected


@given(users=USERS)
def test_every_user_is_divided_alone_and_trains(users: np.ndarray) -> None:
    splits = np.array(named(split_by_user(users, None, np.random.default_rng(0))), dtype=object)
    assert len(splits) == len(users)
    for user in set(users.tolist()):
        found = Counter(splits[users == user].tolist())
        total = found.total()
        assert found["train"] == round(0.8 * total) >= 1
        assert 0 <= found["test"] - found["val"] <= 1


@given(users=USERS, data=st.data())
def test_nothing_held_out_is_earlier_than_what_trains(
    users: np.ndarray,
    data: st.DataObject,
) -> None:
    size = len(users)
    times = np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), int)
    splits = np.array(named(split_by_user(users, times, np.random.default_rng(0))), dtype=object)
    for user in set(users.tolist()):
        mine = {
            name: times[(users == user) & (splits == name)] for name in ("train", "val", "test")
        }
        held = np.concatenate([mine["val"], mine["test"]])
        if len(held):
            assert mine["train"].max() <= held.min()
        if len(mine["val"]) and len(mine["test"]):
            assert mine["val"].max() <= mine["test"].min()


def test_without_times_chance_decides_and_is_seeded() -> None:
    users = np.repeat(np.arange(5), 20)
    first, again, other = (
        named(split_by_user(users, None, np.random.default_rng(seed))) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (7, (5, 1, 1))]
)
def test_the_last_of_n_goes_to_test_and_the_one_before_to_val(
    count: int, expected: tuple[int, int, int]
) -> None:
    found = Counter(named(leave_last_out(np.zeros(count, int), None)))
    assert (found["train"], found["val"], found["test"]) == expected


@given(users=USERS, data=st.data())
def test_each_user_s_last_is_held_out_by_time_or_by_row(
    users: np.ndarray, data: st.DataObject
) -> None:
    times = np.array(data.draw(st.permutations(range(len(users)))), dtype=np.int64)
    for order, splits in (
        (times, named(leave_last_out(users, times))),
        (np.arange(len(users)), named(leave_last_out(users, None))),
    ):
        for user in set(users.tolist()):
            mine = np.flatnonzero(users == user)
            last = [splits[row] for row in mine[np.argsort(order[mine])]][::-1]
            held = ["test", "val"] if len(last) > 2 else ["test"] if len(last) > 1 else []
            assert last == held + ["train"] * (len(last) - len(held))
