"""A dataset folder comes back as it was written."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlog.position import START, Place, new_epoch
from tests.support.datasets import dataset_of, random_features, two_tastes
from training.config import FitConfig
from training.data.dataset import SPLITS, Dataset
from training.data.folder import read_dataset
from training.data.folder_writer import write_dataset
from training.data.synthetic import make_synthetic
from training.errors import InvalidDataset, TrainingError
from training.loop import fit


def pairs_by_id(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    for split in SPLITS:
        part = dataset.interactions(split)
        for user, video in zip(part.users, part.videos, strict=True):
            yield split, dataset.user_ids[user], dataset.video_ids[video]


def test_everything_comes_back(tmp_path: Path) -> None:
    sample = make_synthetic(videos=80, users=30, seed=3)
    written = write_dataset(tmp_path / "sample", sample)
    found = read_dataset(tmp_path / "sample")
    assert sorted(pairs_by_id(found)) == sorted(pairs_by_id(sample))
    assert found.video_ids == sample.video_ids
    assert set(found.user_ids) == set(sample.user_ids)
    assert found.metadata == sample.metadata == written.metadata
    assert found.name == sample.name
    assert list(found.features) == list(sample.features)
    for modality, matrix in sample.features.items():
        assert found.features[modality].dtype == np.float32
        np.testing.assert_array_equal(found.features[modality], matrix)


def test_what_a_log_has_told_comes_back(tmp_path: Path) -> None:
    position = Place(new_epoch(), 7).position
    dataset = replace(
        dataset_of(users=3, videos=5, train=[(0, 0), (1, 1)], seen=[(0, 3), (2, 4)]),
        hidden=np.array([1, 4]),
        log_position=position,
    )
    found = write_dataset(tmp_path / "d", dataset, accept=["users_without_training"])
    met = zip(found.seen.users.tolist(), found.seen.videos.tolist(), strict=True)
    assert {(found.user_ids[u], found.video_ids[v]) for u, v in met} == {("u0", "v3"), ("u2", "v4")}
    assert found.hidden.tolist() == [1, 4]
    assert found.log_position == position
    assert [len(found.interactions(split)) for split in SPLITS] == [2, 0, 0]


def test_a_dataset_that_no_log_went_into_says_nothing_of_one(tmp_path: Path) -> None:
    found = write_dataset(tmp_path / "d", two_tastes())
    assert (len(found.seen), len(found.hidden), found.log_position) == (0, 0, START)
    assert "log_position" not in json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert "hidden" not in pq.read_schema(tmp_path / "d" / "videos.parquet").names


def test_metadata_may_be_sparse_and_of_any_script(tmp_path: Path) -> None:
    metadata = [{"title": "猫\u2028🐈", "tags": ["a", "b"]}, {}, {"uploader": "x", "tags": []}]
    dataset = replace(dataset_of(users=1, videos=3, train=[(0, 0)]), metadata=metadata)
    assert write_dataset(tmp_path / "d", dataset).metadata == metadata


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", two_tastes())
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    with pytest.raises(TrainingError, match="exists already"):
        write_dataset(tmp_path / "d", two_tastes())
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_a_dataset_that_breaks_the_format_is_not_written(tmp_path: Path) -> None:
    broken = dataset_of(users=1, videos=3, train=[(0, 0), (0, 0)])
    with pytest.raises(InvalidDataset, match="repeats row 0"):
        write_dataset(tmp_path / "d", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    broken = replace(two_tastes(), metadata=[{"title": object()}] * 60)
    with pytest.raises(pa.ArrowException):
        write_dataset(tmp_path / "d", broken)
    assert list(tmp_path.iterdir()) == []


def test_without_a_split_column_each_users_last_interactions_are_held_out(tmp_path: Path) -> None:
    dataset = dataset_of(users=2, videos=20, train=[(u, v) for u in range(2) for v in range(20)])
    times = np.concatenate([np.arange(20)[::-1], np.arange(20)])
    write_dataset(tmp_path / "d", dataset, times=times)
    file = tmp_path / "d" / "interactions.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["split"]), file)
    found = read_dataset(tmp_path / "d")
    held: dict[tuple[str, str], set[int]] = defaultdict(set)
    for split, user, video in pairs_by_id(found):
        held[split, user].add(int(video[1:]))
    # u0's clock runs backwards over the videos, u1's forwards.
    assert held["test", "u0"] == {0, 1}
    assert held["val", "u0"] == {2, 3}
    assert held["val", "u1"] == {16, 17}
    assert held["test", "u1"] == {18, 19}


def test_without_times_the_split_is_the_same_every_time(tmp_path: Path) -> None:
    dataset = dataset_of(users=3, videos=20, train=[(u, v) for u in range(3) for v in range(20)])
    write_dataset(tmp_path / "d", dataset)
    file = tmp_path / "d" / "interactions.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["split"]), file)
    first, second = read_dataset(tmp_path / "d"), read_dataset(tmp_path / "d")
    assert list(pairs_by_id(first)) == list(pairs_by_id(second))
    assert [len(first.interactions(split)) for split in SPLITS] == [48, 6, 6]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_both_kinds_of_text_columns_are_read(kind: pa.DataType, tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", two_tastes())
    file = tmp_path / "d" / "videos.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "video_id", table["video_id"].cast(kind)), file)
    assert len(read_dataset(tmp_path / "d").train) == len(two_tastes().train)


def test_a_zero_row_is_a_missing_modality(tmp_path: Path) -> None:
    features = random_features(4, {"visual": 3, "textual": 2})
    features["textual"][1] = 0
    dataset = dataset_of(users=1, videos=4, train=[(0, 0)], features=features)
    found = write_dataset(tmp_path / "d", dataset)
    assert found.present.tolist() == [[True, True], [True, False], [True, True], [True, True]]
    assert found.joined_features.shape == (4, 5)


def test_float16_features_whose_sums_overflow_train_all_the_same(tmp_path: Path) -> None:
    dataset = two_tastes()
    write_dataset(tmp_path / "d", dataset)
    halves = (dataset.features["visual"] * 500 + 60000).astype(np.float16)
    assert halves.sum(0, dtype=np.float64).min() > np.finfo(np.float16).max
    np.save(tmp_path / "d" / "visual.npy", halves)
    found = read_dataset(tmp_path / "d")
    np.testing.assert_array_equal(found.features["visual"], halves.astype(np.float32))
    fitted = fit(found, FitConfig(vector_dim=4, hidden_dims=(), max_epochs=2))
    assert np.isfinite(fitted.users).all()
    assert np.isfinite(fitted.videos).all()


def test_the_folder_may_be_read_by_others(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", two_tastes())
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o755
    assert json.loads((tmp_path / "d" / "dataset.json").read_text())["accept"] == []
    assert os.listdir(tmp_path) == ["d"]  # noqa: PTH208
