"""The canonical dataset folder on disk, read with every fault named (see `folder_writer`).

    dataset.json           {"format_version": 1, "name": ..., "accept": [...], "log_position": ...}
    interactions.parquet   user_id, video_id: string;
                           optional timestamp: int64 seconds, split: string
    videos.parquet         video_id: string; optional hidden: bool,
                           title, uploader, language, published_at, expires_at: string,
                           tags: list of string
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

from eventlog.position import START, Position, is_position
from models.ids import fault_in_id
from models.modality import MODALITIES, Modality
from training.data.columns import NONE, Known, SmallRows
from training.data.dataset import PARTS, Dataset, Floats, Interactions, Rows
from training.data.faults import MAX_FAULTS_SHOWN, Faults
from training.data.interaction_file import INTERACTIONS, InteractionFile, read_interaction_file
from training.data.matrix import constant_columns, fault_in_values, read_matrix
from training.data.split import split_by_user
from training.data.video_file import (
    VIDEOS,
    check_metadata,
    check_unique,
    number_videos,
    read_hidden,
    read_metadata,
    read_videos,
)
from training.errors import InvalidDataset

FORMAT_VERSION: Final = 1
# Findings that stop training until `accept` in dataset.json names them.
CONSTANT_COLUMNS: Final = "constant_columns"
USERS_WITHOUT_TRAINING: Final = "users_without_training"
ACCEPTABLE: Final = (CONSTANT_COLUMNS, USERS_WITHOUT_TRAINING)
LOG_POSITION: Final = "log_position"


def read_dataset(folder: Path) -> Dataset:
    """Read and validate a dataset folder.

    Features come back as float32. Interactions without a split column are split 80/10/10 a user.

    Raises:
        InvalidDataset: with every fault found, each naming file, row and what is wrong.
    """
    header = _read_header(folder)
    faults = Faults(header.get("accept", []))
    videos = read_videos(folder, faults)
    video_rows, video_ids = number_videos(videos)
    known = Known((video_id, row) for row, video_id in enumerate(video_ids))
    file = read_interaction_file(folder, known, faults)
    if file is None:
        raise InvalidDataset(faults.found)
    faults.stop()
    _check_ids(video_rows, video_ids, VIDEOS, "video_id", faults)
    _check_ids(file.users, file.user_ids, INTERACTIONS, "user_id", faults)
    check_unique(video_rows, video_ids, faults)
    check_metadata(videos, faults)
    hidden = read_hidden(videos, faults)
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
        metadata=read_metadata(videos),
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
    if file.untimed != NONE:
        faults.add(INTERACTIONS, f"row {file.untimed}: timestamp is null, expected int64 seconds")


def _check_whole(dataset: Dataset, faults: Faults) -> None:
    if not len(dataset.train):
        faults.add(INTERACTIONS, "has no row in the train split")
    bare = np.flatnonzero(~dataset.present.any(axis=1))
    faults.add_rows(VIDEOS, bare, "the video has no modality at all (all feature rows are zero)")
    without = users_without_training(dataset)
    if without:
        text = f"{without} users have no interaction in the train split"
        faults.add_acceptable(USERS_WITHOUT_TRAINING, INTERACTIONS, text)
