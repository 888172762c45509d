"""The frozen view of one bundle: ids, rows, vectors, index. Knows nothing of what came after."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle.reader import Bundle
from models.ids import UserId, VideoId
from service.catalog.facets import TrainedFacets
from service.catalog.fusing import Fuser
from service.catalog.index import FaissIndex, Floats, Index, Rows, UserRow, VideoRow

# So many ids of videos are kept at hand; some 10 MiB.
KEPT: Final = 100_000


class Snapshot:
    """A loaded bundle. Building one may fail and nothing has changed; once built it never does."""

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        """Open the index and build the fusion network on a torch `device`.

        Raises:
            CorruptBundle: the index or the network does not fit the manifest.
        """
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.vectors: Floats = bundle.videos
        self.index: Index = FaissIndex.open(
            bundle.index_file,
            shape=(bundle.manifest.videos, bundle.manifest.vector_dim),
            entry=bundle.manifest.index,
        )
        self.fuser = Fuser(bundle, device)
        self._shown: dict[int, VideoId] = {}
        # All rows, most training interactions first, ties by row; and all rows by their ids.
        self.popular: Rows = bundle.popular
        self.by_id: Rows = bundle.video_ids.order
        self.facets = TrainedFacets(bundle.facets)
        self.geometry = bundle.geometry

    @property
    def bundle_id(self) -> str:
        """The id of the bundle."""
        return self.manifest.bundle_id

    def video_row(self, video_id: VideoId) -> VideoRow | None:
        """Return the row of a trained video."""
        row = self.bundle.video_ids.row(video_id)
        return None if row is None else VideoRow(row)

    def user_row(self, user_id: UserId) -> UserRow | None:
        """Return the row of a trained user."""
        row = self.bundle.user_ids.row(user_id)
        return None if row is None else UserRow(row)

    def video_id(self, row: VideoRow) -> VideoId:
        """Return the id of a trained video."""
        return VideoId(self.bundle.video_ids[row])

    def video_ids(self, rows: Rows) -> list[VideoId]:
        """Return the ids of trained videos in `rows: (N,)`."""
        # What is shown is mostly what was shown before: a dictionary tells it ten times as fast.
        known = self._shown
        if len(known) > KEPT:
            known.clear()
        return [known.get(row) or known.setdefault(row, self._read(row)) for row in rows.tolist()]

    def _read(self, row: int) -> VideoId:
        return VideoId(self.bundle.video_ids[row])

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
