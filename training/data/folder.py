"""The canonical dataset folder on disk, read with every fault named (see `folder_writer`).

    dataset.json           {"format_version": 1, "name": ..., "accept": [...]}
    interactions.parquet   user_id, video_id: string;
                           optional timestamp: int64 seconds, split: string
    videos.parquet         video_id: string;
                           optional title, uploader, published_at: string, tags: list of string
    visual.npy, acoustic.npy, textual.npy     any of them: (V, F) float, row i = row i of
                           videos.parquet; an all-zero row says that the video lacks the modality

`accept` lists findings that the owner of the data has seen and wants trained on all the same.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.ids import fault_in_id
from models.modality import MODALITIES, Modality
from training.data.dataset import SPLITS, Dataset, Floats, Interactions
from training.data.faults import MAX_FAULTS_SHOWN, Faults
from training.data.matrix import constant_columns, read_matrix
from training.data.split import split_by_user
from training.errors import InvalidDataset

FORMAT_VERSION: Final = 1
# Findings that stop training until `accept` in dataset.json names them.
CONSTANT_COLUMNS: Final = "constant_columns"
USERS_WITHOUT_TRAINING: Final = "users_without_training"
ACCEPTABLE: Final = (CONSTANT_COLUMNS, USERS_WITHOUT_TRAINING)
METADATA: Final = ("title", "tags", "uploader", "published_at")


def read_dataset(folder: Path) -> Dataset:
    """Read and validate a dataset folder.

    Features come back as float32. Interactions without a split column are split 80/10/10 a user.

    Raises:
        InvalidDataset: with every fault found, each naming file, row and what is wrong.
    """
    header = _read_header(folder)
    faults = Faults(header.get("accept", []))
    videos = _read_table(folder, "videos.parquet", ["video_id"], faults)
    interactions = _read_table(folder, "interactions.parquet", ["user_id", "video_id"], faults)
    faults.stop()
    _check_ids(videos, "video_id", "videos.parquet", faults)
    _check_ids(interactions, "user_id", "interactions.parquet", faults)
    _check_unique(videos["video_id"], faults)
    _check_metadata(videos, faults)
    features = _read_features(folder, len(videos), faults)
    faults.stop()
    user_ids, splits = _read_interactions(interactions, videos["video_id"], faults)
    faults.stop()
    dataset = Dataset(
        name=str(header.get("name", folder.name)),
        user_ids=user_ids,
        video_ids=videos["video_id"].to_pylist(),
        train=splits[0],
        val=splits[1],
        test=splits[2],
        features=features,
        metadata=_read_metadata(videos),
    )
    _check_whole(dataset, faults)
    faults.stop()
    return dataset


def users_without_training(dataset: Dataset) -> int:
    """Count the users who appear in val or test alone: nothing personal can be learnt of them."""
    return dataset.users - len(np.unique(dataset.train.users))


def _read_header(folder: Path) -> dict[str, Any]:
    file = folder / "dataset.json"
    if not file.is_file():
        raise InvalidDataset([f"{file} is missing: {folder} is no dataset folder"])
    try:
        header = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidDataset([f"{file} is not JSON: {error}"]) from error
    if not isinstance(header, dict) or header.get("format_version") != FORMAT_VERSION:
        found = header.get("format_version") if isinstance(header, dict) else header
        raise InvalidDataset([f"{file}: format_version must be {FORMAT_VERSION}, found {found!r}"])
    accept = header.get("accept", [])
    if not isinstance(accept, list) or any(finding not in ACCEPTABLE for finding in accept):
        raise InvalidDataset([f"{file}: accept is {accept!r}, expected some of {list(ACCEPTABLE)}"])
    return header


def _read_table(folder: Path, name: str, columns: list[str], faults: Faults) -> pa.Table:
    try:
        table = pq.read_table(folder / name)
        table.validate(full=True)  # text that is not UTF-8 is found only here
    except FileNotFoundError:
        faults.add(name, f"is missing in {folder}")
        return pa.table({})
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        faults.add(name, f"is not a readable parquet file: {error}")
        return pa.table({})
    for column in columns:
        if column not in table.column_names:
            faults.add(name, f"has no column {column!r}, found {table.column_names}")
        elif not _is_text(table[column].type):
            faults.add(name, f"column {column!r} must be string, found {table[column].type}")
    return table


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_ids(table: pa.Table, column: str, name: str, faults: Faults) -> None:
    texts = table[column]
    faults.add_rows(name, np.flatnonzero(pc.is_null(texts)).tolist(), f"{column} is null")
    distinct = (text for text in texts.unique().to_pylist() if text is not None)
    bad = ((text, fault) for text in distinct if (fault := fault_in_id(text)))
    for text, fault in islice(bad, MAX_FAULTS_SHOWN):
        rows = np.flatnonzero(pc.fill_null(pc.equal(texts, text), fill_value=False)).tolist()
        faults.add_rows(name, rows, f"{column} {text[:80]!r} {fault}")


def _check_unique(ids: pa.ChunkedArray, faults: Faults) -> None:
    codes = pc.dictionary_encode(ids).combine_chunks().indices.to_numpy(zero_copy_only=False)
    first, counts = np.unique(codes, return_index=True, return_counts=True)[1:]
    for start in first[counts > 1][:MAX_FAULTS_SHOWN]:
        rows = np.flatnonzero(codes == codes[start]).tolist()
        faults.add_rows("videos.parquet", rows, f"video_id {ids[start].as_py()!r} more than once")


def _check_metadata(videos: pa.Table, faults: Faults) -> None:
    for column in set(METADATA).intersection(videos.column_names):
        kind = videos[column].type
        if column == "tags":
            listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            fits = listed and _is_text(kind.value_type)
        else:
            fits = _is_text(kind)
        # A column of nulls alone has no other type.
        if not fits and not pa.types.is_null(kind):
            wanted = "list of string" if column == "tags" else "string"
            faults.add("videos.parquet", f"column {column!r} must be {wanted}, found {kind}")


def _read_features(folder: Path, videos: int, faults: Faults) -> dict[Modality, Floats]:
    features: dict[Modality, Floats] = {}
    for modality in MODALITIES:
        file = folder / f"{modality}.npy"
        if file.exists():
            matrix = read_matrix(file, faults.found)
            if matrix is not None:
                _check_features(file.name, matrix, videos, faults)
                features[modality] = matrix
    if not features and not faults.found:
        faults.add(str(folder), f"holds no features: expected any of {list(MODALITIES)} as .npy")
    return features


def _check_features(name: str, matrix: Floats, videos: int, faults: Faults) -> None:
    if len(matrix) != videos:
        faults.add(name, f"has {len(matrix)} rows, expected {videos}, one a row of videos.parquet")
        return
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        faults.add(
            name,
            f"row {row}, column {column}: {matrix[row, column]} is not a finite float32 "
            f"({len(bad)} such values in {len(np.unique(bad[:, 0]))} rows)",
        )
        return
    if not matrix.any():
        faults.add(name, "every row is all zero, so no video has this modality; remove the file")
        return
    constant = constant_columns(matrix)
    if constant:
        shown = ", ".join(map(str, constant[:MAX_FAULTS_SHOWN]))
        text = f"{len(constant)} columns hold one value in every row: {shown}"
        faults.add_acceptable(CONSTANT_COLUMNS, name, text)


def _read_interactions(
    table: pa.Table, video_ids: pa.ChunkedArray, faults: Faults
) -> tuple[list[str], list[Interactions]]:
    name = "interactions.parquet"
    encoded = pc.dictionary_encode(table["user_id"]).combine_chunks()
    users = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    found = pc.index_in(table["video_id"], value_set=video_ids.combine_chunks())
    unknown = np.flatnonzero(pc.is_null(found))
    if len(unknown):
        example = table["video_id"][unknown[0]].as_py()
        text = f"video_id {example!r} is not in videos.parquet"
        faults.add_rows(name, unknown.tolist(), text)
        return [], []
    videos = found.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    _check_pairs(users, videos, table, faults)
    split = _read_split(table, users, faults)
    parts = [Interactions(users[split == part], videos[split == part]) for part in SPLITS]
    return encoded.dictionary.to_pylist(), parts


def _check_pairs(users: Any, videos: Any, table: pa.Table, faults: Faults) -> None:
    order = np.lexsort((videos, users))
    same = (np.diff(users[order]) == 0) & (np.diff(videos[order]) == 0)
    repeats = np.flatnonzero(same)
    for place in repeats[:MAX_FAULTS_SHOWN]:
        first, second = sorted(order[place : place + 2].tolist())
        pair = f"{table['user_id'][first].as_py()!r}, {table['video_id'][first].as_py()!r}"
        faults.add(
            "interactions.parquet",
            f"row {second}: repeats row {first} ({pair}); {len(repeats)} duplicate pairs in all",
        )


def _read_split(table: pa.Table, users: Any, faults: Faults) -> Any:
    times = _read_times(table, faults)
    if "split" not in table.column_names:
        return np.array(split_by_user(users, times, np.random.default_rng(0)))
    split = np.array(table["split"].to_pylist(), dtype=object)
    bad = np.flatnonzero(~np.isin(split, SPLITS))
    if len(bad):
        text = f"split must be one of {list(SPLITS)}, found {split[bad[0]]!r}"
        faults.add_rows("interactions.parquet", bad.tolist(), text)
    return split


def _read_times(table: pa.Table, faults: Faults) -> Any:
    if "timestamp" not in table.column_names:
        return None
    column = table["timestamp"]
    if not pa.types.is_integer(column.type):
        faults.add("interactions.parquet", f"timestamp must be int64 seconds, found {column.type}")
        return None
    return pc.fill_null(column, 0).to_numpy()


def _read_metadata(videos: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(len(videos))]
    for column in METADATA:
        values = videos[column].to_pylist() if column in videos.column_names else []
        for row, value in enumerate(values):
            if value is not None:
                kept = [tag for tag in value if tag is not None] if column == "tags" else value
                rows[row][column] = kept
    return rows


def _check_whole(dataset: Dataset, faults: Faults) -> None:
    if not len(dataset.train):
        faults.add("interactions.parquet", "has no row in the train split")
    bare = np.flatnonzero(~dataset.present.any(axis=1)).tolist()
    faults.add_rows(
        "videos.parquet", bare, "the video has no modality at all (all feature rows are zero)"
    )
    without = users_without_training(dataset)
    if without:
        text = f"{without} users have no interaction in the train split"
        faults.add_acceptable(USERS_WITHOUT_TRAINING, "interactions.parquet", text)
