"""The mmrec importer reads an .inter table beside matrices."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import random_features
from tests.support.importing import import_, refusal

HEADER = "userID\titemID\trating\ttimestamp\tx_label"
ROWS = ["0\t0\t5.0\t1400000000\t0", "0\t3\t1.0\t1400000500\t1", "2\t1\t4.0\t1300000000\t0",
        "2\t2\t4.0\t1300000001\t2"]  # fmt: skip


def write_inter(folder: Path, *lines: str) -> None:
    (folder / "baby.inter").write_text("\n".join(lines) + "\n")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_inter(folder, HEADER, *ROWS)
    made = random_features(4, {"visual": 4, "textual": 3})
    np.save(folder / "image_feat.npy", made["visual"])
    np.save(folder / "text_feat.npy", made["textual"])
    return folder


def test_labels_become_splits_and_times_are_kept(source: Path) -> None:
    found = import_("mmrec", source)
    assert found.dataset.name == "baby"
    assert found.met("train") == {("0", "0"), ("2", "1")}
    assert found.met("val") == {("0", "3")}
    assert found.met("test") == {("2", "2")}
    assert found.times()["0", "3"] == 1400000500
    assert found.dataset.feature_dims == {"visual": 4, "textual": 3}


def test_columns_are_found_by_name_and_time_may_be_absent(source: Path) -> None:
    write_inter(source, "x_label\titemID\tuserID", "0\t1\t7", "2\t3\t7")
    found = import_("mmrec", source)
    assert found.met("train") == {("7", "1")}
    assert found.met("test") == {("7", "3")}
    with pytest.raises(KeyError):
        found.times()


def test_other_names_and_a_third_modality_are_named_by_options(source: Path) -> None:
    write_inter(source, "u\ti\tat\tpart", "7\t1\t9\t0", "7\t2\t8\t1")
    np.save(source / "vggish.npy", random_features(4, {"acoustic": 5})["acoustic"])
    found = import_(
        "mmrec", source, "--user-column", "u", "--video-column", "i", "--time-column", "at",
        "--split-column", "part", "--acoustic", source / "vggish.npy",
    )  # fmt: skip
    assert found.met("val") == {("7", "2")}
    assert found.times() == {("7", "1"): 9, ("7", "2"): 8}
    assert found.dataset.feature_dims == {"visual": 4, "acoustic": 5, "textual": 3}


def test_a_pair_in_two_splits_counts_in_the_first(source: Path) -> None:
    write_inter(source, HEADER, "0\t1\t5\t5\t2", "0\t1\t5\t30\t0", "0\t1\t5\t10\t0")
    found = import_("mmrec", source)
    assert found.met("train") == {("0", "1")}
    assert found.met("test") == set()
    assert found.times() == {("0", "1"): 10}
    assert "2 interactions repeat a user and video: left out" in found.told


def test_a_video_whose_features_are_zeros_is_left_out_and_said_so(source: Path) -> None:
    for name in ("image", "text"):
        matrix = np.load(source / f"{name}_feat.npy")
        matrix[1] = 0
        np.save(source / f"{name}_feat.npy", matrix)
    found = import_("mmrec", source)
    assert found.dataset.video_ids == ["0", "2", "3"]
    assert found.met("train") == {("0", "0")}
    assert found.met("test") == {("2", "2")}
    assert "1 videos have features of zeros alone: left out" in found.told
    assert "1 interactions with 1 videos without features: left out" in found.told
    original = random_features(4, {"visual": 4, "textual": 3})
    assert found.features_of("2")[:4] == original["visual"][2].tolist()


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["0\t1\t5\t9\t3"], "baby.inter: line 2: x_label is 3, expected 0 (train), 1 (val) or 2"),
        (["0\t1\t5\t9\t0", "x\t1\t5\t9\t0"], "line 3: userID is 'x', expected a whole number"),
        (["0\t1.0\t5\t9\t0"], "line 2: itemID is '1.0', expected a whole number"),
        (["0\t\t5\t9\t0"], "line 2: itemID is '', expected a whole number"),
        (["0\t99999999999999999999\t5\t9\t0"], "column 'itemID'"),
        (["0\t1\t5\tsoon\t0"], "line 2: timestamp is 'soon', expected seconds"),
        (["0\t1\t5\t1e999\t0"], "line 2: timestamp is 1e999, expected a number"),
        (["0\t1\t5\t9\t0", "0\t1\t5"], "Row #3: Expected 5 columns, got 3"),
        (["0\t4\t5\t9\t0"], "line 2: user 0, video 4: the video is unknown"),
        (["0\t-1\t5\t9\t0"], "line 2: user 0, video -1: a number is negative"),
        ([], "baby: has no interaction to train on (0 in val, 0 in test)"),
    ],
)
def test_malformed_rows_are_told(lines: list[str], text: str, source: Path) -> None:
    write_inter(source, HEADER, *lines)
    assert text in refusal("mmrec", source)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("userID\titemID", "baby.inter: has no column 'x_label', found ['userID', 'itemID']"),
        ("user_id:token\titem_id:token", "has no column 'userID'"),
        ("userID\tuserID", "line 1 must name the columns"),
        ("", "line 1 must name the columns, found ''"),
    ],
)
def test_a_malformed_header_is_told(header: str, text: str, source: Path) -> None:
    write_inter(source, header, "0\t1")
    assert text in refusal("mmrec", source)


def test_text_that_is_not_utf_8_is_told(source: Path) -> None:
    (source / "baby.inter").write_bytes(f"{HEADER}\n0\t1\t".encode() + b"\xff\t9\t0\n")
    assert "baby.inter: " in refusal("mmrec", source)
    (source / "baby.inter").write_bytes(b"\xff\n")
    assert "baby.inter: is not UTF-8" in refusal("mmrec", source)


def test_there_must_be_one_table(source: Path) -> None:
    (source / "other.inter").write_text(HEADER)
    assert "expected one .inter file, found ['baby.inter', 'other" in refusal("mmrec", source)
    for file in source.glob("*.inter"):
        file.unlink()
    assert "expected one .inter file, found []" in refusal("mmrec", source)


def test_a_file_named_by_an_option_must_be_there(source: Path) -> None:
    assert "gone.npy is missing" in refusal("mmrec", source, "--acoustic", source / "gone.npy")
