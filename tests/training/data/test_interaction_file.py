"""Interactions read alike whatever the row groups, and faults are told by their row in the file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.datasets import two_tastes
from training.data import interaction_file
from training.data.dataset import SPLITS
from training.data.folder import read_dataset
from training.data.folder_writer import write_dataset
from training.errors import InvalidDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "d", two_tastes(), times=np.arange(600)[::-1].copy())
    return tmp_path / "d"


def table_of(folder: Path) -> pa.Table:
    return pq.read_table(folder / "interactions.parquet")


def put(folder: Path, table: pa.Table, **options: int) -> None:
    pq.write_table(table, folder / "interactions.parquet", **options)


def content(folder: Path) -> Iterator[list[object]]:
    dataset = read_dataset(folder)
    yield list(dataset.user_ids)
    for split in SPLITS:
        part = dataset.interactions(split)
        assert part.users.dtype == part.videos.dtype == np.int64
        yield [part.users.tolist(), part.videos.tolist()]


@pytest.mark.parametrize("dropped", [[], ["split"], ["split", "timestamp"]])
@pytest.mark.parametrize("size", [7, 100])
def test_row_groups_change_nothing(dropped: list[str], size: int, folder: Path) -> None:
    table = table_of(folder).drop_columns(dropped)
    put(folder, table)
    whole = list(content(folder))
    put(folder, table, row_group_size=size)
    assert pq.ParquetFile(folder / "interactions.parquet").num_row_groups > 5
    assert list(content(folder)) == whole


def test_blocks_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(content(folder))
    monkeypatch.setattr(interaction_file, "BLOCK", 9)
    assert list(content(folder)) == whole


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("user_id", "", "user_id '' is empty"),
        ("user_id", None, "user_id is null"),
        ("video_id", "ghost", "video_id 'ghost' is not in videos.parquet"),
        ("split", "dev", "found 'dev'"),
    ],
)
def test_a_fault_in_a_later_row_group_is_told_by_its_row_in_the_file(
    column: str, value: str | None, text: str, folder: Path
) -> None:
    table = table_of(folder)
    values = table[column].to_pylist()
    values[503] = value
    place = table.column_names.index(column)
    put(folder, table.set_column(place, column, pa.array(values)), row_group_size=100)
    with pytest.raises(InvalidDataset) as caught:
        read_dataset(folder)
    (fault,) = caught.value.faults
    assert fault.startswith("interactions.parquet: row 503: ")
    assert text in fault


def test_a_pair_repeated_in_another_row_group_is_found(folder: Path) -> None:
    table = table_of(folder)
    put(folder, pa.concat_tables([table, table.slice(3, 1)]), row_group_size=50)
    with pytest.raises(InvalidDataset, match=f"row {len(table)}: repeats row 3 .* 1 duplicate"):
        read_dataset(folder)


def test_a_column_that_is_there_twice_is_refused(folder: Path) -> None:
    table = table_of(folder)
    put(folder, table.append_column("user_id", table["user_id"]))
    with pytest.raises(InvalidDataset, match="no column 'user_id', found"):
        read_dataset(folder)


def test_ids_are_written_once_a_row_group_and_read_as_strings(folder: Path) -> None:
    file = pq.ParquetFile(folder / "interactions.parquet")
    assert file.schema_arrow.field("user_id").type == pa.string()
    for column in range(3):
        chunk = file.metadata.row_group(0).column(column)
        assert chunk.has_dictionary_page
        assert chunk.compression == "ZSTD"
