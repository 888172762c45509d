"""Neighbours by content: what is like what a user met. Knows features and interactions."""

from typing import Final

import numpy as np

from models.fusion import FEATURE_LIMIT
from models.modality import in_order
from training.axes import moments, principal_axes
from training.data.dataset import Dataset, Floats, Mask, Rows
from training.untrained.system import Vectors

SHORTEST: Final = 1e-9


class ContentNeighbours:
    """Scores by the cosine with the mean of a user's training videos, over all modalities.

    Each modality is standardised by column and has unit length in every video.
    """

    def __init__(self, dataset: Dataset) -> None:
        """Make the profile of every video."""
        self._users = np.arange(dataset.users)
        self._by_user = dataset.train.by_user(dataset.users)
        blocks = []
        for modality in in_order(dataset.features):
            matrix = dataset.features[modality].astype(np.float64)
            known: Mask = np.asarray(matrix.any(axis=1))
            deviation = matrix[known].std(axis=0)
            deviation[deviation == 0] = 1
            standard = (matrix - matrix[known].mean(axis=0)) / deviation
            standard = np.clip(standard, -FEATURE_LIMIT, FEATURE_LIMIT) * known[:, None]
            blocks.append(_unit(standard))
        self._profiles = _unit(np.concatenate(blocks, axis=1)).astype(np.float32)

    def scores(self, rows: Rows) -> Floats:
        """Score user `rows: (N,)` against all videos: (N, V)."""
        scores: Floats = self._sums(self._profiles, rows) @ self._profiles.T
        return scores

    def vectors(self, width: int) -> Vectors:
        """Return the profiles, and their sums over what each user met.

        Of features that are more than `width` columns together what lies along the axes on which
        profiles extend furthest.
        """
        profiles = self._profiles
        if profiles.shape[1] > width:
            everything = moments([profiles], np.arange(len(profiles)))
            profiles = profiles @ principal_axes(everything, width).astype(np.float32)
        return Vectors(self._sums(profiles, self._users), profiles)

    def _sums(self, matrix: Floats, rows: Rows) -> Floats:
        """Return for each user row of `rows: (N,)` the sum of `matrix: (V, W)` over its videos."""
        counts, met = self._by_user.counts(rows), self._by_user.of(rows)
        sums = np.zeros((len(rows), matrix.shape[1]), dtype=np.float32)
        ends = np.cumsum(counts)
        for place, (end, count) in enumerate(zip(ends, counts, strict=True)):
            sums[place] = matrix[met[end - count : end]].sum(axis=0)
        return sums


def _unit(matrix: Floats) -> Floats:
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Floats = matrix / np.maximum(lengths, SHORTEST)
    return unit
