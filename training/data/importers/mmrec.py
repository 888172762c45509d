"""Reads the folder of enoche/MMRec: `<name>.inter` beside `image_feat.npy` and `text_feat.npy`.

The .inter file has tabs and a header with `userID`, `itemID` and `x_label` (0 train, 1 val, 2
test); a `timestamp` is kept, a `rating` is not used. Row i of a feature file belongs to item i.
Numbers start at 0 and are the ids. Forks name features after their encoders: name them by options.
"""

from pathlib import Path
from typing import Final

import numpy as np

from training.data.dataset import SPLITS
from training.data.importers.feature_files import FEAT_NAMES, read_row_features
from training.data.importers.imported import Imported, Options, assemble
from training.data.importers.numbered import Pairs, from_numbers
from training.data.importers.text_tables import TextTable, read_delimited
from training.errors import InvalidDataset

USER: Final = "userID"
VIDEO: Final = "itemID"
SPLIT: Final = "x_label"
TIME: Final = "timestamp"


def read_mmrec(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`.

    Raises:
        InvalidDataset: a file is missing or malformed, or an item has no feature row.
    """
    faults: list[str] = []
    features = read_row_features([folder], FEAT_NAMES, options, faults)
    if faults:
        raise InvalidDataset(faults)
    table = _read_inter(folder)
    users = table.whole_numbers(options.user_column or USER)
    videos = table.whole_numbers(options.video_column or VIDEO)
    split = options.split_column or SPLIT
    splits = table.whole_numbers(split)
    wrong = np.flatnonzero((splits < 0) | (splits >= len(SPLITS)))
    if len(wrong):
        text = f"{split} is {splits[wrong[0]]}, expected 0 (train), 1 (val) or 2 (test)"
        raise table.fault(text, int(wrong[0]))
    lines = np.arange(len(table)) + 2
    part = Pairs(table.file.name, users, videos, lines, "line")
    log, catalog = from_numbers([part], features)
    time = options.time_column or TIME
    times = table.times(time) if options.time_column or table.has(time) else None
    log = log._replace(splits=splits, times=times)
    return assemble(table.file.stem, log, catalog)


def _read_inter(folder: Path) -> TextTable:
    files = sorted(folder.glob("*.inter"))
    if len(files) != 1:
        found = [file.name for file in files]
        raise InvalidDataset([f"{folder}: expected one .inter file, found {found}"])
    return read_delimited(files[0], "\t", quoted=False)
