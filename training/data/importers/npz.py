"""Reads a folder with `interactions.npz` and `visual.npy`, `acoustic.npy`, `textual.npy`.

`interactions.npz` holds train, val and test: int (n, 2) rows of user and video number, from 0.
Feature row i belongs to video i. An optional `items.csv` (item, title, genres) becomes metadata.
"""

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.modality import MODALITIES
from training.data.dataset import SPLITS, Dataset, Floats, Interactions, Rows
from training.data.matrix import UNREADABLE, read_matrix
from training.errors import InvalidDataset

PAIR_WIDTH: Final = 2


def read_npz(folder: Path) -> Dataset:
    """Return the dataset at `folder`; ids are the row numbers as text.

    Raises:
        InvalidDataset: a file is missing or malformed, or an interaction names no feature row.
    """
    faults: list[str] = []
    files = {m: folder / f"{m}.npy" for m in MODALITIES if (folder / f"{m}.npy").exists()}
    matrices = {modality: read_matrix(file, faults) for modality, file in files.items()}
    features = {m: matrix for m, matrix in matrices.items() if matrix is not None}
    if not files:
        faults.append(f"{folder}: holds none of {[f'{m}.npy' for m in MODALITIES]}")
    if len({len(matrix) for matrix in features.values()}) > 1:
        heights = {f"{m}.npy": len(matrix) for m, matrix in features.items()}
        faults.append(f"feature files differ in rows: {heights}")
    pairs = _read_pairs(folder / "interactions.npz", faults)
    if faults:
        raise InvalidDataset(faults)
    _check_range(pairs, features, faults)
    if faults:
        raise InvalidDataset(faults)
    used = np.unique(np.concatenate([part[:, 0] for part in pairs]))
    train, val, test = (
        Interactions(np.searchsorted(used, part[:, 0]), part[:, 1]) for part in pairs
    )
    videos = len(next(iter(features.values())))
    return Dataset(
        name=folder.name,
        user_ids=[str(user) for user in used],
        video_ids=[str(video) for video in range(videos)],
        train=train,
        val=val,
        test=test,
        features=features,
        metadata=_read_items(folder / "items.csv", videos),
    )


def _read_pairs(file: Path, faults: list[str]) -> list[Rows]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        faults.append(f"{file} is missing")
        return []
    except UNREADABLE as error:
        faults.append(f"{file.name}: is not a plain .npz archive: {error}")
        return []
    pairs: list[Rows] = []
    for split in SPLITS:
        array = arrays.get(split)
        if array is None:
            faults.append(f"{file.name}: has no array {split!r}, found {sorted(arrays)}")
        elif (
            array.ndim != PAIR_WIDTH or array.shape[1] != PAIR_WIDTH or array.dtype.kind not in "iu"
        ):
            faults.append(
                f"{file.name}: {split} must be int (n, 2) = user, video; "
                f"found {array.dtype} {array.shape}"
            )
        else:
            pairs.append(_distinct(array.astype(np.int64)))
    return pairs


def _distinct(pairs: Rows) -> Rows:
    """Drop repeated rows, keep the order."""
    first = np.unique(pairs, axis=0, return_index=True)[1]
    return pairs[np.sort(first)]


def _check_range(pairs: list[Rows], features: dict[Any, Floats], faults: list[str]) -> None:
    videos = len(next(iter(features.values())))
    for split, part in zip(SPLITS, pairs, strict=True):
        if len(part) and part.min() < 0:
            row = int(np.argmax((part < 0).any(axis=1)))
            faults.append(f"interactions.npz: {split} row {row}: {part[row].tolist()} is negative")
        beyond = np.flatnonzero(part[:, 1] >= videos)
        if len(beyond):
            faults.append(
                f"interactions.npz: {split} row {beyond[0]}: video {part[beyond[0], 1]} "
                f"is unknown, the features hold {videos} rows"
            )


def _read_items(file: Path, videos: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(videos)]
    if not file.exists():
        return rows
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                row = int(line["item"])
                if 0 <= row < videos:
                    rows[row]["title"] = line.get("title") or ""
                    genres = (line.get("genres") or "").split("|")
                    rows[row]["tags"] = [genre for genre in genres if genre]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        text = f"{file.name}: expected columns item (a number), title, genres: {error!r}"
        raise InvalidDataset([text]) from error
    return rows
