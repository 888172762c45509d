"""Reads the folder of HKUDS/MMSSL, PromptMM and LLMRec, and of CRIPAC-DIG's LATTICE and MICRO.

`train.json`, `val.json` and `test.json` are objects whose keys are user numbers as text and whose
values are lists of item numbers, perhaps empty. `image_feat.npy`, `text_feat.npy` and, in tiktok,
`audio_feat.npy` lie beside them or, as in LATTICE's `5-core`, one level up; row i belongs to item
i. Numbers start at 0 and are the ids.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.data.importers.feature_files import FEAT_NAMES, read_row_features
from training.data.importers.imported import Imported, Options, assemble
from training.data.importers.numbered import Pairs, from_numbers, split_numbers
from training.errors import InvalidDataset

FILES: Final = ("train.json", "val.json", "test.json")


def read_mmssl(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`, which is the one that holds `train.json`.

    Raises:
        InvalidDataset: a file is missing or malformed, or an item has no feature row.
    """
    faults: list[str] = []
    folder = folder.resolve()
    features = read_row_features([folder, folder.parent], FEAT_NAMES, options, faults)
    parts = []
    for name in FILES:
        try:
            parts.append(_read_lists(folder / name))
        except InvalidDataset as error:
            faults.extend(error.faults)
    if faults:
        raise InvalidDataset(faults)
    log, catalog = from_numbers(parts, features)
    return assemble(folder.name, log._replace(splits=split_numbers(parts)), catalog)


def _read_lists(file: Path) -> Pairs:
    try:
        lists = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidDataset([f"{file} is missing"]) from None
    except (ValueError, RecursionError) as error:
        raise InvalidDataset([f"{file.name}: is not JSON: {error}"]) from error
    if not isinstance(lists, dict):
        raise InvalidDataset([f"{file.name}: expected an object of users, found {str(lists)[:80]}"])
    users, items = [], []
    for key, value in lists.items():
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise _fault(file, key, f"expected a list of item numbers, found {str(value)[:80]}")
        users.append(np.full(len(value), _number(file, key)))
        items.append(_numbers(file, key, value))
    nothing = np.zeros(0, np.int64)
    return Pairs(file.name, np.concatenate([nothing, *users]), np.concatenate([nothing, *items]))


def _number(file: Path, key: str) -> np.int64:
    try:
        return np.int64(int(key))
    except (ValueError, OverflowError) as error:
        raise _fault(file, key, "is not the number of a user") from error


def _numbers(file: Path, key: str, value: list[Any]) -> Any:
    try:
        return np.array(value, np.int64)
    except OverflowError as error:
        raise _fault(file, key, f"expected item numbers, found {str(value)[:80]}") from error


def _fault(file: Path, key: str, text: str) -> InvalidDataset:
    return InvalidDataset([f"{file.name}: user {key[:80]!r}: {text}"])
