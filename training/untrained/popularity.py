"""The same list for everybody: what most users met. Knows interactions."""

import numpy as np

from training.data.dataset import Dataset, Floats, Rows
from training.untrained.system import Vectors


class Popularity:
    """Scores every video by its training interactions, ties by row."""

    def __init__(self, dataset: Dataset) -> None:
        """Rank the videos."""
        self._users = dataset.users
        order = np.argsort(-dataset.popularity, kind="stable")
        self._scores = np.empty(dataset.videos, dtype=np.float32)
        self._scores[order] = np.arange(dataset.videos, 0, -1)

    def scores(self, rows: Rows) -> Floats:
        """Score user `rows: (N,)`, all alike: (N, V)."""
        return np.tile(self._scores, (len(rows), 1))

    def vectors(self, width: int) -> Vectors:  # noqa: ARG002 - one column says it all
        """Return the scores as vectors of one column, with 1 for every user."""
        return Vectors(np.ones((self._users, 1), np.float32), self._scores[:, None].copy())
