"""Grouping by user, and what a dataset says of itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.datasets import dataset_of, interactions, random_features


@given(
    pairs=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 9))),
    asked=st.lists(st.integers(0, 6)),
)
def test_grouping_gives_each_user_their_videos_ascending(
    pairs: set[tuple[int, int]], asked: list[int]
) -> None:
    csr = interactions(pairs).by_user(7)
    expected = [video for user in asked for video in sorted(v for u, v in pairs if u == user)]
    assert csr.of(np.array(asked, dtype=np.int64)).tolist() == expected


def test_a_video_nobody_trained_on_is_cold() -> None:
    dataset = dataset_of(users=2, videos=4, train=[(0, 0), (1, 0), (1, 2)], test=[(0, 3)])
    assert dataset.popularity.tolist() == [2, 0, 1, 0]
    assert dataset.cold.tolist() == [False, True, False, True]


def test_features_are_joined_in_modality_order() -> None:
    features = random_features(3, {"textual": 2, "visual": 1})
    dataset = dataset_of(users=1, videos=3, train=[(0, 0)], features=features)
    assert list(dataset.feature_dims.items()) == [("visual", 1), ("textual", 2)]
    np.testing.assert_array_equal(dataset.joined_features[:, :1], features["visual"])
