"""Holding videos out makes arrivals of them, and loses no interaction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eventlog.position import Place, new_epoch
from tests.support.datasets import interactions
from tests.support.training_command import call
from training.data.dataset import SPLITS, Dataset
from training.data.folder import read_dataset
from training.data.folder_writer import write_dataset
from training.data.split import hold_out_videos
from training.data.synthetic import make_synthetic


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return make_synthetic(videos=100, users=60, seed=3)


def pairs(dataset: Dataset) -> set[tuple[int, int]]:
    parts = [dataset.interactions(split) for split in SPLITS]
    return {
        pair
        for part in parts
        for pair in zip(part.users.tolist(), part.videos.tolist(), strict=True)
    }


def test_held_out_videos_have_every_interaction_in_one_judged_split(sample: Dataset) -> None:
    held = hold_out_videos(sample, 0.4, np.random.default_rng(0))
    assert pairs(held) == pairs(sample)
    gone = np.setdiff1d(sample.train.videos, held.train.videos)
    assert len(gone) > 20
    in_val, in_test = np.isin(gone, held.val.videos), np.isin(gone, held.test.videos)
    assert (in_val != in_test).all()
    assert 0.3 < in_val.mean() < 0.7


def test_other_videos_keep_their_splits(sample: Dataset) -> None:
    held = hold_out_videos(sample, 0.2, np.random.default_rng(1))
    warm = np.unique(held.train.videos)
    for split in SPLITS:
        before, after = sample.interactions(split), held.interactions(split)
        kept = np.isin(before.videos, warm)
        assert set(zip(before.users[kept].tolist(), before.videos[kept].tolist(), strict=True)) == {
            (user, video)
            for user, video in zip(after.users.tolist(), after.videos.tolist(), strict=True)
            if video in warm
        }


def test_the_same_seed_holds_out_the_same_videos(sample: Dataset) -> None:
    first, again, other = (
        hold_out_videos(sample, 0.2, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.train.videos, again.train.videos)
    assert not np.array_equal(first.train.videos, other.train.videos)


def test_what_a_log_has_told_is_carried_along(tmp_path: Path, sample: Dataset) -> None:
    position = Place(new_epoch(), 3).position
    seen = [(0, video) for video in range(100) if (0, video) not in pairs(sample)][:5]
    told = replace(sample, seen=interactions(seen), hidden=np.array([2, 50]), log_position=position)
    write_dataset(tmp_path / "sample", told)
    done = call("hold-out", tmp_path / "sample", tmp_path / "held")
    assert done.exit_code == 0, done.output
    found = read_dataset(tmp_path / "held")
    assert set(found.seen.videos.tolist()) == {video for _, video in seen}
    assert found.hidden.tolist() == [2, 50]
    assert found.log_position == position


def test_the_command_writes_a_dataset_folder(tmp_path: Path, sample: Dataset) -> None:
    write_dataset(tmp_path / "sample", sample)
    done = call("hold-out", tmp_path / "sample", tmp_path / "held", "--share", "0.3")
    assert done.exit_code == 0, done.output
    assert read_dataset(tmp_path / "held").cold.sum() >= 30
