"""The frozen view of one bundle: ids, rows, vectors, index. Knows nothing of what came after."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle.reader import Bundle
from models.ids import UserId, VideoId
from service.catalog.facets import Facets
from service.catalog.fusing import Fuser
from service.catalog.index import FaissIndex, Floats, Rows, UserRow, VideoRow
from service.catalog.representing import survey


class Snapshot:
    """A loaded bundle. Building one may fail and nothing has changed; once built it never does."""

    def __init__(self, bundle: Bundle) -> None:
        """Open the index, build the fusion network and the id tables.

        Raises:
            CorruptBundle: the index or the network does not fit the manifest.
        """
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.vectors: Floats = bundle.videos
        self.index = FaissIndex.open(
            bundle.index_file,
            shape=(bundle.manifest.videos, bundle.manifest.vector_dim),
            entry=bundle.manifest.index,
        )
        self.fuser = Fuser(bundle)
        # Beside the list, for many at once.
        self._video_ids = np.array(bundle.video_ids, dtype=object)
        self._rows = {video_id: row for row, video_id in enumerate(bundle.video_ids)}
        self._user_rows = {user_id: row for row, user_id in enumerate(bundle.user_ids)}
        # Worked out here, lest the first request pay for it.
        # `popular: (V,)` are all rows, most training interactions first, ties by row.
        self.popular: Rows = np.argsort(-bundle.popularity, kind="stable")
        self.facets = Facets(bundle.metadata)
        self.geometry = survey(bundle.users[bundle.activity > 0], bundle.videos)

    @property
    def bundle_id(self) -> str:
        """The id of the bundle."""
        return self.manifest.bundle_id

    @cached_property
    def by_id(self) -> Rows:
        """All rows in the order of their ids: (V,). Made when first asked for."""
        ids = self.bundle.video_ids
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)

    def video_row(self, video_id: VideoId) -> VideoRow | None:
        """Return the row of a trained video."""
        row = self._rows.get(video_id)
        return None if row is None else VideoRow(row)

    def user_row(self, user_id: UserId) -> UserRow | None:
        """Return the row of a trained user."""
        row = self._user_rows.get(user_id)
        return None if row is None else UserRow(row)

    def video_id(self, row: VideoRow) -> VideoId:
        """Return the id of a trained video."""
        return VideoId(self.bundle.video_ids[row])

    def video_ids(self, rows: Rows) -> list[VideoId]:
        """Return the ids of trained videos in `rows: (N,)`."""
        ids: list[VideoId] = self._video_ids[rows].tolist()
        return ids

    def metadata(self, row: VideoRow) -> dict[str, Any]:
        """Return the metadata the bundle holds of a video."""
        return self.bundle.metadata[row]

    def ablated(self, rows: Rows) -> Floats | None:
        """Return the content vectors of `rows: (N,)` with each set of modalities: (N, 2^M, D).

        None if the bundle has none.
        """
        if self.bundle.ablations is None:
            return None
        known = self.bundle.ablations[rows].astype(np.float32)
        nothing = np.broadcast_to(self.fuser.nothing, (len(rows), 1, known.shape[2]))
        return np.concatenate([nothing, known], axis=1)

    def user_vector(self, row: UserRow) -> Floats:
        """Return the vector of a trained user: (D,)."""
        return np.asarray(self.bundle.users[row])

    def taste(self, row: UserRow) -> NDArray[np.float64]:
        """Return how a trained user differs from all of them: their vector less the mean, (D,)."""
        taste: NDArray[np.float64] = self.bundle.users[row] - self.geometry.typical
        return taste

    def seen(self, row: UserRow) -> Rows:
        """Return the video rows that a user met in training, ascending."""
        starts = self.bundle.seen_starts
        return np.asarray(self.bundle.seen_videos[starts[row] : starts[row + 1]])
