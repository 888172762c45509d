"""Turns users and videos that a source numbers into a log and a catalog. Knows no format.

The id of a user or a video is its number as text.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from models.modality import Modality
from training.data.dataset import SPLITS, Floats, Rows
from training.data.importers.imported import Catalog, Log
from training.errors import InvalidDataset


class Pairs(NamedTuple):
    """Users and videos that met, by their numbers; `rows` says where in `file` each pair stands."""

    file: str
    users: Rows
    videos: Rows
    rows: Rows | None = None
    unit: str = "row"

    def place(self, pair: int) -> str:
        """Say where a pair stands."""
        where = (
            f"{self.file}: {self.unit} {self.rows[pair]}" if self.rows is not None else self.file
        )
        return f"{where}: user {self.users[pair]}, video {self.videos[pair]}"


def split_numbers(parts: Sequence[Pairs]) -> Rows:
    """Return the split of each pair of `parts`, which are train, val and test."""
    return np.repeat(np.arange(len(SPLITS)), [len(part.users) for part in parts])


def from_numbers(
    parts: Sequence[Pairs], features: Mapping[Modality, Floats], *, first_video: int = 0
) -> tuple[Log, Catalog]:
    """Return the pairs of all `parts`, one after the other, and all videos with a feature row.

    Video `first_video` has row 0.

    Raises:
        InvalidDataset: a number is negative, or a video has no feature row.
    """
    rows = len(next(iter(features.values())))
    faults = [fault for part in parts for fault in _out_of_range(part, first_video, rows)]
    if faults:
        raise InvalidDataset(faults)
    numbers = np.concatenate([part.users for part in parts])
    found, users = np.unique(numbers, return_inverse=True)
    videos = np.concatenate([part.videos for part in parts]) - first_video
    log = Log(users, [str(user) for user in found.tolist()], videos)
    ids = [str(first_video + row) for row in range(rows)]
    return log, Catalog(ids, features, [{} for _ in ids])


def _out_of_range(part: Pairs, first: int, rows: int) -> list[str]:
    negative = np.flatnonzero((part.users < 0) | (part.videos < 0))
    if len(negative):
        return [f"{part.place(int(negative[0]))}: a number is negative"]
    unknown = np.flatnonzero((part.videos < first) | (part.videos >= first + rows))
    if len(unknown):
        known = f"the features hold {rows} rows, for videos {first} to {first + rows - 1}"
        return [f"{part.place(int(unknown[0]))}: the video is unknown, {known}"]
    return []
