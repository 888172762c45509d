"""The mmgcn importer finds users, items and their offset in the .npy files of five repositories."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.datasets import random_features
from tests.support.importing import import_, refusal
from tests.support.pickles import rows_of_objects, write_objects
from training.data.dataset import SPLITS
from training.data.importers.imported import Options
from training.data.importers.mmgcn import read_mmgcn

USERS, ITEMS = 3, 5
TRAIN = [(0, 0), (0, 1), (1, 2), (2, 0), (1, 0)]
VAL = [[0, 2], [1], [2, 3]]
TEST = [[0, 4, 3], [1, 1], [2]]


def write_source(folder: Path, offset: int = USERS) -> Path:
    """Write what MMGCN ships for its Movielens, its numbers of items starting at `offset`."""
    folder.mkdir()
    np.save(folder / "train.npy", np.array([(user, item + offset) for user, item in TRAIN]))
    for name, lists in (("val_full", VAL), ("test_full", TEST)):
        moved = [[user, *(item + offset for item in items)] for user, *items in lists]
        write_objects(folder / f"{name}.npy", rows_of_objects(moved))
    features = random_features(ITEMS, {"visual": 4, "acoustic": 3, "textual": 2})
    np.save(folder / "FeatureVideo_normal.npy", features["visual"])
    np.save(folder / "FeatureAudio_avg_normal.npy", features["acoustic"])
    np.save(folder / "FeatureText_stl_normal.npy", features["textual"].astype(np.float64))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "movielens")


@pytest.mark.parametrize("offset", [USERS, 0], ids=["offset", "from zero"])
def test_items_are_told_from_users_whether_offset_or_not(offset: int, tmp_path: Path) -> None:
    found = import_("mmgcn", write_source(tmp_path / "s", offset))
    assert found.dataset.video_ids == [str(offset + item) for item in range(ITEMS)]
    assert found.met("train") == {(str(user), str(offset + item)) for user, item in TRAIN}
    for split, lists in (("val", VAL), ("test", TEST)):
        pairs = {(str(u), str(offset + item)) for u, *items in lists for item in items}
        assert found.met("val" if split == "val" else "test") == pairs
    features = random_features(ITEMS, {"visual": 4, "acoustic": 3, "textual": 2})
    assert found.dataset.feature_dims == {"visual": 4, "acoustic": 3, "textual": 2}
    joined = np.concatenate([features[m] for m in ("visual", "acoustic", "textual")], axis=1)
    np.testing.assert_array_equal(found.dataset.joined_features, joined)


def test_lists_of_arrays_and_lists_of_one_length_are_read_alike(source: Path) -> None:
    arrays = np.empty(2, dtype=object)
    arrays[:] = [np.array([0, USERS + 2]), np.array([2, USERS + 3])]
    write_objects(source / "val_full.npy", arrays)
    matrix = np.array([[0, USERS + 4, USERS + 3], [1, USERS + 1, USERS + 4]])
    for test in (matrix, matrix.astype(object)):
        np.save(source / "test_full.npy", test)
        found = read_mmgcn(source, Options()).dataset
        assert found.val.users.tolist() == [0, 2]
        assert found.val.videos.tolist() == [2, 3]
        assert found.test.users.tolist() == [0, 0, 1, 1]
        assert found.test.videos.tolist() == [4, 3, 1, 4]


def test_the_plain_names_of_the_readme_are_found(source: Path) -> None:
    for name in ("val", "test"):
        (source / f"{name}_full.npy").rename(source / f"{name}.npy")
    assert len(import_("mmgcn", source).met("test")) == 3


def test_training_items_are_found_in_the_dict_of_clcrec(source: Path) -> None:
    (source / "train.npy").unlink()
    mapping: dict[int, set[int]] = {user: set() for user in range(USERS)}
    for user, item in TRAIN:
        mapping[user].add(item + USERS)
    write_objects(source / "user_item_train_dict.npy", mapping)
    write_objects(source / "user_item_dict.npy", {0: {USERS}})  # not needed, not read
    assert import_("mmgcn", source).met("train") == {(str(u), str(i + USERS)) for u, i in TRAIN}


def write_sample(folder: Path, offset: int) -> dict[int, list[int]]:
    """Write what MetaMMF ships: 10 items of each of 4 users, and no split."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lists = {u: (rng.choice(20, 10, replace=False) + offset).tolist() for u in range(4)}
    lists[0][0], lists[1][0] = offset, offset + 19
    lists = {user: list(dict.fromkeys(items)) for user, items in lists.items()}
    write_objects(
        folder / "user_item_dict_sample.npy",
        {user: [np.int64(item) for item in items] for user, items in lists.items()},
    )
    for name, width in (("v", 4), ("a", 3), ("t", 2)):
        np.save(folder / f"{name}_feat_sample.npy", np.random.default_rng(1).random((20, width)))
    return lists


@pytest.mark.parametrize("offset", [0, 4], ids=["the sample", "the full set"])
def test_a_dict_without_a_split_is_divided_by_user_and_seed(offset: int, tmp_path: Path) -> None:
    lists = write_sample(tmp_path / "sample", offset)
    found = import_("mmgcn", tmp_path / "sample")
    together = found.met("train") | found.met("val") | found.met("test")
    assert together == {(str(user), str(item)) for user, items in lists.items() for item in items}
    assert len(found.met("train")) == round(0.8 * len(together))
    assert found.dataset.video_ids[0] == str(offset)
    again = read_mmgcn(tmp_path / "sample", Options()).dataset
    other = read_mmgcn(tmp_path / "sample", Options(seed=1)).dataset
    assert again.test.videos.tolist() != other.test.videos.tolist()
    found_again = {(again.user_ids[u], again.video_ids[v]) for u, v in zip(
        again.test.users, again.test.videos, strict=True)}  # fmt: skip
    assert found_again == found.met("test")


def test_an_offset_that_the_files_leave_open_is_asked_for(source: Path) -> None:
    """Users 0 to 2 and items 5 to 8 are met, features are of 5 items: 4 and 5 both fit."""
    np.save(source / "train.npy", np.array([(0, 5), (1, 6), (2, 8)]))
    for name in ("val_full", "test_full"):
        write_objects(source / f"{name}.npy", rows_of_objects([[0], [1, 7]]))
    told = refusal("mmgcn", source)
    assert "train.npy: items are numbered from 5 and users up to 2" in told
    assert "--first-video (4 to 5)" in told
    found = import_("mmgcn", source, "--first-video", 4)
    assert found.dataset.video_ids == ["4", "5", "6", "7", "8"]
    assert ("2", "8") in found.met("train")


def test_an_offset_that_only_the_rows_of_features_tell_is_found(source: Path) -> None:
    """Users 0 to 2, items 5 to 9 and 5 rows: item 5 has row 0, though users 3 and 4 are absent."""
    np.save(source / "train.npy", np.array([(0, 5), (1, 6), (2, 9)]))
    for name in ("val_full", "test_full"):
        write_objects(source / f"{name}.npy", rows_of_objects([[0], [1, 7]]))
    assert import_("mmgcn", source).dataset.video_ids == ["5", "6", "7", "8", "9"]


def test_items_from_zero_need_not_all_be_met(source: Path) -> None:
    for name in ("train", "val_full", "test_full"):
        np.save(source / f"{name}.npy", np.array([(0, 1), (2, 3)]))
    found = import_("mmgcn", source)
    assert found.dataset.video_ids == ["0", "1", "2", "3", "4"]
    assert found.met("train") == {("0", "1"), ("2", "3")}


def test_items_beyond_the_users_may_have_no_offset_all_the_same(source: Path) -> None:
    for name in ("train", "val_full", "test_full"):
        np.save(source / f"{name}.npy", np.array([(0, 4)]))
    assert "--first-video (1 to 4, or 0)" in refusal("mmgcn", source)
    found = import_("mmgcn", source, "--first-video", 0)
    assert found.met("train") == {("0", "4")}
    assert "2 interactions repeat a user and video: left out" in found.told


@given(
    users=st.integers(1, 6),
    lists=st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=6),
    offset=st.booleans(),
)
def test_every_pair_comes_back_by_its_own_numbers(
    users: int, lists: list[set[int]], offset: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("g")
    first = len(lists) if offset else 0
    # The ends of both ranges are met, so that nothing is left open.
    lists[-1] = lists[-1] | {0, 7}
    write_objects(
        folder / "user_item_dict.npy",
        {user: {item + first for item in items} for user, items in enumerate(lists)},
    )
    np.save(folder / "feat_v.npy", random_features(8, {"visual": 2})["visual"])
    found = read_mmgcn(folder, Options()).dataset
    pairs = {
        (found.user_ids[u], found.video_ids[v])
        for split in SPLITS
        for u, v in zip(
            found.interactions(split).users, found.interactions(split).videos, strict=True
        )
    }
    assert pairs == {(str(u), str(i + first)) for u, items in enumerate(lists) for i in items}


def test_a_torch_file_is_not_opened_and_the_way_to_convert_it_is_told(source: Path) -> None:
    (source / "FeatureVideo_normal.npy").unlink()
    (source / "feat_v.pt").write_bytes(b"PK")
    told = refusal("mmgcn", source)
    assert "feat_v.pt: is a pickle of torch's and not opened" in told
    assert "numpy.save('feat_v.npy', torch.load('feat_v.pt', weights_only=True" in told
    assert "feat_v.pt: is a" in refusal("mmgcn", source, "--visual", source / "feat_v.pt")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("train", np.zeros((3, 2)), "train.npy: expected int rows of user, item; found float64"),
        ("train", np.array([(0, 3), (-1, 3)]), "train.npy: row 1: user -1, video 3"),
        ("train", np.array([(0, 3), (1, 8)]), "train.npy: row 1: user 1, video 8: the video is un"),
        ("val_full", [[0, 3], []], "val_full.npy: row 1: is empty"),
        ("val_full", [[0, 3], ["x"]], "val_full.npy: row 1: expected whole numbers, found ['x']"),
        ("val_full", [[0, 3.5], [1]], "val_full.npy: row 0: expected whole numbers"),
        ("val_full", [[0, True], [1]], "val_full.npy: row 0: expected whole numbers"),
        ("val_full", [[1 << 70, 3], [1]], "val_full.npy: row 0: expected whole numbers"),
        ("val_full", [3, 4], "val_full.npy: row 0: expected whole numbers, found 3"),
        ("test_full", [[0, 3], [1, 3, 99]], "test_full.npy: row 1: user 1, video 99"),
    ],
)
def test_malformed_interactions_are_told(name: str, content: Any, text: str, source: Path) -> None:
    if isinstance(content, list):
        write_objects(source / f"{name}.npy", rows_of_objects(content))
    else:
        np.save(source / f"{name}.npy", content)
    assert text in refusal("mmgcn", source)


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"0": [1]}, "user '0': is not the number of a user"),
        ({0: 5}, "user 0: expected whole numbers, found 5"),
        ({0: [[1]]}, "user 0: expected whole numbers, found [[1]]"),
        ({1 << 70: [1]}, "a user's number is too large"),
        ({-1: [1]}, "user -1, video 1: a number is negative"),
    ],
)
def test_a_malformed_dict_is_told(mapping: Any, text: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "s", 0)
    write_objects(tmp_path / "s" / "user_item_dict_sample.npy", mapping)
    told = refusal("mmgcn", tmp_path / "s")
    assert f"user_item_dict_sample.npy: {text}" in told


def test_a_list_referred_to_again_and_again_is_not_taken_for_data(tmp_path: Path) -> None:
    write_sample(tmp_path / "s", 0)
    shared = list(range(3000))
    write_objects(tmp_path / "s" / "user_item_dict_sample.npy", dict.fromkeys(range(3000), shared))
    assert "names more items than it has bytes" in refusal("mmgcn", tmp_path / "s")


def test_nested_lists_that_never_end_are_told_briefly(tmp_path: Path) -> None:
    write_sample(tmp_path / "s", 0)
    nested: list[Any] = []
    for _ in range(60):
        nested = [nested, nested]
    write_objects(tmp_path / "s" / "user_item_dict_sample.npy", {0: nested})
    assert "user 0: expected whole numbers" in refusal("mmgcn", tmp_path / "s")


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    np.save(tmp_path / "s" / "val.npy", np.array([(0, 3)]))
    told = refusal("mmgcn", tmp_path / "s")
    for text in ("holds none of", "train.npy is missing", "test_full.npy is missing"):
        assert text in told


def test_features_of_other_heights_are_told(source: Path) -> None:
    np.save(source / "FeatureAudio_avg_normal.npy", np.ones((4, 2)))
    assert "feature files differ in rows" in refusal("mmgcn", source)
