"""The table importer takes tables under our own names in three file formats."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import fault_in_id
from tests.support.importing import import_, refusal
from training.data.importers.imported import Options
from training.data.importers.table import read_tables

Writer = Callable[[Path, dict[str, Any]], None]
VIDEOS = ["007", "7", "a b", "ü", "e"]
USERS = ["x", "y"]
MET = {
    "user_id": [user for user in USERS for _ in VIDEOS],
    "video_id": VIDEOS * 2,
    "timestamp": [1_700_000_000 + at for at in range(10)],
}
NUMBERS = [[row + 1.0, -row / 4] for row in range(5)]
WIDE = {"video_id": VIDEOS, "a": [row[0] for row in NUMBERS], "b": [row[1] for row in NUMBERS]}


def write_parquet(stem: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), stem.with_suffix(".parquet"))


def write_csv(stem: Path, columns: dict[str, Any]) -> None:
    pcsv.write_csv(pa.table(columns), stem.with_suffix(".csv"))


def write_tsv(stem: Path, columns: dict[str, Any]) -> None:
    options = pcsv.WriteOptions(delimiter="\t")
    pcsv.write_csv(pa.table(columns), stem.with_suffix(".tsv"), options)


@pytest.fixture(params=[write_parquet, write_csv, write_tsv], ids=["parquet", "csv", "tsv"])
def write(request: pytest.FixtureRequest) -> Writer:
    writer: Writer = request.param
    return writer


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def test_ids_are_kept_as_text_and_the_latest_are_held_out(source: Path, write: Writer) -> None:
    write(source / "interactions", MET)
    write(source / "visual", WIDE)
    found = import_("csv", source)
    assert found.dataset.video_ids == VIDEOS
    assert found.met("train") == {(user, video) for user in USERS for video in VIDEOS[:4]}
    assert found.met("test") == {("x", "e"), ("y", "e")}
    assert found.times()["y", "ü"] == 1_700_000_008
    assert found.features_of("a b") == [3, -0.5]


def test_a_split_is_kept_and_milliseconds_become_seconds(source: Path, write: Writer) -> None:
    met = {
        "split": ["test", "train", "val"],
        "video_id": ["7", "007", "e"],
        "user_id": ["x", "x", "y"],
        "timestamp": [1_700_000_000_999, 1_700_000_000_000, 1_699_999_999_999],
    }
    write(source / "interactions", met)
    write(source / "visual", WIDE)
    found = import_("csv", source)
    assert found.met("train") == {("x", "007")}
    assert found.met("val") == {("y", "e")}
    assert found.met("test") == {("x", "7")}
    assert sorted(found.times().values()) == [1_699_999_999, 1_700_000_000, 1_700_000_000]


def test_each_time_is_seconds_or_milliseconds_by_itself(source: Path, write: Writer) -> None:
    times = [1_700_000_000 + at for at in range(10)]
    times[0] = 1_700_000_001_500
    write(source / "interactions", MET | {"timestamp": times})
    write(source / "visual", WIDE)
    found = import_("csv", source)
    assert found.times()["x", "007"] == 1_700_000_001
    assert found.times()["x", "7"] == 1_700_000_001
    # Of the two, the one with the half second came later.
    assert found.met("test") == {("x", "e"), ("y", "e")}


def test_the_unit_of_a_column_of_dates_is_not_guessed(source: Path) -> None:
    early = [datetime(1971, 1, 1, tzinfo=UTC) + timedelta(days=at) for at in range(10)]
    write_parquet(source / "interactions", MET | {"timestamp": early})
    write_parquet(source / "visual", WIDE)
    assert import_("csv", source).times()["x", "007"] == 31_536_000


def test_a_source_that_trains_nothing_is_told(source: Path, write: Writer) -> None:
    write(source / "interactions", MET | {"split": ["val"] * 7 + ["test"] * 3})
    write(source / "visual", WIDE)
    told = refusal("csv", source)
    assert "mine: has no interaction to train on (7 in val, 3 in test)" in told
    assert "interactions.parquet" not in told


def test_other_columns_are_named_by_options(source: Path, write: Writer) -> None:
    names = {"user_id": "viewer", "video_id": "clip", "timestamp": "at"}
    write(source / "interactions", {names[name]: values for name, values in MET.items()})
    write(source / "visual", {names.get(name, name): values for name, values in WIDE.items()})
    found = import_(
        "csv", source, "--user-column", "viewer", "--video-column", "clip", "--time-column", "at"
    )
    assert found.times()["x", "7"] == 1_700_000_001
    assert "--first-video: not for the format 'csv'" in refusal("csv", source, "--first-video", 1)
    told = refusal("csv", source, "--user-column", "viewer", "--video-column", "clip",
                   "--split-column", "part")  # fmt: skip
    assert "has no column 'part'" in told


def test_videos_are_told_of_and_order_matrices(source: Path, write: Writer) -> None:
    write(source / "interactions", MET)
    write(
        source / "videos",
        {
            "video_id": list(reversed(VIDEOS)),
            "title": ["E", "", "A, B", "7", "007"],
            "tags": ["a|b", "", " a ", "", "|"],
            "uploader": ["me"] * 5,
        },
    )
    np.save(source / "visual.npy", np.array(NUMBERS))
    found = import_("csv", source)
    assert found.dataset.video_ids == ["e", "ü", "a b", "7", "007"]
    assert found.features_of("7") == [4, -0.75]
    assert found.told_of("e") == {"title": "E", "tags": ["a", "b"], "uploader": "me"}
    assert found.told_of("ü") == {"uploader": "me"}
    assert found.told_of("a b") == {"title": "A, B", "tags": ["a"], "uploader": "me"}


def test_matrices_without_a_table_of_videos_have_numbers_for_ids(source: Path) -> None:
    write_parquet(source / "interactions", {"user_id": [5, 5, 6], "video_id": [1, 2, 4]})
    np.save(source / "acoustic.npy", np.array(NUMBERS, np.float16))
    found = import_("csv", source)
    assert found.dataset.user_ids == ["5", "6"]
    assert found.met("train") == {("5", "1"), ("5", "2"), ("6", "4")}
    assert found.dataset.video_ids == ["0", "1", "2", "3", "4"]


def test_what_other_programs_write_into_parquet_is_read(source: Path) -> None:
    """Dictionaries, large strings, lists of one length, dates: pandas and polars write these."""
    moments = pa.array([1_700_000_000_123 + at for at in range(10)], pa.timestamp("ms"))
    columns = {
        "user_id": pa.array(MET["user_id"]).dictionary_encode(),
        "video_id": pa.array(MET["video_id"], pa.large_string()),
        "timestamp": moments.cast(pa.timestamp("ns")),
    }
    write_parquet(source / "interactions", columns)
    vectors = pa.array(NUMBERS, pa.list_(pa.float32(), 2))
    write_parquet(source / "visual", {"video_id": VIDEOS, "vector": vectors})
    large = pa.array(NUMBERS, pa.large_list(pa.float64()))
    write_parquet(source / "textual", {"embedding": large, "video_id": VIDEOS, "title": VIDEOS})
    write_parquet(source / "videos", {"video_id": VIDEOS, "tags": [["x"], None, [], ["y"], []]})
    found = import_("csv", source)
    assert found.features_of("ü") == [4, -0.75, 4, -0.75]
    assert found.times()["x", "007"] == 1_700_000_000
    assert found.met("test") == {("x", "e"), ("y", "e")}
    assert found.told_of("ü") == {"tags": ["y"]}


def test_a_repeated_view_counts_once_by_its_first_time(source: Path) -> None:
    met = {"user_id": ["x"] * 6, "video_id": ["7", "e", "ü", "7", "a b", "7"],
           "timestamp": [5, 2, 3, 1, 4, 9]}  # fmt: skip
    write_csv(source / "interactions", met)
    write_csv(source / "visual", WIDE)
    found = import_("csv", source)
    assert found.times() == {("x", "7"): 1, ("x", "e"): 2, ("x", "ü"): 3, ("x", "a b"): 4}
    assert found.met("test") == {("x", "a b")}
    assert "2 interactions repeat a user and video: left out" in found.told


def test_without_times_the_seed_divides(source: Path) -> None:
    met = {"user_id": ["x"] * 5 + ["y"] * 5, "video_id": MET["video_id"]}
    write_csv(source / "interactions", met)
    write_csv(source / "visual", WIDE)
    tests = {
        tuple(read_tables(source, Options(seed=seed)).dataset.test.videos) for seed in range(8)
    }
    assert len(tests) > 1
    first, second = (read_tables(source, Options(seed=3)).dataset for _ in range(2))
    assert first.test.videos.tolist() == second.test.videos.tolist()


@pytest.mark.parametrize(
    "ids", [["007", "7"], ["1.0", "1"], ["true", "false"], ["2024-01-01"], ["NA", "null"]]
)
def test_an_id_that_looks_like_something_else_stays_text(ids: list[str], source: Path) -> None:
    write_csv(source / "interactions", {"user_id": ids, "video_id": ids})
    write_csv(source / "visual", {"video_id": ids, "a": [1.0 + n for n in range(len(ids))]})
    assert import_("csv", source).met("train") == {(text, text) for text in ids}


IDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(
        lambda text: fault_in_id(text) is None
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(videos=IDS, users=IDS)
def test_any_id_survives_a_csv(
    videos: list[str], users: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("t")
    met = {"user_id": [u for u in users for _ in videos], "video_id": videos * len(users)}
    write_csv(folder / "interactions", met)
    write_csv(folder / "visual", {"video_id": videos, "a": [1.0 + n for n in range(len(videos))]})
    found = read_tables(folder, Options()).dataset
    assert found.video_ids == videos
    assert set(found.user_ids) == set(users)
    assert len(found.train) + len(found.val) + len(found.test) == len(users) * len(videos)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"user_id": ["x"]}, "has no column 'video_id', found ['user_id']"),
        ({"user_id": ["x", None], "video_id": ["7", "7"]}, "row 1: user_id '' is missing"),
        ({"user_id": ["x", ""], "video_id": ["7", "7"]}, "row 1: user_id '' is empty"),
        ({"user_id": [1.5], "video_id": ["7"]}, "'user_id' must be text or whole numbers, found d"),
        ({"user_id": ["x"], "video_id": [["7"]]}, "'video_id' must be text or whole numbers"),
        ({**MET, "timestamp": [1.0] * 9 + [None]}, "row 9: timestamp is None, expected a number"),
        ({**MET, "timestamp": [5] * 9 + [1_700_000_000 * 10**9]}, "row 9: timestamp is 17000000"),
        ({**MET, "timestamp": [5.0] * 9 + [-1e300]}, "row 9: timestamp is -1e+300, expected seco"),
        ({**MET, "timestamp": [True] * 10}, "column 'timestamp' must be times since 1970"),
        ({**MET, "timestamp": ["2024-01-01"] * 10}, "row 0: timestamp is '2024-01-01', expected"),
        ({**MET, "split": ["train"] * 9 + ["dev"]}, "row 9: split is 'dev', expected one of"),
        ({**MET, "split": ["train"] * 9 + [None]}, "row 9: split is None, expected one of"),
    ],
)
def test_malformed_interactions_are_told(columns: dict[str, Any], text: str, source: Path) -> None:
    write_parquet(source / "interactions", columns)
    write_csv(source / "visual", WIDE)
    told = refusal("csv", source)
    assert told.startswith("interactions.parquet: ")
    assert text in told


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"id": ["7"], "a": [1.0]}, "has no column 'video_id'"),
        ({"video_id": ["7", "7"], "a": [1.0, 2.0]}, "row 1: video_id '7' more than once"),
        ({"video_id": ["7", "e"], "a": [1.0, None]}, "row 1: number 0 is nan, not a finite"),
        ({"video_id": ["7"], "v": [None], "w": [[1.0]]}, "column 'v' must be numbers, found null"),
        ({"video_id": ["7", "e"], "v": [[1.0], None]}, "row 1: v is missing"),
        ({"video_id": ["7", "e"], "v": [[1.0], [1.0, 2.0]]}, "row 1: v holds 2 numbers, the first"),
        ({"video_id": ["7"], "v": [["x"]]}, "column 'v' holds no vectors"),
        ({"video_id": ["7"], "v": [[1.0, None]]}, "row 0: number 1 is nan"),
        ({"video_id": ["7"], "v": [{"a": 1}]}, "column 'v' must be numbers, found struct"),
    ],
)
def test_malformed_features_are_told(columns: dict[str, Any], text: str, source: Path) -> None:
    write_parquet(source / "interactions", MET)
    write_parquet(source / "visual", columns)
    told = refusal("csv", source)
    assert told.startswith("visual.parquet: ")
    assert text in told


def test_a_matrix_must_fit_the_table_of_videos(source: Path) -> None:
    write_parquet(source / "interactions", MET)
    write_csv(source / "videos", {"video_id": VIDEOS})
    np.save(source / "visual.npy", np.ones((4, 2)))
    assert "visual.npy: has 4 rows, expected 5" in refusal("csv", source)
    matrix = np.ones((5, 2))
    matrix[2, 1] = np.nan
    np.save(source / "visual.npy", matrix)
    assert "visual.npy: row 2, column 1: nan is not" in refusal("csv", source)
    write_csv(source / "videos", {"video_id": ["7", "7"]})
    assert "videos.csv: 1 rows repeat a video_id" in refusal("csv", source)


def test_a_damaged_file_is_told(source: Path) -> None:
    write_csv(source / "visual", WIDE)
    (source / "interactions.parquet").write_bytes(b"PAR1 nothing")
    assert "interactions.parquet: is not a readable parquet" in refusal("csv", source)


def test_all_that_is_missing_is_told_at_once(source: Path) -> None:
    told = refusal("csv", source)
    assert "holds none of ['visual.parquet', 'visual.csv'" in told
    assert "holds none of ['interactions.parquet', 'interactions.csv'" in told
