"""Which videos there are, with features and metadata: a base, and what a log makes of it.

Knows events of videos; nothing of users or where events come from.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from eventlog.events import VideoUpserted, merged
from models.modality import Modality
from training.data.columns import Growing
from training.data.dataset import Dataset, Floats, Rows

TEXTS: Final = ("title", "uploader", "language", "published_at", "expires_at")
TAGS: Final = "tags"


class Unfit(Exception):
    """An event cannot be taken over; its text says why."""


class Put(NamedTuple):
    """A video as an event has put it; a modality that it lacks is not among its features."""

    features: dict[Modality, Floats]
    metadata: dict[str, Any]


class Videos:
    """The videos of a base, changed by events one after the other.

    `numbers` are their rows in the base, then those of all ids in the order of their coming.
    """

    def __init__(self, base: Dataset) -> None:
        """Begin with the videos of `base`."""
        self.numbers = Growing((video_id, row) for row, video_id in enumerate(base.video_ids))
        self._base, self._widths = base, base.feature_dims
        # None: as it is in the base.
        self._live: dict[int, Put | None] = dict.fromkeys(range(base.videos))
        self._hidden = set(base.hidden.tolist())
        # Put with features that do not fit while not live: what hides them is kept in mind.
        self._unread: set[int] = set()
        self._retold: dict[int, dict[str, Any]] = {}

    def put(self, event: VideoUpserted) -> None:
        """A video arrived or was replaced.

        Raises:
            Unfit: its features are not those of the base.
        """
        number = self.numbers[event.video_id]
        try:
            features = self._features(event)
        except Unfit:
            self._unread.add(number)
            raise
        self._unread.discard(number)
        self._retold.pop(number, None)
        self._live[number] = Put(features, _told(event.metadata))

    def retell(self, number: int, metadata: dict[str, Any]) -> None:
        """Some metadata of a video is another now; of one that is not there it is void."""
        if number not in self._live:
            return
        known = self._known(number, self._live[number])
        self._retold[number] = _told(merged(known, metadata))

    def delete(self, number: int) -> None:
        """A video is gone, and with it that it was hidden."""
        self._live.pop(number, None)
        self._hidden.discard(number)
        self._unread.discard(number)
        self._retold.pop(number, None)

    def hide(self, number: int, *, hidden: bool) -> None:
        """A video is hidden or shown; one that is not there is not."""
        if hidden and (number in self._live or number in self._unread):
            self._hidden.add(number)
        elif not hidden:
            self._hidden.discard(number)

    @property
    def live(self) -> Rows:
        """The numbers of the videos there are; their rows in a new dataset are in this order."""
        return np.fromiter(self._live, np.int64, len(self._live))

    @property
    def hidden(self) -> Rows:
        """The rows, in a new dataset, of hidden videos."""
        return np.flatnonzero(np.isin(self.live, [*self._hidden]))

    @property
    def replaced(self) -> int:
        """How many videos of the base were put again."""
        return sum(n < self._base.videos and put is not None for n, put in self._live.items())

    def features(self) -> dict[Modality, Floats]:
        """Return the features of all videos there are."""
        live = self.live
        old = np.array([put is None for put in self._live.values()], np.bool_)
        matrices: dict[Modality, Floats] = {}
        for modality, known in self._base.features.items():
            matrix = np.zeros((len(live), known.shape[1]), np.float32)
            matrix[old] = known[live[old]]
            for row, put in enumerate(self._live.values()):
                if put is not None and modality in put.features:
                    matrix[row] = put.features[modality]
            matrices[modality] = matrix
        return matrices

    def metadata(self) -> list[dict[str, Any]]:
        """Return what is told of all videos there are."""
        return [self._known(number, put) for number, put in self._live.items()]

    def _known(self, number: int, put: Put | None) -> dict[str, Any]:
        if number in self._retold:
            return self._retold[number]
        if put is not None:
            return put.metadata
        return self._base.metadata[number] if self._base.metadata else {}

    def _features(self, event: VideoUpserted) -> dict[Modality, Floats]:
        strange = sorted(set(event.features).difference(self._widths))
        if strange:
            raise Unfit(f"modality {strange[0][:40]!r}, the base has {list(self._widths)}")
        found: dict[Modality, Floats] = {}
        for modality, width in self._widths.items():
            raw = event.features.get(modality)
            values = _values(raw, modality, width)
            if values.any():
                found[modality] = values
        if not found:
            raise Unfit("no features, or zeros alone")
        return found


def _values(raw: bytes | None, modality: Modality, width: int) -> Floats:
    """Return the floats in `raw`: (F_m,), zeros where there are none."""
    if raw is None:
        return np.zeros(width, np.float32)
    if len(raw) != 4 * width:
        raise Unfit(f"{modality} has {len(raw)} bytes, expected {4 * width}: {width} float32")
    values: Floats = np.frombuffer(raw, dtype="<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise Unfit(f"{modality} holds numbers that are not finite")
    return values


def _told(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return of `metadata` what a dataset has a column for."""
    told = {name: metadata[name] for name in TEXTS if isinstance(metadata.get(name), str)}
    tags = metadata.get(TAGS)
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        told[TAGS] = tags
    return told
