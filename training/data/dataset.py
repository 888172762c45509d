"""A dataset in memory: who watched what, and what each video looks, sounds and reads like.

Knows rows, ids and how far of an event log it is made of; nothing of files or models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventlog.position import START, Position
from models.modality import Modality, in_order

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
# What stands in the place of a split where a user met a video and nothing is to be learnt of it.
SEEN: Final = "seen"
PARTS: Final = (*SPLITS, SEEN)

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Csr(NamedTuple):
    """For each user row, its video rows: `videos[starts[u]:starts[u + 1]]`, ascending."""

    starts: Rows
    videos: Rows

    def counts(self, users: Rows) -> Rows:
        """Return how many videos each of `users: (B,)` has: (B,)."""
        counted: Rows = self.starts[users + 1] - self.starts[users]
        return counted

    def of(self, users: Rows) -> Rows:
        """Return the video rows of `users: (B,)`, one user's after the other's."""
        counts = self.counts(users)
        behind = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(self.starts[users] - behind, counts)
        found: Rows = self.videos[places]
        return found


@dataclass(frozen=True, eq=False)
class Interactions:
    """User rows and video rows that met, `users: (N,)` beside `videos: (N,)`; no pair twice."""

    users: Rows
    videos: Rows

    def __len__(self) -> int:
        """Return the number of interactions."""
        return len(self.users)

    def joined(self, other: "Interactions") -> "Interactions":
        """Return these and the `other` ones; the arrays are shared where one side is empty."""
        if not len(self) or not len(other):
            return self if len(self) else other
        return Interactions(
            np.concatenate([self.users, other.users]), np.concatenate([self.videos, other.videos])
        )

    def keys(self, videos: int) -> Rows:
        """Return user row * `videos` + video row, ascending; `videos` is above every video row."""
        keys = self.users * videos
        keys += self.videos
        keys.sort()
        return keys

    def by_user(self, users: int) -> Csr:
        """Group by user: the CSR over `users` user rows."""
        videos = int(self.videos.max(initial=0)) + 1
        counts = np.bincount(self.users, minlength=users)
        # Sorted in place: an order beside the columns would take four times the memory.
        rows = self.keys(videos)
        np.remainder(rows, videos, out=rows)
        return Csr(np.concatenate([[0], np.cumsum(counts)]), rows)


def no_interactions() -> Interactions:
    """Return interactions of nobody."""
    return Interactions(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions in three splits, and one feature matrix per modality.

    `features[m]: (V, F_m)` float32; an all-zero row says that the video lacks modality m.
    `metadata[i]` is what is told of video row i, JSON-ready
    (title, tags, uploader, language, published_at, expires_at).
    `seen` are in no split: these users met these videos and are not to be recommended them again,
    but nothing is learnt or judged of it. `hidden` are rows of videos to recommend to nobody.
    `log_position` is how far the event log has been read into all this.
    """

    name: str
    user_ids: list[str]
    video_ids: list[str]
    train: Interactions
    val: Interactions
    test: Interactions
    features: Mapping[Modality, Floats]
    metadata: list[dict[str, Any]] = field(default_factory=list)
    seen: Interactions = field(default_factory=no_interactions)
    hidden: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    log_position: Position = START

    def interactions(self, split: Split) -> Interactions:
        """Return the interactions of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    @property
    def users(self) -> int:
        """The number of users, U."""
        return len(self.user_ids)

    @property
    def videos(self) -> int:
        """The number of videos, V."""
        return len(self.video_ids)

    @property
    def feature_dims(self) -> dict[Modality, int]:
        """The width of each modality's features, in joining order."""
        return {m: self.features[m].shape[1] for m in in_order(self.features)}

    @cached_property
    def joined_features(self) -> Floats:
        """All modalities side by side in joining order: (V, F)."""
        return np.concatenate([self.features[m] for m in in_order(self.features)], axis=1)

    @cached_property
    def present(self) -> Mask:
        """Which modalities each video has: (V, M), in joining order."""
        known = [self.features[m].any(axis=1) for m in in_order(self.features)]
        present: Mask = np.column_stack(known)
        return present

    @cached_property
    def popularity(self) -> Rows:
        """Training interactions per video: (V,)."""
        return np.bincount(self.train.videos, minlength=self.videos)

    @property
    def cold(self) -> Mask:
        """Videos without any training interaction: (V,)."""
        cold: Mask = self.popularity == 0
        return cold
