"""Reads the folder of westlake-repl/MicroLens: interactions, titles and extracted features.

`*_pairs.csv` has the header user,item,timestamp; `*_pairs.tsv` has no header and a line a user:
user, tab, items in the order of time, apart by spaces. `*_titles.csv` or `*_title_en.csv` has
item,title, with commas in titles that are not quoted. Items are numbered from 1, and row i of an
.npy file of features belongs to item i + 1. There is no split: of each user the last interaction
is for test, the one before for validation. The source's numbers are the ids.
"""

import csv
from pathlib import Path
from typing import Final

import numpy as np

from training.data.importers.feature_files import Names, read_row_features
from training.data.importers.imported import Imported, Options, Times, assemble
from training.data.importers.numbered import Pairs, from_numbers
from training.data.importers.text_tables import read_delimited
from training.data.split import leave_last_out
from training.errors import InvalidDataset

FIRST_VIDEO: Final = 1
EXTRACTED: Final = "extracted_modality_features"
FEATURES: Final[Names] = {
    "visual": ["*video_features*.npy", "*image_features*.npy"],
    "acoustic": ["*audio_features*.npy"],
    "textual": ["*text_features*.npy"],
}
TITLES: Final = ("*_titles.csv", "*_title_en.csv")


def read_microlens(folder: Path, options: Options) -> Imported:
    """Return the dataset at `folder`.

    Raises:
        InvalidDataset: a file is missing or malformed, or an item has no feature row.
    """
    faults: list[str] = []
    features = read_row_features([folder, folder / EXTRACTED], FEATURES, options, faults)
    if faults:
        raise InvalidDataset(faults)
    part, times = _read_pairs(folder)
    log, catalog = from_numbers([part], features, first_video=FIRST_VIDEO)
    titles = _read_titles(folder)
    metadata = [{"title": titles[i]} if i in titles else {} for i in catalog.video_ids]
    imported = assemble(
        folder.resolve().name,
        log._replace(times=times),
        catalog._replace(metadata=metadata),
        leave_last_out,
    )
    return imported._replace(notes=(*_left_out(folder, options), *imported.notes))


def _read_pairs(folder: Path) -> tuple[Pairs, Times | None]:
    files = sorted(folder.glob("*_pairs.csv")) or sorted(folder.glob("*_pairs.tsv"))
    if len(files) != 1:
        found = [file.name for file in files]
        text = f"expected one *_pairs.csv, or one *_pairs.tsv, found {found}"
        raise InvalidDataset([f"{folder}: {text}"])
    (file,) = files
    if file.suffix == ".tsv":
        return _read_lines(file), None
    table = read_delimited(file, ",")
    users, videos = table.whole_numbers("user"), table.whole_numbers("item")
    lines = np.arange(len(table)) + 2
    return Pairs(file.name, users, videos, lines, "line"), table.times("timestamp")


def _read_lines(file: Path) -> Pairs:
    table = read_delimited(file, "\t", names=["user", "items"], quoted=False)
    users = table.whole_numbers("user")
    items = [np.zeros(0, np.int64)]
    for row, text in enumerate(table.texts("items").to_pylist()):
        try:
            items.append(np.array([int(word) for word in text.split()], np.int64))
        except (ValueError, OverflowError) as error:
            raise table.fault(f"expected item numbers: {error}", row) from error
    counts = [len(part) for part in items[1:]]
    lines = np.repeat(np.arange(len(table)) + 1, counts)
    return Pairs(file.name, np.repeat(users, counts), np.concatenate(items), lines, "line")


def _read_titles(folder: Path) -> dict[str, str]:
    """Return titles by id. Without a header a title is all that follows the first comma."""
    file = next((f for name in TITLES for f in sorted(folder.glob(name))), None)
    if file is None:
        return {}
    titles: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            headed = next(lines, "").startswith("item,")
            lines.seek(0)
            rows = csv.reader(lines) if headed else (line.split(",", 1) for line in lines)
            for number, cells in enumerate(rows, 1):
                if not "".join(cells).strip():
                    continue
                if len(cells) > 1 and cells[0].isdecimal():
                    titles[cells[0]] = ",".join(cells[1:]).strip()
                elif not (headed and number == 1):
                    text = f"row {number}: expected item,title, found {','.join(cells)[:80]!r}"
                    raise InvalidDataset([f"{file.name}: {text}"])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataset([f"{file.name}: is not UTF-8 lines: {error}"]) from error
    return titles


def _left_out(folder: Path, options: Options) -> list[str]:
    """Tell which visual features were not taken, where there are those of frames and of covers."""
    frames, covers = (
        [file.name for place in (folder, folder / EXTRACTED) for file in sorted(place.glob(name))]
        for name in FEATURES["visual"]
    )
    if not frames or not covers or "visual" in options.features:
        return []
    return [f"visual features are those of {frames[0]}; {covers[0]} is not used"]
