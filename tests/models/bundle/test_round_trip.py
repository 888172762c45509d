"""What is written is what is read."""

from dataclasses import replace
from datetime import UTC, datetime
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import layout
from models.bundle.digest import feature_digest
from models.bundle.manifest import FusionEntry, IndexEntry
from models.bundle.reader import candidate_ids, list_bundle_ids, read_bundle, read_current_id
from models.bundle.writer import BundleContent, make_current, write_bundle
from models.ids import fault_in_id
from tests.support.bundles import plant, unit, write_small_bundle

NOON = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


def content(videos: int = 3, **changed: object) -> BundleContent:
    rng = np.random.default_rng(videos)
    whole = BundleContent(
        user_ids=["ann", "bob"],
        video_ids=[f"v{row}" for row in range(videos)],
        users=unit(rng.normal(size=(2, 5))),
        videos=unit(rng.normal(size=(videos, 5))),
        modalities={"visual": 4},
        fusion_sizes=FusionEntry(
            hidden_dims=(6,), signal_hidden_dim=3, signal_dim=2, rank=1, form="cpd"
        ),
        fusion_tensors={"mean": np.zeros(4, np.float32)},
        index=np.frombuffer(b"any bytes", dtype=np.uint8),
        index_entry=IndexEntry(kind="flat", nprobe=0, refine=1, recall_at_20=1.0),
        seen_starts=np.array([0, 2, 3]),
        seen_videos=np.array([0, 2, 1]),
        popularity=np.arange(videos),
        activity=np.array([2, 1]),
        hidden=np.zeros(videos, np.bool_),
        feature_digests=np.arange(videos) - 1,
        dataset="planted",
        git_revision="unknown",
    )
    return replace(whole, **changed)  # type: ignore[arg-type] # any field


def is_mapped(array: Any) -> bool:
    """Whether the memory under `array` is a file's."""
    return isinstance(array, mmap) or (
        array is not None and is_mapped(getattr(array, "base", None))
    )


def test_every_array_comes_back_as_it_was(tmp_path: Path) -> None:
    given_ = content()
    found = read_bundle(tmp_path / write_bundle(tmp_path, given_, created_at=NOON))
    for name in (
        "users",
        "videos",
        "seen_starts",
        "seen_videos",
        "popularity",
        "activity",
        "feature_digests",
    ):
        expected, array = getattr(given_, name), getattr(found, name)
        assert array.dtype == expected.dtype, name
        np.testing.assert_array_equal(array, expected, err_msg=name)
    assert list(found.user_ids) == given_.user_ids
    assert list(found.video_ids) == given_.video_ids
    assert found.index_file.read_bytes() == b"any bytes"
    assert found.manifest.fusion == given_.fusion_sizes
    assert found.manifest.created_at == NOON.isoformat()


def test_the_arrays_are_mapped_and_cannot_be_written_to(tmp_path: Path) -> None:
    found = read_bundle(tmp_path / write_bundle(tmp_path, content(), created_at=NOON))
    assert is_mapped(found.videos)
    assert is_mapped(found.seen_videos)
    with pytest.raises(ValueError, match="read-only"):
        found.videos[0, 0] = 1


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(
        st.text(max_size=20).filter(lambda text: not fault_in_id(text)),
        min_size=1, max_size=6, unique=True,
    ),
    titles=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=6, max_size=6),
)  # fmt: skip
def test_any_id_and_any_title_come_back(
    ids: list[str], titles: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    metadata = [{"title": title, "tags": ["a\u2028b", "c\x85"]} for title in titles[: len(ids)]]
    given_ = content(
        len(ids), video_ids=ids, metadata=metadata, seen_starts=np.zeros(3, np.int64),
        seen_videos=np.empty(0, np.int64),
    )  # fmt: skip
    found = read_bundle(root / write_bundle(root, given_, created_at=NOON))
    assert list(found.video_ids) == ids
    assert list(found.metadata) == metadata


@pytest.mark.parametrize("there", [True, False])
def test_ablations_come_back_if_there_are_any(there: bool, tmp_path: Path) -> None:
    ablations = np.arange(15, dtype=np.float16).reshape(3, 1, 5) if there else None
    given_ = content(ablations=ablations)
    found = read_bundle(tmp_path / write_bundle(tmp_path, given_, created_at=NOON))
    np.testing.assert_array_equal(found.ablations, ablations)
    assert is_mapped(found.ablations) == there


@pytest.mark.parametrize("hidden", [[True, False, True], [False] * 3])
def test_what_is_hidden_comes_back(hidden: list[bool], tmp_path: Path) -> None:
    given_ = content(hidden=np.array(hidden))
    found = read_bundle(tmp_path / write_bundle(tmp_path, given_, created_at=NOON))
    assert found.hidden.dtype == np.bool_
    assert found.hidden.tolist() == hidden
    assert is_mapped(found.hidden)


def test_without_metadata_every_video_has_an_empty_one(tmp_path: Path) -> None:
    found = read_bundle(tmp_path / write_bundle(tmp_path, content(), created_at=NOON))
    assert list(found.metadata) == [{}, {}, {}]


def test_the_last_one_written_is_current_and_the_newest_comes_first(tmp_path: Path) -> None:
    times = [NOON.replace(second=second) for second in (3, 9, 5)]
    ids = [write_bundle(tmp_path, content(), created_at=time) for time in times]
    assert read_current_id(tmp_path) == ids[2]
    assert list_bundle_ids(tmp_path) == [ids[1], ids[2], ids[0]]
    assert candidate_ids(tmp_path) == [ids[2], ids[1], ids[0]]


def test_the_same_content_twice_in_a_second_makes_two_bundles(tmp_path: Path) -> None:
    first = write_bundle(tmp_path, content(), created_at=NOON)
    second = write_bundle(tmp_path, content(), created_at=NOON.replace(microsecond=7))
    assert first != second
    names = [list(read_bundle(tmp_path / each).user_ids) for each in (first, second)]
    assert names[0] == names[1]


def test_current_can_be_moved_back(tmp_path: Path) -> None:
    first = write_bundle(tmp_path, content(), created_at=NOON)
    write_bundle(tmp_path, content(4), created_at=NOON)
    make_current(tmp_path, first)
    assert read_current_id(tmp_path) == first
    assert (tmp_path / layout.CURRENT).read_text() == f"{first}\n"


def test_a_trained_bundle_holds_the_planted_vectors(tmp_path: Path) -> None:
    planted = plant(np.eye(20), np.tile(np.eye(20), (3, 1)))
    found = read_bundle(tmp_path / write_small_bundle(tmp_path, planted=planted))
    np.testing.assert_array_equal(found.users, planted.users)
    np.testing.assert_array_equal(found.videos, planted.videos)


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    folder = tmp_path / write_bundle(tmp_path, content(), created_at=NOON)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}
    assert (tmp_path / layout.CURRENT).stat().st_mode & 0o777 == 0o644


def test_a_digest_tells_features_apart_and_ignores_what_is_absent() -> None:
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    assert feature_digest({"visual": ones}) == feature_digest({"visual": ones, "acoustic": zeros})
    assert feature_digest({"visual": ones}) == feature_digest({"visual": ones.astype(np.float64)})
    assert feature_digest({"visual": ones}) != feature_digest({"acoustic": ones})
    assert feature_digest({"visual": ones}) != feature_digest({"visual": ones * 1.0001})
    signed = np.array([-0.0, 1, 0], np.float32)
    assert feature_digest({"visual": signed}) == feature_digest({"visual": signed + 0.0})
    assert -(2**63) <= feature_digest({"visual": ones}) < 2**63
