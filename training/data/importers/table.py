"""Reads a folder of tables under our own names, for what comes from a database or a notebook.

`interactions` has user_id, video_id and, if known, timestamp (seconds or milliseconds since 1970)
and split (train, val, test); options name other columns. `visual`, `acoustic` and `textual` hold
features: a row a video, with video_id and the vector in one column or in several. `videos` may tell
video_id, title, tags (apart by |, or a list), uploader, language, published_at and expires_at. All
are .parquet, .csv or .tsv. Features may also be .npy: row i then belongs to row i of `videos` or,
without such a table, to the video whose id is the number i. Ids are the tables'.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.modality import MODALITIES
from training.data.dataset import SPLITS, Rows
from training.data.importers.feature_files import Names, find_features, read_finite
from training.data.importers.imported import Catalog, Imported, Options, assemble, by_user
from training.data.importers.keyed_features import Keyed, join, log_by_ids, read_keyed
from training.data.importers.text_tables import TextTable, read_table
from training.errors import InvalidDataset

USER: Final = "user_id"
VIDEO: Final = "video_id"
TIME: Final = "timestamp"
SPLIT: Final = "split"
TABLES: Final = (".parquet", ".csv", ".tsv")
FEATURES: Final[Names] = {
    modality: [f"{modality}{suffix}" for suffix in (*TABLES, ".npy")] for modality in MODALITIES
}
TOLD: Final = ("title", "uploader", "language", "published_at", "expires_at")
TAGS: Final = "tags"


def read_tables(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`; what has no split is divided 80/10/10 a user.

    Raises:
        InvalidDataset: a file is missing or malformed.
    """
    faults: list[str] = []
    files = find_features([folder], FEATURES, options, faults)
    interactions = _find(folder, "interactions")
    if interactions is None:
        expected = [f"interactions{suffix}" for suffix in TABLES]
        faults.append(f"{folder}: holds none of {expected}")
    if faults or interactions is None:
        raise InvalidDataset(faults)
    video = options.video_column or VIDEO
    told = _read_videos(_find(folder, "videos"), video)
    parts = {m: _read_features(file, video, list(told)) for m, file in files.items()}
    video_ids, features = join(parts)
    table = read_table(interactions)
    log = log_by_ids(table.ids(options.user_column or USER), table.ids(video), video_ids)
    time, split = options.time_column or TIME, options.split_column or SPLIT
    if options.time_column or table.has(time):
        log = log._replace(times=table.times(time))
    if options.split_column or table.has(split):
        log = log._replace(splits=_splits(table, split))
    catalog = Catalog(video_ids, features, [told.get(text, {}) for text in video_ids])
    return assemble(folder.resolve().name, log, catalog, by_user(options.seed))


def _find(folder: Path, name: str) -> Path | None:
    files = [folder / f"{name}{suffix}" for suffix in TABLES]
    return next((file for file in files if file.exists()), None)


def _read_features(file: Path, video: str, ids: list[str]) -> Keyed:
    if file.suffix != ".npy":
        return read_keyed(file, [video])
    faults: list[str] = []
    matrix = read_finite(file, faults)
    if matrix is None or faults:
        raise InvalidDataset(faults)
    ids = ids or [str(row) for row in range(len(matrix))]
    if len(ids) != len(matrix):
        text = f"has {len(matrix)} rows, expected {len(ids)}, one a row of the table of videos"
        raise InvalidDataset([f"{file.name}: {text}"])
    return Keyed(ids, matrix)


def _read_videos(file: Path | None, video: str) -> dict[str, dict[str, Any]]:
    """Return what is told of each video, in the order of the table."""
    if file is None:
        return {}
    table = read_table(file)
    ids = table.ids(video).to_pylist()
    told: dict[str, dict[str, Any]] = {text: {} for text in ids}
    if len(told) < len(ids):
        raise table.fault(f"{len(ids) - len(told)} rows repeat a {video}")
    for column in TOLD:
        values = table.texts(column).to_pylist() if table.has(column) else []
        for row, value in zip(told.values(), values, strict=False):
            row.update({column: value} if value else {})
    for row, tags in zip(told.values(), _tags(table), strict=False):
        row.update({TAGS: tags} if tags else {})
    return told


def _tags(table: TextTable) -> list[list[str]]:
    if not table.has(TAGS):
        return []
    column = table.column(TAGS)
    if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
        return [[tag for tag in tags or [] if tag] for tags in column.to_pylist()]
    texts = table.texts(TAGS).to_pylist()
    return [[tag.strip() for tag in (text or "").split("|") if tag.strip()] for text in texts]


def _splits(table: TextTable, name: str) -> Rows:
    numbers = pc.index_in(table.texts(name), value_set=pa.array(SPLITS, pa.string())).fill_null(-1)
    splits: Rows = numbers.to_numpy().astype(np.int64)
    wrong = np.flatnonzero(splits < 0)
    if len(wrong):
        row = int(wrong[0])
        text = f"{name} is {table.column(name)[row].as_py()!r}, expected one of {list(SPLITS)}"
        raise table.fault(text, row)
    return splits
