"""The npz importer reads what public data sets come as, and refuses the rest by name."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import random_features
from training.data.dataset import SPLITS
from training.data.folder_writer import write_dataset
from training.data.importers.imported import Options
from training.data.importers.npz import read_npz
from training.errors import InvalidDataset

SHARED = os.environ.get("SHARED", "")


def pairs(*rows: tuple[int, int]) -> Any:
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Users 10, 20 and 30 and five videos in two modalities."""
    folder = tmp_path / "source"
    folder.mkdir()
    np.savez(
        folder / "interactions.npz",
        train=pairs((10, 0), (30, 1), (20, 2), (10, 0)),
        val=pairs((10, 3)),
        test=pairs((20, 4)),
    )
    for name, matrix in random_features(5, {"visual": 3, "acoustic": 2}).items():
        np.save(folder / f"{name}.npy", matrix)
    return folder


def rewrite(folder: Path, **arrays: Any) -> None:
    with np.load(folder / "interactions.npz") as archive:
        kept = {name: archive[name] for name in archive.files}
    changed = {name: a for name, a in {**kept, **arrays}.items() if a is not None}
    np.savez(folder / "interactions.npz", **changed)


def faults(folder: Path) -> str:
    with pytest.raises(InvalidDataset) as caught:
        read_npz(folder, Options())
    return str(caught.value)


def test_numbers_become_ids_and_users_who_never_occur_are_none(source: Path) -> None:
    found = read_npz(source, Options()).dataset
    assert found.user_ids == ["10", "20", "30"]
    assert found.video_ids == ["0", "1", "2", "3", "4"]
    assert found.train.users.tolist() == [0, 2, 1]  # the repeated pair counts once
    assert found.train.videos.tolist() == [0, 1, 2]
    assert (found.val.users.tolist(), found.val.videos.tolist()) == ([0], [3])
    assert (found.test.users.tolist(), found.test.videos.tolist()) == ([1], [4])
    assert found.feature_dims == {"visual": 3, "acoustic": 2}
    assert found.name == "source"


def test_what_was_imported_can_be_written_and_read_back(source: Path, tmp_path: Path) -> None:
    found = read_npz(source, Options()).dataset
    back = write_dataset(tmp_path / "d", found)
    assert back.video_ids == found.video_ids
    assert [len(back.interactions(s)) for s in SPLITS] == [3, 1, 1]
    np.testing.assert_array_equal(back.joined_features, found.joined_features)


def test_a_table_of_videos_becomes_metadata(source: Path) -> None:
    (source / "items.csv").write_text('item,title,genres\n3,"Heat, the",Crime|Drama\n9,x,y\n4,Ü,\n')
    found = read_npz(source, Options()).dataset.metadata
    assert found[3] == {"title": "Heat, the", "tags": ["Crime", "Drama"]}
    assert found[4] == {"title": "Ü", "tags": []}
    assert found[0] == {}


@pytest.mark.parametrize(
    "content",
    [b"title\nHeat\n", b"item,title\nabc,Heat\n", b"item,title\n\xff,Heat\n", b"item\n\n,\n"],
)
def test_a_malformed_table_of_videos_is_told(content: bytes, source: Path) -> None:
    (source / "items.csv").write_bytes(content)
    assert "items.csv: expected columns item" in faults(source)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"val": None}, "has no array 'val', found ['test', 'train']"),
        ({"train": np.zeros((3, 3), int)}, "train must be int (n, 2)"),
        ({"train": np.zeros(4, int)}, "train must be int (n, 2)"),
        ({"test": np.zeros((3, 2))}, "test must be int (n, 2) = user, video; found float64 (3, 2)"),
        ({"train": pairs((1, 1), (0, -1))}, "train row 1: user 0, video -1: a number is negative"),
        ({"train": pairs((1, 1), (-2, 1))}, "train row 1: user -2, video 1: a number is negative"),
        (
            {"test": pairs((1, 1), (0, 5))},
            "test row 1: user 0, video 5: the video is unknown, the features hold 5 rows",
        ),
        ({"val": np.array([["a", "b"]])}, "val must be int (n, 2)"),
    ],
)
def test_malformed_interactions_are_named(changed: dict[str, Any], text: str, source: Path) -> None:
    rewrite(source, **changed)
    assert text in faults(source)


def test_objects_are_refused_and_not_unpickled(source: Path) -> None:
    rewrite(source, val=np.array([[1, {}]], dtype=object))
    assert "interactions.npz: is not a plain .npz archive" in faults(source)


def test_nobody_is_told_to_unpickle(source: Path) -> None:
    for name in ("interactions.npz", "visual.npy"):
        (source / name).write_bytes(bytes(range(200)))
    told = faults(source)
    assert "interactions.npz: is not a plain .npz archive: it holds Python objects, or is" in told
    assert "pickle" not in told


def test_titles_may_begin_with_a_byte_order_mark(source: Path) -> None:
    (source / "items.csv").write_text("item,title\n1,One\n", "utf-8-sig")
    assert read_npz(source, Options()).dataset.metadata[1]["title"] == "One"


def test_a_missing_archive_is_told(source: Path) -> None:
    (source / "interactions.npz").unlink()
    assert "interactions.npz is missing" in faults(source)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "array", "flip", "compressed"])
def test_a_damaged_archive_is_told(damage: str, source: Path) -> None:
    file = source / "interactions.npz"
    if damage == "compressed":
        np.savez_compressed(file, train=np.arange(2000).reshape(-1, 2) % 5)
    whole = file.read_bytes()
    middle = whole[:80] + b"\xff\x00\xff\x00" + whole[84:]
    spoilt = {"cut": whole[:-9], "empty": b"", "text": b"user,video", "flip": middle}
    if damage == "array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros((3, 2), int))
    else:
        file.write_bytes(spoilt.get(damage, middle))
    assert "interactions.npz: is not a plain .npz archive" in faults(source)


def test_feature_files_must_agree_in_rows(source: Path) -> None:
    np.save(source / "acoustic.npy", np.ones((4, 2)))
    assert "feature files differ in rows: {'visual.npy': 5, 'acoustic.npy': 4}" in faults(source)


def test_a_nan_of_any_form_is_told_and_nothing_else(source: Path) -> None:
    matrix = np.ones((5, 2))
    matrix.view(np.uint64)[3, 1] = 0x7FF0000000000001  # a signalling NaN
    np.save(source / "acoustic.npy", matrix)
    assert "acoustic.npy: row 3, column 1: nan is not a finite float32" in faults(source)


def test_a_folder_without_features_is_told(source: Path) -> None:
    for name in ("visual", "acoustic"):
        (source / f"{name}.npy").unlink()
    assert "holds none of ['visual.npy'" in faults(source)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    text = faults(tmp_path / "gone")
    assert "holds none of" in text
    assert "interactions.npz is missing" in text


def test_several_faults_are_told_at_once(source: Path) -> None:
    np.save(source / "visual.npy", np.ones(5))
    rewrite(source, val=None, test=np.zeros((3, 2)))
    assert len(faults(source).splitlines()) == 3


@pytest.mark.skipif(not SHARED, reason="SHARED names no folder of real data sets")
@pytest.mark.parametrize("name", ["tiktok", "ml1m-mmtf", "mlsmall-mmtf"])
def test_a_real_data_set_is_read_whole(name: str) -> None:
    folder = Path(SHARED) / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    found = read_npz(folder, Options()).dataset
    with np.load(folder / "interactions.npz") as archive:
        for split in SPLITS:
            assert len(found.interactions(split)) == len(np.unique(archive[split], axis=0))
        users = np.concatenate([archive[split][:, 0] for split in SPLITS])
    assert found.users == len(np.unique(users))
    for modality, matrix in found.features.items():
        assert matrix.shape == np.load(folder / f"{modality}.npy", mmap_mode="r").shape
        assert np.isfinite(matrix).all()
    if (folder / "items.csv").exists():
        assert sum(bool(row.get("title")) for row in found.metadata) > found.videos / 2
