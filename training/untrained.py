"""What needs no training: popularity, a linear filter, content neighbours. The bars to clear.

Knows interactions and features; nothing of networks.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from models.fusion import FEATURE_LIMIT
from models.modality import in_order
from training.data.dataset import Csr, Dataset, Floats, Mask, Rows
from training.evaluate import Scorer

SHORTEST: Final = 1e-9


def popularity(dataset: Dataset) -> Scorer:
    """Score every video by its training interactions, ties by row."""
    order = np.argsort(-dataset.popularity, kind="stable")
    scores = np.empty(dataset.videos, dtype=np.float32)
    scores[order] = np.arange(dataset.videos, 0, -1)
    return lambda rows: np.tile(scores, (len(rows), 1))


def linear_filter(dataset: Dataset) -> Scorer:
    """Score by one hop of the normalised co-occurrence: R D_v^-1/2 (N^T N) D_v^1/2.

    N = D_u^-1/2 R D_v^-1/2 over the training interactions R (a linear graph filter, as in GF-CF,
    Shen et al., CIKM 2021). The sums over a user's videos are made for the users asked alone.
    """
    train = dataset.train
    degree = np.maximum(dataset.popularity, 1).astype(np.float32) ** 0.5
    active = np.maximum(np.bincount(train.users, minlength=dataset.users), 1).astype(np.float32)
    by_user = train.by_user(dataset.users)
    similar = np.zeros((dataset.videos, dataset.videos), dtype=np.float32)
    for user in range(dataset.users):
        met = by_user.videos[by_user.starts[user] : by_user.starts[user + 1]]
        similar[np.ix_(met, met)] += 1 / active[user] / np.outer(degree[met], degree[met])
    similar /= degree[:, None]

    def score(rows: Rows) -> Floats:
        scores: Floats = _summed(similar, by_user, rows) * degree
        return scores

    return score


def content_neighbours(dataset: Dataset) -> Scorer:
    """Score by the cosine with the mean of a user's training videos, over all modalities.

    Each modality is standardised by column and has unit length in every video.
    """
    blocks = []
    for modality in in_order(dataset.features):
        matrix = dataset.features[modality].astype(np.float64)
        known: Mask = np.asarray(matrix.any(axis=1))
        deviation = matrix[known].std(axis=0)
        deviation[deviation == 0] = 1
        standard = (matrix - matrix[known].mean(axis=0)) / deviation
        standard = np.clip(standard, -FEATURE_LIMIT, FEATURE_LIMIT) * known[:, None]
        blocks.append(_unit(standard))
    profiles = _unit(np.concatenate(blocks, axis=1)).astype(np.float32)
    by_user = dataset.train.by_user(dataset.users)

    def score(rows: Rows) -> Floats:
        scores: Floats = _summed(profiles, by_user, rows) @ profiles.T
        return scores

    return score


def _summed(matrix: Floats, by_user: Csr, rows: Rows) -> Floats:
    """Return for each user row of `rows: (N,)` the sum of `matrix: (V, W)` over its videos."""
    counts, met = by_user.counts(rows), by_user.of(rows)
    sums = np.zeros((len(rows), matrix.shape[1]), dtype=np.float32)
    ends = np.cumsum(counts)
    for place, (end, count) in enumerate(zip(ends, counts, strict=True)):
        sums[place] = matrix[met[end - count : end]].sum(axis=0)
    return sums


def _unit(matrix: Floats) -> Floats:
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Floats = matrix / np.maximum(lengths, SHORTEST)
    return unit


UNTRAINED: Final[Mapping[str, Callable[[Dataset], Scorer]]] = {
    "popularity": popularity,
    "linear-filter": linear_filter,
    "content-knn": content_neighbours,
}
