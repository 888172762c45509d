"""The canonical dataset folder on disk, read with every fault named (see `folder_writer`).

    dataset.json           {"format_version": 1, "name": ..., "accept": [...], "log_position": ...}
    interactions.parquet   user_id, video_id: string;
                           optional timestamp: int64 seconds, split: string
    videos.parquet         video_id: string; optional hidden: bool,
                           title, uploader, published_at: string, tags: list of string
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
import pyarrow.parquet as pq

from eventlog.position import START, Position, is_position
from models.ids import fault_in_id
from models.modality import MODALITIES, Modality
from training.data.columns import (
    NONE,
    Growing,
    Known,
    Numbered,
    SmallRows,
    check_text_columns,
    is_text,
)
from training.data.dataset import PARTS, Dataset, Floats, Interactions, Rows
from training.data.faults import MAX_FAULTS_SHOWN, Faults
from training.data.interaction_file import INTERACTIONS, InteractionFile, read_interaction_file
from training.data.matrix import constant_columns, fault_in_values, read_matrix
from training.data.split import split_by_user
from training.errors import InvalidDataset

FORMAT_VERSION: Final = 1
# Findings that stop training until `accept` in dataset.json names them.
CONSTANT_COLUMNS: Final = "constant_columns"
USERS_WITHOUT_TRAINING: Final = "users_without_training"
ACCEPTABLE: Final = (CONSTANT_COLUMNS, USERS_WITHOUT_TRAINING)
VIDEOS: Final = "videos.parquet"
METADATA: Final = ("title", "tags", "uploader", "published_at")
HIDDEN: Final = "hidden"
LOG_POSITION: Final = "log_position"


def read_dataset(folder: Path) -> Dataset:
    """Read and validate a dataset folder.

    Features come back as float32. Interactions without a split column are split 80/10/10 a user.

    Raises:
        InvalidDataset: with every fault found, each naming file, row and what is wrong.
    """
    header = _read_header(folder)
    faults = Faults(header.get("accept", []))
    videos = _read_videos(folder, faults)
    video_rows, video_ids = _number_videos(videos)
    known = Known((video_id, row) for row, video_id in enumerate(video_ids))
    file = read_interaction_file(folder, known, faults)
    if file is None:
        raise InvalidDataset(faults.found)
    faults.stop()
    _check_ids(video_rows, video_ids, VIDEOS, "video_id", faults)
    _check_ids(file.users, file.user_ids, INTERACTIONS, "user_id", faults)
    _check_unique(video_rows, video_ids, faults)
    _check_metadata(videos, faults)
    hidden = _read_hidden(videos, faults)
    features = _read_features(folder, len(videos), faults)
    faults.stop()
    parts = _divide(file, video_ids, faults)
    faults.stop()
    dataset = Dataset(
        name=str(header.get("name", folder.name)),
        user_ids=file.user_ids,
        video_ids=video_ids,
        train=parts[0],
        val=parts[1],
        test=parts[2],
        features=features,
        metadata=_read_metadata(videos),
        seen=parts[3],
        hidden=hidden,
        log_position=Position(header.get(LOG_POSITION, START)),
    )
    _check_whole(dataset, faults)
    faults.stop()
    return dataset


def users_without_training(dataset: Dataset) -> int:
    """Count the users without a training interaction: nothing personal can be learnt of them."""
    trained = np.bincount(dataset.train.users, minlength=dataset.users)
    return dataset.users - int(np.count_nonzero(trained))


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
    position = header.get(LOG_POSITION, START)
    if position != START and not (isinstance(position, str) and is_position(position)):
        text = f"{LOG_POSITION} is {position!r}, expected a position of an event log"
        raise InvalidDataset([f"{file}: {text}"])
    return header


def _read_videos(folder: Path, faults: Faults) -> pa.Table:
    """Return the table of videos; an empty one if it cannot be read."""
    try:
        table = pq.read_table(folder / VIDEOS)
        table.validate(full=True)  # text that is not UTF-8 is found only here
    except FileNotFoundError:
        faults.add(VIDEOS, f"is missing in {folder}")
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        faults.add(VIDEOS, f"is not a readable parquet file: {error}")
    else:
        if check_text_columns(table.schema, ["video_id"], VIDEOS, faults):
            return table
    return pa.table({"video_id": pa.array([], pa.string())})


def _number_videos(videos: pa.Table) -> tuple[SmallRows, list[str]]:
    """Return a number for each row of `videos`, NONE for a null, and the ids by their numbers.

    Where each row has an id of its own, the numbers are the rows.
    """
    known = Growing()
    numbered = Numbered(known)
    for chunk in videos["video_id"].chunks:
        numbered.take(chunk)
    return numbered.numbers(), list(known)


def _check_ids(
    numbers: SmallRows, texts: list[str], name: str, column: str, faults: Faults
) -> None:
    """Check each of the different `texts`; `numbers` tells which of them a row has."""
    faults.add_rows(name, np.flatnonzero(numbers == NONE), f"{column} is null")
    faulty = ((number, fault_in_id(text)) for number, text in enumerate(texts))
    bad = ((number, fault) for number, fault in faulty if fault)
    for number, fault in islice(bad, MAX_FAULTS_SHOWN):
        rows = np.flatnonzero(numbers == number)
        faults.add_rows(name, rows, f"{column} {texts[number][:80]!r} {fault}")


def _check_unique(numbers: SmallRows, texts: list[str], faults: Faults) -> None:
    counts = np.bincount(numbers[numbers != NONE], minlength=1)
    for number in np.flatnonzero(counts > 1)[:MAX_FAULTS_SHOWN]:
        rows = np.flatnonzero(numbers == number)
        faults.add_rows(VIDEOS, rows, f"video_id {texts[number]!r} more than once")


def _check_metadata(videos: pa.Table, faults: Faults) -> None:
    for column in set(METADATA).intersection(videos.column_names):
        kind = videos[column].type
        if column == "tags":
            listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            fits = listed and is_text(kind.value_type)
        else:
            fits = is_text(kind)
        # A column of nulls alone has no other type.
        if not fits and not pa.types.is_null(kind):
            wanted = "list of string" if column == "tags" else "string"
            faults.add(VIDEOS, f"column {column!r} must be {wanted}, found {kind}")


def _read_hidden(videos: pa.Table, faults: Faults) -> Rows:
    """Return the rows of hidden videos; a null says that a video is not."""
    if HIDDEN not in videos.column_names:
        return np.empty(0, np.int64)
    kind = videos[HIDDEN].type
    if not pa.types.is_boolean(kind):
        faults.add(VIDEOS, f"column {HIDDEN!r} must be bool, found {kind}")
        return np.empty(0, np.int64)
    return np.flatnonzero(videos[HIDDEN].fill_null(False).to_numpy())  # noqa: FBT003 - a value


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
    fault = fault_in_values(matrix)
    if fault:
        faults.add(name, fault)
        return
    if not matrix.any():
        faults.add(name, "every row is all zero, so no video has this modality; remove the file")
        return
    constant = constant_columns(matrix)
    if constant:
        shown = ", ".join(map(str, constant[:MAX_FAULTS_SHOWN]))
        text = f"{len(constant)} columns hold one value in every row: {shown}"
        faults.add_acceptable(CONSTANT_COLUMNS, name, text)


def _divide(file: InteractionFile, video_ids: list[str], faults: Faults) -> list[Interactions]:
    """Return the interactions of each of `PARTS`; none if they name videos that are unknown."""
    unknown = np.flatnonzero(file.videos == NONE)
    if len(unknown):
        text = f"video_id {file.bad_video} is not in {VIDEOS}"
        faults.add_rows(INTERACTIONS, unknown, text)
        return []
    _check_pairs(file, video_ids, faults)
    _check_times(file, faults)
    splits = file.splits
    if splits is None:
        splits = split_by_user(file.users, file.times, np.random.default_rng(0))
    text = f"split must be one of {list(PARTS)}, found {file.bad_split}"
    faults.add_rows(INTERACTIONS, np.flatnonzero(splits == NONE), text)
    parts = []
    for number in range(len(PARTS)):
        chosen = splits == number
        users, rows = (numbers[chosen].astype(np.int64) for numbers in (file.users, file.videos))
        parts.append(Interactions(users, rows))
    return parts


def _check_pairs(file: InteractionFile, video_ids: list[str], faults: Faults) -> None:
    keys = _pair_keys(file, len(video_ids))
    keys.sort()
    count = int(np.count_nonzero(keys[1:] == keys[:-1]))
    if not count:
        return
    # Which rows they are takes a second sort, with twice the memory.
    keys = _pair_keys(file, len(video_ids))
    order = np.argsort(keys, kind="stable")
    repeats = np.flatnonzero(np.diff(keys[order]) == 0)
    for place in repeats[:MAX_FAULTS_SHOWN]:
        first, second = order[place : place + 2].tolist()
        user, video = divmod(int(keys[first]), len(video_ids))
        pair = f"{file.user_ids[user]!r}, {video_ids[video]!r}"
        faults.add(
            INTERACTIONS,
            f"row {second}: repeats row {first} ({pair}); {count} duplicate pairs in all",
        )


def _pair_keys(file: InteractionFile, videos: int) -> Rows:
    keys = file.users.astype(np.int64)
    keys *= videos
    keys += file.videos
    return keys


def _check_times(file: InteractionFile, faults: Faults) -> None:
    if file.time_type is not None and not pa.types.is_integer(file.time_type):
        text = f"timestamp must be int64 seconds, found {file.time_type}"
        faults.add(INTERACTIONS, text)


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
        faults.add(INTERACTIONS, "has no row in the train split")
    bare = np.flatnonzero(~dataset.present.any(axis=1))
    faults.add_rows(VIDEOS, bare, "the video has no modality at all (all feature rows are zero)")
    without = users_without_training(dataset)
    if without:
        text = f"{without} users have no interaction in the train split"
        faults.add_acceptable(USERS_WITHOUT_TRAINING, INTERACTIONS, text)
