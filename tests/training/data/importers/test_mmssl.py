"""The mmssl importer reads the JSON of MMSSL, LATTICE and MICRO."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import random_features
from tests.support.importing import import_, refusal

LISTS: dict[str, dict[str, list[int]]] = {
    "train": {"0": [0, 2], "1": [], "10": [1]},
    "val": {"0": [3], "7": [0]},
    "test": {"10": [4, 0], "1": []},
}


def write_source(folder: Path, features: Path) -> Path:
    folder.mkdir(parents=True)
    for name, lists in LISTS.items():
        (folder / f"{name}.json").write_text(json.dumps(lists))
    made = random_features(5, {"visual": 4, "acoustic": 2, "textual": 3})
    np.save(features / "image_feat.npy", made["visual"].astype(np.float16))
    np.save(features / "audio_feat.npy", made["acoustic"])
    np.save(features / "text_feat.npy", made["textual"])
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "tiktok", tmp_path / "tiktok")


def test_lists_of_numbers_become_interactions(source: Path) -> None:
    found = import_("mmssl", source)
    assert found.dataset.name == "tiktok"
    assert found.met("train") == {("0", "0"), ("0", "2"), ("10", "1")}
    assert found.met("val") == {("0", "3"), ("7", "0")}
    assert found.met("test") == {("10", "4"), ("10", "0")}
    assert found.dataset.video_ids == ["0", "1", "2", "3", "4"]
    assert "1" not in found.dataset.user_ids  # met nothing
    assert found.dataset.feature_dims == {"visual": 4, "acoustic": 2, "textual": 3}
    assert "1 users have no training interaction" in found.told


def test_features_may_lie_one_level_up_as_lattice_has_them(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "baby" / "5-core", tmp_path / "baby")
    assert len(import_("mmssl", folder).met("train")) == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[1]", "expected an object of users, found [1]"),
        (b'{"0": 3}', "user '0': expected a list of item numbers, found 3"),
        (b'{"0": ["a"]}', "user '0': expected a list of item numbers"),
        (b'{"0": [1.0]}', "user '0': expected a list of item numbers"),
        (b'{"0": [true]}', "user '0': expected a list of item numbers"),
        (b'{"x": [1]}', "user 'x': is not the number of a user"),
        (b'{"0": [99999999999999999999]}', "user '0': expected item numbers"),
        (b'{"99999999999999999999": [1]}', "is not the number of a user"),
        (b'{"3": [5]}', "user 3, video 5: the video is unknown, the features hold 5 rows"),
        (b'{"3": [-1]}', "user 3, video -1: a number is negative"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_malformed_lists_are_told(content: bytes, text: str, source: Path) -> None:
    (source / "val.json").write_bytes(content)
    told = refusal("mmssl", source)
    assert told.startswith("val.json: ")
    assert text in told


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "s" / "t").mkdir(parents=True)
    told = refusal("mmssl", tmp_path / "s" / "t")
    for text in ("holds none of ['image_feat.npy'", "train.json is missing", "val.json is missing"):
        assert text in told


def test_features_that_are_not_finite_are_told_with_their_place(source: Path) -> None:
    matrix: Any = np.load(source / "image_feat.npy")
    matrix[3, 1] = np.inf
    np.save(source / "image_feat.npy", matrix)
    assert "image_feat.npy: row 3, column 1: inf is not a finite" in refusal("mmssl", source)
