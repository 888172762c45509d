"""Reads a folder with `interactions.npz` and `visual.npy`, `acoustic.npy`, `textual.npy`.

`interactions.npz` holds train, val and test: int (n, 2) rows of user and video number, from 0.
Feature row i belongs to video i. An optional `items.csv` (item, title, genres) becomes metadata.
"""

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.modality import MODALITIES
from training.data.dataset import SPLITS
from training.data.importers.feature_files import Names, read_row_features
from training.data.importers.imported import Imported, Options, assemble
from training.data.importers.numbered import Pairs, from_numbers, split_numbers
from training.data.matrix import UNREADABLE, fault_in_file
from training.errors import InvalidDataset

PAIR_WIDTH: Final = 2
FEATURES: Final[Names] = {modality: [f"{modality}.npy"] for modality in MODALITIES}


def read_npz(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`; ids are the row numbers as text.

    Raises:
        InvalidDataset: a file is missing or malformed, or an interaction names no feature row.
    """
    faults: list[str] = []
    features = read_row_features([folder], FEATURES, options, faults)
    parts = _read_pairs(folder / "interactions.npz", faults)
    if faults:
        raise InvalidDataset(faults)
    videos = len(next(iter(features.values())))
    log, catalog = from_numbers(parts, features)
    return assemble(
        folder.resolve().name,
        log._replace(splits=split_numbers(parts)),
        catalog._replace(metadata=_read_items(folder / "items.csv", videos)),
    )


def _read_pairs(file: Path, faults: list[str]) -> list[Pairs]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        faults.append(f"{file} is missing")
        return []
    except UNREADABLE as error:
        faults.append(f"{file.name}: is not a plain .npz archive: {fault_in_file(error)}")
        return []
    parts: list[Pairs] = []
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
            users, videos = array.astype(np.int64).T
            parts.append(Pairs(file.name, users, videos, np.arange(len(users)), f"{split} row"))
    return parts


def _read_items(file: Path, videos: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(videos)]
    if not file.exists():
        return rows
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
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
