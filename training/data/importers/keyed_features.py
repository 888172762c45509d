"""Reads features from tables that have a video's id in each row, and logs of ids beside them.

Knows ids and columns; nothing of any one format.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.modality import Modality
from training.data.dataset import Floats
from training.data.importers.imported import Log
from training.data.importers.text_tables import TextTable, read_table
from training.errors import InvalidDataset

# The column that holds a whole vector in one cell, where a table has others beside it.
VECTOR_COLUMN: Final = "embedding"


class Keyed(NamedTuple):
    """Features with the id of the video that each row of `matrix: (V, F)` belongs to.

    `dropped`: which columns of the source are not among them.
    """

    ids: list[str]
    matrix: Floats
    dropped: tuple[int, ...] = ()


def read_keyed(file: Path, id_columns: Sequence[str], *, drop_columns: bool = False) -> Keyed:
    """Read a .csv, .tsv or .parquet table of one modality: an id and its vector in each row.

    The id is in the first of `id_columns` that the table has. The vector is in the column
    `embedding`, or in the only other column (a list, or numbers as text), or in all other columns.
    `drop_columns`: leave out what is not finite, column by column, instead of refusing it.
    """
    if file.suffix not in (".csv", ".tsv", ".parquet"):
        raise InvalidDataset([f"{file.name}: expected .csv, .tsv or .parquet with ids"])
    table = read_table(file)
    id_column = next((name for name in id_columns if table.has(name)), id_columns[0])
    others = [name for name in table.table.column_names if name != id_column]
    wide = [VECTOR_COLUMN] if VECTOR_COLUMN in others else others
    return keyed(table, id_column, wide, drop_columns=drop_columns)


def keyed(
    table: TextTable, id_column: str, columns: list[str], *, drop_columns: bool = False
) -> Keyed:
    """Return the vectors in `columns`, whole ones in one column or a number in each of several."""
    ids = table.ids(id_column).to_pylist()
    seen: set[str] = set()
    for row, text in enumerate(ids):
        if text in seen:
            raise table.fault(f"{id_column} {text[:80]!r} more than once", row)
        seen.add(text)
    if not columns or not len(table):
        raise table.fault("has no features")
    matrix = _vectors(table, columns[0]) if len(columns) == 1 else _wide(table, columns)
    kept = np.isfinite(matrix).all(axis=0) | (not drop_columns)
    matrix = np.ascontiguousarray(matrix[:, kept])
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, place = bad[0].tolist()
        raise table.fault(f"number {place} is {matrix[row, place]}, not a finite float32", row)
    if matrix.shape[1] == 0:
        raise table.fault("has no features")
    return Keyed(ids, matrix, tuple(np.flatnonzero(~kept).tolist()))


def log_by_ids(users: pa.ChunkedArray, videos: pa.ChunkedArray, video_ids: list[str]) -> Log:
    """Return who met what, from two columns of ids beside each other."""
    encoded = pc.dictionary_encode(users).combine_chunks()
    known = pa.array(video_ids, pa.string())
    rows = pc.index_in(videos, value_set=known).fill_null(-1)
    met = videos.unique()
    return Log(
        encoded.indices.to_numpy().astype(np.int64),
        encoded.dictionary.to_pylist(),
        rows.to_numpy().astype(np.int64),
        unknown=len(met) - pc.sum(pc.is_in(met, value_set=known)).as_py() if len(met) else 0,
    )


def join(parts: Mapping[Modality, Keyed]) -> tuple[list[str], dict[Modality, Floats]]:
    """Return all ids, in the order met, and matrices of their rows; zeros where one is missing."""
    rows: dict[str, int] = {}
    for part in parts.values():
        for text in part.ids:
            rows.setdefault(text, len(rows))
    features: dict[Modality, Floats] = {}
    for modality, part in parts.items():
        matrix = np.zeros((len(rows), part.matrix.shape[1]), np.float32)
        matrix[[rows[text] for text in part.ids]] = part.matrix
        features[modality] = matrix
    return list(rows), features


def _wide(table: TextTable, columns: list[str]) -> Floats:
    matrix = np.empty((len(table), len(columns)), np.float32)
    # What float32 cannot hold becomes inf or nan here, and is named by the caller.
    with np.errstate(over="ignore", invalid="ignore"):
        for place, name in enumerate(columns):
            matrix[:, place] = table.features(name)
    return matrix


def _vectors(table: TextTable, name: str) -> Floats:
    column = table.column(name)
    if pa.types.is_string(column.type):
        rows = [_parse(table, row, text) for row, text in enumerate(column.to_pylist())]
    else:
        rows = _lists(table, name, column)
    widths = np.array([len(row) for row in rows])
    odd = np.flatnonzero(widths != widths[0])
    if len(odd):
        text = f"{name} holds {widths[odd[0]]} numbers, the first row {widths[0]}"
        raise table.fault(text, int(odd[0]))
    return np.stack(rows)


def _parse(table: TextTable, row: int, text: str | None) -> Floats:
    """Read numbers apart by commas or spaces, in brackets or not."""
    try:
        words = (text or "").strip("[] ").replace(",", " ").split()
        with np.errstate(over="ignore"):
            return np.array([float(word) for word in words]).astype(np.float32)
    except ValueError as error:
        raise table.fault(f"holds no vector: {error}", row) from error


def _lists(table: TextTable, name: str, column: pa.ChunkedArray) -> list[Floats]:
    listed = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(check(column.type) for check in listed):
        # A table of an id and one number a video.
        return list(_wide(table, [name]))
    if column.null_count:
        raise table.fault(f"{name} is missing", pc.index(pc.is_null(column), True).as_py())
    try:
        return [np.asarray(row.values.cast(pa.float32()), np.float32) for row in column]
    except pa.ArrowInvalid as error:
        raise table.fault(f"column {name!r} holds no vectors: {error}") from error
