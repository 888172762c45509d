"""The microlens importer counts items from 1 and holds each user's last two interactions out."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import random_features
from tests.support.importing import import_, refusal

MADE = random_features(6, {"visual": 4, "acoustic": 2, "textual": 3})
START = 1_600_000_000_000  # milliseconds
# User 1 meets 5, 2, 6, 1 in that order, user 2 meets 3 and 4, user 9 meets 6 alone.
MET = [(1, 6, 2), (1, 5, 0), (2, 4, 1), (1, 1, 3), (1, 2, 1), (2, 3, 0), (9, 6, 0)]


def write_pairs(folder: Path, *lines: str, header: str = "user,item,timestamp") -> None:
    (folder / "MicroLens-50k_pairs.csv").write_text("\n".join([header, *lines]) + "\n")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "MicroLens-50k"
    extracted = folder / "extracted_modality_features"
    extracted.mkdir(parents=True)
    write_pairs(folder, *(f"{u},{i},{START + 400 * at}" for u, i, at in MET))
    np.save(extracted / "MicroLens-50k_video_features_VideoMAE.npy", MADE["visual"])
    np.save(extracted / "MicroLens-50k_title_en_text_features_BgeM3.npy", MADE["textual"])
    return folder


def test_the_last_of_each_user_is_test_and_the_one_before_val(source: Path) -> None:
    found = import_("microlens", source)
    assert found.met("train") == {("1", "5"), ("1", "2"), ("2", "3"), ("9", "6")}
    assert found.met("val") == {("1", "6")}
    assert found.met("test") == {("1", "1"), ("2", "4")}
    # 400 ms apart: the order is finer than the seconds that are kept.
    assert [found.times()["1", i] for i in "5261"] == [1_600_000_000] * 3 + [1_600_000_001]


def test_row_i_belongs_to_item_i_plus_one(source: Path) -> None:
    found = import_("microlens", source)
    assert found.dataset.video_ids == ["1", "2", "3", "4", "5", "6"]
    assert found.features_of("6") == MADE["visual"][5].tolist() + MADE["textual"][5].tolist()


def test_lists_in_order_stand_for_times(source: Path) -> None:
    (source / "MicroLens-50k_pairs.csv").unlink()
    (source / "MicroLens-50k_pairs.tsv").write_text("1\t5 2 6 1\n2\t3 4\n9\t6\n")
    found = import_("microlens", source)
    assert found.met("train") == {("1", "5"), ("1", "2"), ("2", "3"), ("9", "6")}
    assert found.met("val") == {("1", "6")}
    assert found.met("test") == {("1", "1"), ("2", "4")}


def test_titles_without_a_header_keep_their_commas_and_quotes(source: Path) -> None:
    (source / "MicroLens-50k_title_en.csv").write_text('1,So, "this", then\n6,"Wow\n\n99,x\n\n')
    found = import_("microlens", source)
    assert found.told_of("1") == {"title": 'So, "this", then'}
    assert found.told_of("6") == {"title": '"Wow'}
    assert found.told_of("2") == {}


def test_titles_with_a_header_are_a_csv_whose_commas_may_lack_quotes(source: Path) -> None:
    text = 'item,title\n1,"So, ""this""\nthen"\n\n2,one, two\n\n'
    (source / "MicroLens-50k_titles.csv").write_text(text)
    found = import_("microlens", source)
    assert found.told_of("1") == {"title": 'So, "this"\nthen'}
    assert found.told_of("2") == {"title": "one, two"}


def test_covers_are_used_where_there_are_no_frames_and_said_where_there_are(source: Path) -> None:
    extracted = source / "extracted_modality_features"
    covers = random_features(6, {"visual": 5}, seed=1)["visual"]
    np.save(extracted / "MicroLens-50k_image_features_CLIPRN50.npy", covers)
    found = import_("microlens", source)
    assert found.dataset.feature_dims["visual"] == 4
    assert "MicroLens-50k_image_features_CLIPRN50.npy is not used" in found.told
    (extracted / "MicroLens-50k_video_features_VideoMAE.npy").unlink()
    found.folder.rename(source.parent / "first")
    found = import_("microlens", source)
    assert found.dataset.feature_dims["visual"] == 5
    assert "is not used" not in found.told


def test_of_several_encoders_one_is_chosen_by_an_option(source: Path) -> None:
    extracted = source / "extracted_modality_features"
    other = extracted / "MicroLens-50k_video_features_Other.npy"
    np.save(other, random_features(6, {"visual": 7})["visual"])
    assert "are all there; choose by --visual" in refusal("microlens", source)
    found = import_("microlens", source, "--visual", other)
    assert found.dataset.feature_dims["visual"] == 7


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["1,0,5"], "line 2: user 1, video 0: the video is unknown"),
        (["1,9,5"], "the features hold 6 rows, for videos 1 to 6"),
        (["1,1,5", "1,7,5"], "line 3: user 1, video 7: the video is unknown"),
        (["1,v3,5"], "line 2: item is 'v3', expected a whole number"),
        (["1,3,"], "line 2: timestamp is '', expected seconds"),
        (["1,3"], "Expected 3 columns, got 2"),
    ],
)
def test_malformed_pairs_are_told(lines: list[str], text: str, source: Path) -> None:
    write_pairs(source, *lines)
    told = refusal("microlens", source)
    assert "MicroLens-50k_pairs.csv: " in told
    assert text in told


def test_a_header_of_other_names_is_told(source: Path) -> None:
    write_pairs(source, "1,2,3", header="u,i,t")
    assert "has no column 'user', found ['u', 'i', 't']" in refusal("microlens", source)


@pytest.mark.parametrize("items", ["1 x", "99999999999999999999", "1,2"])
def test_malformed_lists_are_told(items: str, source: Path) -> None:
    (source / "MicroLens-50k_pairs.csv").unlink()
    (source / "MicroLens-50k_pairs.tsv").write_text(f"1\t5 2\n2\t{items}\n")
    told = refusal("microlens", source)
    assert "MicroLens-50k_pairs.tsv: line 2: expected item numbers" in told


@pytest.mark.parametrize("content", [b"1,a\nx,b\n", b"1\n", b"item,title\n1\n", b"1,\xff\n"])
def test_malformed_titles_are_told(content: bytes, source: Path) -> None:
    (source / "MicroLens-50k_titles.csv").write_bytes(content)
    assert "MicroLens-50k_titles.csv: " in refusal("microlens", source)


def test_what_is_missing_is_told(source: Path, tmp_path: Path) -> None:
    (source / "MicroLens-50k_pairs.csv").unlink()
    assert "expected one *_pairs.csv, or one *_pairs.tsv" in refusal("microlens", source)
    (tmp_path / "empty").mkdir()
    assert "holds none of ['*video_features*.npy'" in refusal("microlens", tmp_path / "empty")
