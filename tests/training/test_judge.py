"""A bundle is judged by ids, whatever the order of the rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.bundle.reader import read_bundle
from tests.support.bundles import write_small_bundle
from tests.support.datasets import dataset_of
from training.data.dataset import Dataset, Interactions
from training.data.synthetic import make_synthetic
from training.errors import InvalidDataset
from training.judge import judge


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    """Return the same dataset with users and videos in another order."""
    rng = np.random.default_rng(seed)
    users, videos = rng.permutation(dataset.users), rng.permutation(dataset.videos)
    to_user, to_video = np.argsort(users), np.argsort(videos)

    def moved(part: Interactions) -> Interactions:
        return Interactions(to_user[part.users], to_video[part.videos])

    return replace(
        dataset,
        user_ids=[dataset.user_ids[row] for row in users],
        video_ids=[dataset.video_ids[row] for row in videos],
        train=moved(dataset.train),
        val=moved(dataset.val),
        test=moved(dataset.test),
        features={name: matrix[videos] for name, matrix in dataset.features.items()},
        metadata=[],
    )


def test_the_order_of_the_rows_changes_no_figure(tmp_path: Path) -> None:
    sample = make_synthetic(videos=60, users=20, seed=0)
    bundle = read_bundle(tmp_path / write_small_bundle(tmp_path))
    found = judge(bundle, sample, "test")
    assert found["overall"] == bundle.manifest.metrics["overall"]
    for group, figures in judge(bundle, shuffled(sample, 1), "test").items():
        assert figures == pytest.approx(found[group])


def test_what_the_bundle_does_not_know_is_named(tmp_path: Path) -> None:
    bundle = read_bundle(tmp_path / write_small_bundle(tmp_path))
    stranger = dataset_of(users=3, videos=4, train=[(0, 0)], test=[(1, 1)])
    with pytest.raises(InvalidDataset, match="3 users are not in the bundle, the first is 'u0'"):
        judge(bundle, stranger, "test")
    known = replace(stranger, user_ids=bundle.user_ids[:3])
    with pytest.raises(InvalidDataset, match="4 videos are not in the bundle, the first is 'v0'"):
        judge(bundle, known, "test")
