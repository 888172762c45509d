"""The sample holds what it promises: tastes, a long tail, gaps, arrivals; and it repeats."""

from pathlib import Path

import numpy as np
import pytest

from training.data.dataset import SPLITS, Dataset
from training.data.folder_writer import write_dataset
from training.data.synthetic import TOPIC_NAMES, make_synthetic
from training.errors import TrainingError
from training.evaluate import evaluate, inner_products
from training.untrained.popularity import Popularity


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return make_synthetic(videos=600, users=400, seed=0)


def same(first: Dataset, second: Dataset) -> bool:
    parts = [(first.interactions(split), second.interactions(split)) for split in SPLITS]
    return (
        first.metadata == second.metadata
        and all(np.array_equal(first.features[m], second.features[m]) for m in first.features)
        and all(np.array_equal(a.users, b.users) for a, b in parts)
        and all(np.array_equal(a.videos, b.videos) for a, b in parts)
    )


def test_a_seed_repeats_and_another_differs() -> None:
    first, again, other = (make_synthetic(videos=60, users=20, seed=seed) for seed in (4, 4, 5))
    assert same(first, again)
    assert not same(first, other)


def test_popularity_has_a_long_tail(sample: Dataset) -> None:
    counts = np.sort(sample.popularity[~sample.cold])[::-1]
    tenth = len(counts) // 10
    assert counts[:tenth].sum() > 0.25 * counts.sum()
    assert np.median(counts) < counts.mean()


def test_some_modalities_are_missing_and_never_all_of_one_video(sample: Dataset) -> None:
    missing = (~sample.present).mean(axis=0)
    assert (missing > 0.01).all()
    assert (missing < 0.15).all()
    assert sample.present.any(axis=1).all()


def test_arrivals_are_held_out_and_judged(sample: Dataset) -> None:
    assert 0.04 < sample.cold.mean() < 0.12
    for split in ("val", "test"):
        assert sample.cold[sample.interactions(split).videos].sum() > 20


def test_every_user_trains_and_no_pair_occurs_twice(sample: Dataset) -> None:
    assert set(sample.train.users.tolist()) == set(range(sample.users))
    whole = sample.train.joined(sample.val).joined(sample.test)
    keys = whole.users * sample.videos + whole.videos
    assert len(np.unique(keys)) == len(keys)


def test_the_split_is_about_eighty_ten_ten(sample: Dataset) -> None:
    sizes = np.array([len(sample.interactions(split)) for split in SPLITS])
    np.testing.assert_allclose(sizes / sizes.sum(), [0.77, 0.115, 0.115], atol=0.03)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_planted_taste_tells_more_than_popularity(seed: int) -> None:
    sample = make_synthetic(videos=600, users=400, seed=seed)
    topics = np.zeros((sample.videos, len(TOPIC_NAMES)), np.float32)
    for row, metadata in enumerate(sample.metadata):
        for tag in metadata["tags"]:
            topics[row, TOPIC_NAMES.index(tag)] = 1
    # A user's taste, read off the tags of what trained; popularity breaks ties.
    tastes = np.zeros((sample.users, len(TOPIC_NAMES)), np.float32)
    np.add.at(tastes, sample.train.users, topics[sample.train.videos])
    tastes /= tastes.sum(1, keepdims=True).clip(min=1)
    appeal = (sample.popularity / sample.popularity.max())[:, None].astype(np.float32)
    users = np.column_stack([tastes, np.full(sample.users, 0.5, np.float32)])
    by_taste = evaluate(sample, "test", inner_products(users, np.column_stack([topics, appeal])))
    by_popularity = evaluate(sample, "test", Popularity(sample).scores)
    assert by_taste["overall"]["recall@20"] > 1.3 * by_popularity["overall"]["recall@20"]
    assert by_taste["cold"]["recall@20"] > by_popularity["cold"]["recall@20"]


def test_features_tell_the_topics_and_one_video_of_another(sample: Dataset) -> None:
    joined = sample.joined_features
    assert len(np.unique(joined, axis=0)) == sample.videos
    scales = np.concatenate([m[m.any(axis=1)].std(0) for m in sample.features.values()])
    assert scales.max() / scales.min() > 5  # raw scales differ, as they do in the field


def test_the_smallest_sample_is_a_valid_dataset(tmp_path: Path) -> None:
    assert write_dataset(tmp_path / "d", make_synthetic(videos=50, users=10, seed=0)).videos == 50


@pytest.mark.parametrize(("videos", "users"), [(49, 100), (100, 9), (0, 0), (-1, 5)])
def test_a_sample_too_small_for_tastes_is_refused(videos: int, users: int) -> None:
    with pytest.raises(TrainingError, match="at least 50 videos and 10 users"):
        make_synthetic(videos=videos, users=users, seed=0)
