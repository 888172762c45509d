"""Every fault of a dataset folder is told with its file, its row and what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.damage import flip_bit
from tests.support.datasets import dataset_of, random_features
from training.data.folder import read_dataset
from training.data.folder_writer import write_dataset
from training.errors import InvalidDataset

VIDEOS, INTERACTIONS = "videos.parquet", "interactions.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good folder: 2 users, 6 videos, 8 interactions, two modalities."""
    train = [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4)]
    features = random_features(6, {"visual": 3, "textual": 2})
    dataset = dataset_of(
        users=2, videos=6, train=train, val=[(0, 3), (1, 0)], test=[(1, 1)], features=features
    )
    write_dataset(tmp_path / "d", dataset)
    return tmp_path / "d"


def faults(folder: Path) -> list[str]:
    with pytest.raises(InvalidDataset) as caught:
        read_dataset(folder)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults


def fault(folder: Path) -> str:
    (only,) = faults(folder)
    return only


def edit(folder: Path, name: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Let `change` alter the rows of a parquet file in place."""
    table = pq.read_table(folder / name)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / name)


def recolumn(folder: Path, name: str, column: str, values: pa.Array) -> None:
    """Replace or add a whole column."""
    table = pq.read_table(folder / name)
    kept = table.drop_columns([column]) if column in table.column_names else table
    pq.write_table(kept.append_column(column, values), folder / name)


def put(folder: Path, name: str, row: int, column: int, value: float) -> None:
    """Set one number of a feature matrix, as float64."""
    matrix = np.load(folder / name).astype(np.float64)
    matrix[row, column] = value
    np.save(folder / name, matrix)


def told(text: str, *parts: str) -> bool:
    return all(part in text for part in parts)


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e39, "inf")]
)
def test_a_number_that_is_no_finite_float32_is_named_by_row_and_column(
    value: float, shown: str, folder: Path
) -> None:
    put(folder, "visual.npy", 4, 1, value)
    assert told(fault(folder), "visual.npy: row 4, column 1:", shown, "not a finite float32")


def test_how_many_numbers_are_not_finite_is_told(folder: Path) -> None:
    for row, column in ((2, 0), (2, 1), (5, 2)):
        put(folder, "visual.npy", row, column, np.nan)
    assert told(fault(folder), "row 2, column 0", "3 such values in 2 rows")


@pytest.mark.parametrize(
    ("matrix", "parts"),
    [
        (np.ones((5, 3)), ("has 5 rows, expected 6",)),
        (np.ones((7, 3)), ("has 7 rows, expected 6",)),
        (np.ones(6), ("2-d float array", "(6,)")),
        (np.ones((6, 3, 1)), ("2-d float array", "(6, 3, 1)")),
        (np.ones((6, 3), np.int64), ("2-d float array", "int64")),
        (np.ones((6, 3), complex), ("2-d float array", "complex128")),
        (np.full((6, 3), "a"), ("2-d float array",)),
        (np.ones((6, 0)), ("no columns",)),
        (np.zeros((6, 3)), ("every row is all zero",)),
    ],
)
def test_a_matrix_of_the_wrong_kind_is_refused(
    matrix: Any, parts: tuple[str, ...], folder: Path
) -> None:
    np.save(folder / "visual.npy", matrix)
    assert told(fault(folder), "visual.npy: ", *parts)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{'a"])
def test_bytes_that_are_no_array_are_refused(content: bytes, folder: Path) -> None:
    (folder / "visual.npy").write_bytes(content)
    assert told(fault(folder), "visual.npy: is not a plain .npy array")


def test_a_pickled_array_is_refused_and_not_run(folder: Path) -> None:
    np.save(folder / "visual.npy", np.array([[{"a": 1}]], dtype=object))
    assert told(fault(folder), "visual.npy: is not a plain .npy array")


def test_an_archive_is_no_matrix(folder: Path) -> None:
    np.savez(folder / "visual.npz", a=np.ones((6, 3)))
    (folder / "visual.npz").rename(folder / "visual.npy")
    assert told(fault(folder), "visual.npy: must be a 2-d float array")


def test_a_header_that_promises_more_than_there_is_is_refused(folder: Path) -> None:
    raw = (folder / "visual.npy").read_bytes()
    huge = raw.replace(b"(6, 3), }" + b" " * 12, b"(900000000000, 3), }" + b" ")
    assert huge != raw
    (folder / "visual.npy").write_bytes(huge)
    assert told(fault(folder), "visual.npy: is not a plain .npy array")


@pytest.mark.parametrize("name", ["visual.npy", VIDEOS, INTERACTIONS, "dataset.json"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bit=st.integers(0, 1 << 20), cut=st.booleans())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    name: str, bit: int, cut: bool, folder: Path
) -> None:
    whole = (folder / name).read_bytes()
    if cut:
        (folder / name).write_bytes(whole[: bit % len(whole)])
    else:
        flip_bit(folder / name, bit)
    try:
        read_dataset(folder)
    except InvalidDataset as error:
        assert error.faults  # noqa: PT017 - it need not be raised
    finally:
        (folder / name).write_bytes(whole)


def test_without_any_features_there_is_nothing_to_fuse(folder: Path) -> None:
    (folder / "visual.npy").unlink()
    (folder / "textual.npy").unlink()
    assert told(fault(folder), "holds no features", "visual")


def test_constant_columns_stop_training_until_they_are_accepted(folder: Path) -> None:
    for row in range(6):
        put(folder, "visual.npy", row, 1, 7.0)
        put(folder, "visual.npy", row, 2, 7.0)
    assert told(fault(folder), "visual.npy: 2 columns hold one value", ": 1, 2", "constant_columns")
    header = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**header, "accept": ["constant_columns"]}))
    assert read_dataset(folder).videos == 6


def test_rows_without_the_modality_do_not_hide_a_constant_column(folder: Path) -> None:
    matrix = random_features(6, {"visual": 3}, seed=1)["visual"]
    matrix[:, 1] = 7
    matrix[:2] = 0
    np.save(folder / "visual.npy", matrix)
    assert told(fault(folder), "1 columns hold one value in every row: 1")


def test_a_video_without_any_modality_is_named(folder: Path) -> None:
    for name in ("visual.npy", "textual.npy"):
        matrix = np.load(folder / name)
        matrix[[2, 5]] = 0
        np.save(folder / name, matrix)
    assert told(fault(folder), f"{VIDEOS}: rows 2, 5: the video has no modality")


def test_an_unknown_video_is_named(folder: Path) -> None:
    edit(folder, INTERACTIONS, lambda rows: rows[4].update(video_id="ghost"))
    edit(folder, INTERACTIONS, lambda rows: rows[6].update(video_id="ghost"))
    assert told(fault(folder), f"{INTERACTIONS}: rows 4, 6: ", "'ghost' is not in videos.parquet")


@pytest.mark.parametrize("column", ["user_id", "video_id"])
def test_a_null_in_an_interaction_is_named(column: str, folder: Path) -> None:
    edit(folder, INTERACTIONS, lambda rows: rows[3].update({column: None}))
    assert told(fault(folder), f"{INTERACTIONS}: row 3: {column}")


def test_duplicate_pairs_are_named_whatever_their_splits(folder: Path) -> None:
    edit(folder, INTERACTIONS, lambda rows: rows.append({**rows[1], "split": "test"}))
    assert told(fault(folder), f"{INTERACTIONS}: row 8: repeats row 1 ('u0', 'v1')", "1 duplicate")


def test_a_user_without_training_stops_until_accepted(folder: Path) -> None:
    new = {"user_id": "late", "video_id": "v0", "split": "test"}
    edit(folder, INTERACTIONS, lambda rows: rows.append(new))
    assert told(fault(folder), f"{INTERACTIONS}: 1 users", "users_without_training")
    header = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(
        json.dumps({**header, "accept": ["users_without_training"]})
    )
    assert read_dataset(folder).user_ids == ["u0", "u1", "late"]


@pytest.mark.parametrize(
    ("bad", "what"),
    [("", "is empty"), ("a\nb", "control character"), ("x" * 513, "513 bytes"), (None, "null")],
)
@pytest.mark.parametrize(("name", "column"), [(VIDEOS, "video_id"), (INTERACTIONS, "user_id")])
def test_a_bad_id_is_named(
    name: str, column: str, bad: str | None, what: str, folder: Path
) -> None:
    edit(folder, name, lambda rows: rows[2].update({column: bad}))
    assert told(faults(folder)[0], f"{name}: row 2: {column}", what)


def test_a_table_of_bad_ids_is_told_in_a_few_lines(folder: Path) -> None:
    many = [{"user_id": f"\x00{n}", "video_id": "v0", "split": "train"} for n in range(3000)]
    edit(folder, INTERACTIONS, lambda rows: rows.extend(many))
    assert len(faults(folder)) < 10


def test_a_video_listed_twice_is_named(folder: Path) -> None:
    edit(folder, VIDEOS, lambda rows: rows[5].update(video_id="v2"))
    assert told(fault(folder), f"{VIDEOS}: rows 2, 5: video_id 'v2' more than once")


@pytest.mark.parametrize("bad", ["Train", "", "dev", None])
def test_a_bad_split_is_named(bad: str | None, folder: Path) -> None:
    edit(folder, INTERACTIONS, lambda rows: rows[6].update(split=bad))
    assert told(fault(folder), f"{INTERACTIONS}: row 6: split must be one of", repr(bad))


def test_a_split_column_of_numbers_is_refused(folder: Path) -> None:
    recolumn(folder, INTERACTIONS, "split", pa.array([0] * 8))
    assert told(faults(folder)[0], INTERACTIONS, "split must be one of", "found 0")


def test_without_training_rows_there_is_nothing_to_learn(folder: Path) -> None:
    recolumn(folder, INTERACTIONS, "split", pa.array(["test"] * 8))
    assert told(faults(folder)[0], f"{INTERACTIONS}: has no row in the train split")


@pytest.mark.parametrize("drop", [[], ["split"]])
def test_an_empty_table_of_interactions_is_refused(drop: list[str], folder: Path) -> None:
    table = pq.read_table(folder / INTERACTIONS).slice(0, 0)
    pq.write_table(table.drop_columns(drop), folder / INTERACTIONS)
    assert told(faults(folder)[0], f"{INTERACTIONS}: has no row in the train split")


def test_an_empty_table_of_videos_is_refused(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / VIDEOS).slice(0, 0), folder / VIDEOS)
    assert told(faults(folder)[0], "visual.npy: has 6 rows, expected 0")


def test_a_timestamp_that_is_missing_is_named(folder: Path) -> None:
    recolumn(folder, INTERACTIONS, "timestamp", pa.array([7, 6, None, 4, None, 2, 1, 0]))
    # Where splits are told, times divide nothing.
    read_dataset(folder)
    table = pq.read_table(folder / INTERACTIONS)
    pq.write_table(table.drop_columns(["split"]), folder / INTERACTIONS, row_group_size=2)
    assert told(faults(folder)[0], INTERACTIONS, "row 2: timestamp is null")


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1.5] * 8),
        pa.array(["2026-01-01"] * 8),
        pa.array([0] * 8, pa.timestamp("ms")),
        pa.array([True] * 8),
    ],
)
def test_a_timestamp_of_the_wrong_type_is_named(times: pa.Array, folder: Path) -> None:
    recolumn(folder, INTERACTIONS, "timestamp", times)
    assert told(fault(folder), INTERACTIONS, "timestamp must be int64 seconds", str(times.type))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("title", pa.array([1] * 6)),
        ("published_at", pa.array([0] * 6, pa.timestamp("us"))),
        ("tags", pa.array(["a,b"] * 6)),
        ("tags", pa.array([[1]] * 6, pa.list_(pa.field("element", pa.int64())))),
    ],
)
def test_metadata_of_the_wrong_type_is_named(column: str, values: pa.Array, folder: Path) -> None:
    recolumn(folder, VIDEOS, column, values)
    assert told(fault(folder), f"{VIDEOS}: column '{column}' must be", str(values.type))


@pytest.mark.parametrize("values", [pa.array([1] * 6), pa.nulls(6)])
def test_hidden_of_the_wrong_type_is_named(values: pa.Array, folder: Path) -> None:
    recolumn(folder, VIDEOS, "hidden", values)
    assert told(fault(folder), f"{VIDEOS}: column 'hidden' must be bool", str(values.type))


def test_a_null_hides_nothing(folder: Path) -> None:
    recolumn(folder, VIDEOS, "hidden", pa.array([None, True, False, None, None, True]))
    assert read_dataset(folder).hidden.tolist() == [1, 5]


def test_duplicate_pairs_are_named_though_one_is_only_seen(folder: Path) -> None:
    edit(folder, INTERACTIONS, lambda rows: rows.append({**rows[0], "split": "seen"}))
    assert told(fault(folder), f"{INTERACTIONS}: row 8: repeats row 0", "1 duplicate")


def test_metadata_that_is_null_is_left_out(folder: Path) -> None:
    recolumn(folder, VIDEOS, "tags", pa.array([["a", None], None, [], ["b"], None, None]))
    recolumn(folder, VIDEOS, "title", pa.nulls(6))
    found = read_dataset(folder).metadata
    assert found == [{"tags": ["a"]}, {}, {"tags": []}, {"tags": ["b"]}, {}, {}]


@pytest.mark.parametrize("name", [VIDEOS, INTERACTIONS])
def test_a_missing_table_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    assert told(fault(folder), f"{name}: is missing")


@pytest.mark.parametrize("name", [VIDEOS, INTERACTIONS])
def test_a_file_that_is_no_parquet_is_named(name: str, folder: Path) -> None:
    (folder / name).write_text("user_id,video_id\n")
    assert told(fault(folder), f"{name}: is not a readable parquet file")


def test_a_missing_column_is_named_with_those_there_are(folder: Path) -> None:
    pq.write_table(
        pq.read_table(folder / INTERACTIONS).drop_columns(["user_id"]), folder / INTERACTIONS
    )
    assert told(fault(folder), INTERACTIONS, "no column 'user_id'", "video_id", "split")


def test_numbers_are_no_ids(folder: Path) -> None:
    recolumn(folder, INTERACTIONS, "user_id", pa.array(range(8)))
    assert told(fault(folder), INTERACTIONS, "'user_id' must be string, found int64")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "format_version must be 1, found []"),
        ('{"format_version": 2}', "format_version must be 1, found 2"),
        ('{"format_version": 1, "accept": ["everything"]}', "accept is ['everything']"),
        ('{"format_version": 1, "accept": "constant_columns"}', "accept is 'constant_columns'"),
        ('{"format_version": 1, "accept": [{}]}', "accept is [{}]"),
        ('{"format_version": 1, "accept": 5}', "accept is 5"),
        ('{"format_version": 1, "log_position": 5}', "log_position is 5"),
        ('{"format_version": 1, "log_position": null}', "log_position is None"),
        ('{"format_version": 1, "log_position": "1234"}', "log_position is '1234'"),
    ],
)
def test_a_bad_header_is_told(text: str, part: str, folder: Path) -> None:
    (folder / "dataset.json").write_text(text)
    assert told(fault(folder), "dataset.json", part)


@pytest.mark.parametrize("path", ["missing", "d/dataset.json"])
def test_what_is_no_dataset_folder_is_told(path: str, folder: Path) -> None:
    assert told(fault(folder.parent / path), "is missing", "no dataset folder")


def test_all_faults_are_told_at_once(folder: Path) -> None:
    put(folder, "visual.npy", 1, 1, np.nan)
    np.save(folder / "textual.npy", np.ones((5, 2)))
    edit(folder, VIDEOS, lambda rows: rows[0].update(video_id="a\tb"))
    edit(folder, VIDEOS, lambda rows: rows[5].update(video_id="v4"))
    edit(folder, INTERACTIONS, lambda rows: rows[7].update(user_id=""))
    files = [text.partition(":")[0] for text in faults(folder)]
    assert sorted(files) == [
        INTERACTIONS,
        "textual.npy",
        VIDEOS,
        VIDEOS,
        "visual.npy",
    ]


def test_all_faults_of_the_interactions_are_told_at_once(folder: Path) -> None:
    edit(folder, INTERACTIONS, lambda rows: rows.append(dict(rows[0])))
    edit(folder, INTERACTIONS, lambda rows: rows[6].update(split="dev"))
    recolumn(folder, INTERACTIONS, "timestamp", pa.array([0.5] * 9))
    text = "\n".join(faults(folder))
    assert told(text, "repeats row 0", "split must be one of", "timestamp must be")


@pytest.mark.parametrize("name", [VIDEOS, INTERACTIONS])
def test_text_that_is_not_utf8_is_named(name: str, folder: Path) -> None:
    count = pq.read_table(folder / name).num_rows
    binary = pa.array([b"v0"] * (count - 1) + [b"\xff"]).view(pa.string())
    recolumn(folder, name, "title", binary)
    assert told(fault(folder), f"{name}: is not a readable parquet file", "UTF8", str(count - 1))
