"""Reads the .npy folders of weiyinwei/MMGCN, GRCN and CLCRec, nickwzk/InvRL, hanliu95/MetaMMF.

`train.npy` holds int (n, 2) rows of user and item. `val_full.npy` and `test_full.npy`, or `val.npy`
and `test.npy`, hold a list a user: [user, item, item, ...]. CLCRec has its training items in
`user_item_train_dict.npy` too: {user: items}. MetaMMF has `user_item_dict_sample.npy` (or
`user_item_dict.npy`) alone, all items of each user without a split.

Item numbers are offset by the number of users in most of these, so that user and item numbers do
not meet; feature row 0 belongs to the first item. All numbers are kept as ids.
"""

from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as brief
from typing import Any, Final

import numpy as np

from training.data.dataset import Rows
from training.data.importers.feature_files import Names, read_row_features
from training.data.importers.imported import Imported, Options, assemble, by_user
from training.data.importers.numbered import Pairs, from_numbers, split_numbers
from training.data.importers.restricted_pickle import PickledArray, load_npy
from training.errors import InvalidDataset

TRAIN: Final = ("train.npy", "user_item_train_dict.npy")
VAL: Final = ("val_full.npy", "val.npy")
TEST: Final = ("test_full.npy", "test.npy")
WHOLE: Final = ("user_item_dict_sample.npy", "user_item_dict.npy")
FEATURES: Final[Names] = {
    "visual": ["feat_v.npy", "v_feat_sample.npy", "v_feat.npy", "FeatureVideo_normal.npy"],
    "acoustic": ["feat_a.npy", "a_feat_sample.npy", "a_feat.npy", "FeatureAudio_avg_normal.npy"],
    "textual": ["feat_t.npy", "t_feat_sample.npy", "t_feat.npy", "FeatureText_stl_normal.npy"],
}


def read_mmgcn(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`; what has no split is divided 80/10/10 a user.

    Raises:
        InvalidDataset: a file is missing or malformed, or an item has no feature row.
    """
    faults: list[str] = []
    features = read_row_features([folder], FEATURES, options, faults)
    whole = not any((folder / name).exists() for name in (*TRAIN, *VAL, *TEST))
    parts: list[Pairs] = []
    for names in [WHOLE] if whole else [TRAIN, VAL, TEST]:
        try:
            parts.append(_read_pairs(folder, names))
        except InvalidDataset as error:
            faults.extend(error.faults)
    if faults:
        raise InvalidDataset(faults)
    rows = len(next(iter(features.values())))
    first = options.first_video
    if first is None:
        first = _first_video(parts, rows)
    log, catalog = from_numbers(parts, features, first_video=first)
    if not whole:
        log = log._replace(splits=split_numbers(parts))
    return assemble(folder.resolve().name, log, catalog, by_user(options.seed))


def _first_video(parts: list[Pairs], rows: int) -> int:
    """Return the number of the item that feature row 0 belongs to.

    Items are offset if all their numbers are beyond the users'. They then start at the number of
    users, which is known where the last user or the first and the last item occur.
    """
    users = np.concatenate([part.users for part in parts])
    items = np.concatenate([part.videos for part in parts])
    if not len(items) or users.min() < 0 or items.min() <= users.max():
        return 0
    earliest = max(int(users.max()) + 1, int(items.max()) + 1 - rows)
    latest = int(items.min())
    if earliest < latest:
        fit = f"{earliest} to {latest}" + (", or 0" if items.max() < rows else "")
        text = (
            f"items are numbered from {latest} and users up to {users.max()}, which leaves open "
            f"which item feature row 0 belongs to; give its number by --first-video ({fit})"
        )
        raise InvalidDataset([f"{parts[0].file}: {text}"])
    return latest


def _read_pairs(folder: Path, names: Iterable[str]) -> Pairs:
    names = list(names)
    file = next((folder / name for name in names if (folder / name).exists()), folder / names[0])
    array = load_npy(file)
    if isinstance(array, PickledArray):
        return _from_objects(file, array)
    if array.ndim != 2 or array.dtype.kind not in "iu" or array.shape[1] < 1:  # noqa: PLR2004
        text = f"expected int rows of user, item; found {array.dtype} {array.shape}"
        raise InvalidDataset([f"{file.name}: {text}"])
    # Lists of one length have been saved as a matrix: user, item, item, ...
    width = array.shape[1] - 1
    users = np.repeat(array[:, 0].astype(np.int64), width)
    rows = np.repeat(np.arange(len(array)), width)
    return Pairs(file.name, users, array[:, 1:].astype(np.int64).ravel(), rows)


def _from_objects(file: Path, array: PickledArray) -> Pairs:
    keyed = len(array.objects) == 1 and isinstance(array.objects[0], dict)
    entries = array.objects[0].items() if keyed else enumerate(_rows(array))
    users, items, counts = [], [], []
    # An honest file spends more than a byte on each item; a list can be referred to repeatedly.
    left = file.stat().st_size
    for key, value in entries:
        where = f"{file.name}: {'user' if keyed else 'row'} {brief(key)}"
        numbers = _numbers(value, where, left)
        if keyed and type(key) is not int:
            raise InvalidDataset([f"{where}: is not the number of a user"])
        if not keyed and not len(numbers):
            raise InvalidDataset([f"{where}: is empty, expected user, item, item, ..."])
        left -= len(numbers)
        users.append(key if keyed else numbers[0])
        items.append(numbers if keyed else numbers[1:])
        counts.append(len(items[-1]))
    try:
        everyone = np.repeat(np.array(users, np.int64), counts)
    except OverflowError as error:
        raise InvalidDataset([f"{file.name}: a user's number is too large"]) from error
    rows = None if keyed else np.repeat(np.arange(len(counts)), counts)
    return Pairs(file.name, everyone, np.concatenate([np.zeros(0, np.int64), *items]), rows)


def _rows(array: PickledArray) -> list[Any]:
    """Return what each row holds; lists of one length have been saved as a matrix of objects."""
    if array.numbers is not None:
        return list(array.numbers)
    if len(array.shape) != 2:  # noqa: PLR2004 - rows and columns
        return array.objects
    height, width = array.shape
    return [array.objects[row * width : (row + 1) * width] for row in range(height)]


def _numbers(value: Any, where: str, most: int) -> Rows:
    """Return a list, a set or an array of whole numbers as an array."""
    if isinstance(value, PickledArray):
        value = value.objects if value.numbers is None else value.numbers
    if isinstance(value, list | tuple | set | np.ndarray) and len(value) > most:
        raise InvalidDataset([f"{where}: the file names more items than it has bytes"])
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu":
        return value.astype(np.int64)
    if isinstance(value, list | tuple | set) and all(type(item) is int for item in value):
        try:
            return np.fromiter(value, np.int64, len(value))
        except OverflowError:
            pass  # told below
    raise InvalidDataset([f"{where}: expected whole numbers, found {brief(value)}"])
