"""Answers by brute force what a view answers by search: the oracle views are compared with.

Knows the vectors of live videos in a dictionary; nothing of indexes, overlays or rows.
"""

from collections.abc import Mapping, Set

import numpy as np
from numpy.typing import NDArray

Ranked = list[tuple[str, float]]


def best(
    videos: Mapping[str, NDArray[np.float32]],
    vector: NDArray[np.float32],
    k: int,
    *,
    hidden: Set[str] = frozenset(),
) -> Ranked:
    """Return the `k` videos of largest inner product that are not `hidden`, ties by id."""
    scores = {
        video_id: float(np.sum(row.astype(np.float64) * vector))
        for video_id, row in videos.items()
        if video_id not in hidden
    }
    return _ranked(scores)[:k]


def nearest(videos: Mapping[str, NDArray[np.float32]], video_id: str, k: int) -> Ranked:
    """Return the `k` other videos of largest cosine, ties by id: all vectors have unit length."""
    return best(videos, videos[video_id], k, hidden={video_id})


def _ranked(scores: Mapping[str, float]) -> Ranked:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
