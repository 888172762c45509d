"""What every importer is given and gives back, and how the parts it read become a dataset.

Knows ids, rows and times; nothing of files or formats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.modality import Modality
from training.data.dataset import SPLITS, Dataset, Floats, Interactions, Rows
from training.data.split import Numbers, split_by_user
from training.errors import InvalidDataset

Times = NDArray[Any]
Divide = Callable[[Rows, Times | None], Numbers]
# No video is watched after the year 5138: larger times are milliseconds.
LATEST_SECOND: Final = 10**11


@dataclass(frozen=True)
class Options:
    """What a person says of a source beyond where it is. None and empty: as the format has it."""

    features: Mapping[Modality, Path] = field(default_factory=dict)
    user_column: str | None = None
    video_column: str | None = None
    time_column: str | None = None
    split_column: str | None = None
    first_video: int | None = None
    base: Path | None = None
    seed: int = 0


class Imported(NamedTuple):
    """A dataset, the seconds of its train, val and test interactions, and what to tell of it."""

    dataset: Dataset
    times: Rows | None = None
    notes: tuple[str, ...] = ()


class Importer(NamedTuple):
    """Reads one format from what `source` makes of its name, and takes these fields of the options.

    A format that has its `own_features` takes no files of them.
    """

    read: Callable[[Any, Options], Imported]
    takes: tuple[str, ...] = ()
    source: Callable[[str], Any] = Path
    own_features: bool = False

    def refused(self, options: Options) -> list[str]:
        """Return the fields that are given and mean nothing to this format."""
        unused = Options()
        given = [
            one.name
            for one in fields(options)
            if one.name not in ("features", *self.takes)
            and getattr(options, one.name) != getattr(unused, one.name)
        ]
        return [*given, *options.features] if self.own_features else given


class Log(NamedTuple):
    """Who met what, one entry an interaction, as the source has it: repeats are allowed.

    `users` are rows of `user_ids`, `videos` rows of the catalog or -1 where it does not have the
    video (`unknown` different ones), `splits` numbers of `SPLITS`.
    """

    users: Rows
    user_ids: list[str]
    videos: Rows
    unknown: int = 0
    splits: Rows | None = None
    times: Times | None = None

    def at(self, kept: Any) -> "Log":
        """Return the entries that `kept` selects, in its order."""
        return self._replace(
            users=self.users[kept],
            videos=self.videos[kept],
            splits=None if self.splits is None else self.splits[kept],
            times=None if self.times is None else self.times[kept],
        )


class Catalog(NamedTuple):
    """The videos of the source, each with an id and a row in every matrix."""

    video_ids: list[str]
    features: Mapping[Modality, Floats]
    metadata: list[dict[str, Any]]


def by_user(seed: int) -> Divide:
    """Return the division 80/10/10 of each user, the latest held out where times are known."""
    return lambda users, times: split_by_user(users, times, np.random.default_rng(seed))


def assemble(name: str, log: Log, catalog: Catalog, divide: Divide | None = None) -> Imported:
    """Return the dataset: each pair once, and only videos that have a feature.

    `divide` gives the splits where the log has none, 80/10/10 a user if not told. Of a repeated
    pair the first split counts, and in it the earliest time.

    Raises:
        InvalidDataset: no interaction is left to train on.
    """
    notes: list[str] = []
    if log.times is not None:
        log = log._replace(times=_seconds(log.times))
    log, catalog = _without_bare_videos(log, catalog, notes)
    log = _distinct(log, notes)
    splits = log.splits
    if splits is None:
        splits = (divide or by_user(0))(log.users, log.times).astype(np.int64)
    order = np.argsort(splits, kind="stable")
    log, splits = log.at(order), splits[order]
    used, users = np.unique(log.users, return_inverse=True)
    bounds = np.searchsorted(splits, np.arange(1, len(SPLITS)))
    parts = zip(np.split(users, bounds), np.split(log.videos, bounds), strict=True)
    train, val, test = (Interactions(*part) for part in parts)
    if not len(train):
        held_out = f"{len(val)} in val, {len(test)} in test"
        raise InvalidDataset([*notes, f"{name}: has no interaction to train on ({held_out})"])
    dataset = Dataset(
        name=name,
        user_ids=[log.user_ids[user] for user in used],
        video_ids=catalog.video_ids,
        train=train,
        val=val,
        test=test,
        features=catalog.features,
        metadata=catalog.metadata,
    )
    times = None if log.times is None else np.floor(log.times).astype(np.int64)
    return Imported(dataset, times, tuple(notes))


def _without_bare_videos(log: Log, catalog: Catalog, notes: list[str]) -> tuple[Log, Catalog]:
    """Leave out what has no features: it can be neither learnt nor recommended."""
    known = np.column_stack([m.any(axis=1) for m in catalog.features.values()]).any(axis=1)
    if not known.all():
        notes.append(f"{int((~known).sum())} videos have features of zeros alone: left out")
    rows = np.where(known, np.cumsum(known) - 1, -1)
    videos = np.where(log.videos < 0, -1, rows[log.videos]) if len(rows) else log.videos
    kept, left = np.flatnonzero(videos >= 0), log.videos[videos < 0]
    if len(left):
        which = log.unknown + len(np.unique(left[left >= 0]))
        notes.append(f"{len(left)} interactions with {which} videos without features: left out")
    places = np.flatnonzero(known)
    catalog = Catalog(
        [catalog.video_ids[place] for place in places],
        {m: matrix[places] for m, matrix in catalog.features.items()},
        [catalog.metadata[place] for place in places],
    )
    return log._replace(videos=videos).at(kept), catalog


def _distinct(log: Log, notes: list[str]) -> Log:
    rank = np.zeros(len(log.users), np.int64)
    times = rank if log.times is None else log.times
    order = np.lexsort((times, rank if log.splits is None else log.splits))
    # One number a pair: users are rows and videos are rows, so it fits.
    pairs = (log.users * (log.videos.max(initial=0) + 1) + log.videos)[order]
    first = np.unique(pairs, return_index=True)[1]
    if len(first) < len(pairs):
        notes.append(f"{len(pairs) - len(first)} interactions repeat a user and video: left out")
    return log.at(np.sort(order[first]))


def _seconds(times: Times) -> NDArray[np.float64]:
    """Return times that are seconds or, each by itself, milliseconds as seconds and their parts."""
    return np.where(times > LATEST_SECOND, times / 1000, times)
