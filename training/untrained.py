"""What needs no training: popularity, linear filters, content neighbours. The bars to clear.

Knows interactions and features; nothing of networks.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.fusion import FEATURE_LIMIT
from models.modality import in_order
from training.data.dataset import Csr, Dataset, Floats, Mask, Rows
from training.evaluate import Scorer

SHORTEST: Final = 1e-9
# Of the subspace iteration: how many vectors more than asked for, and how often they are improved.
SPARE_VECTORS: Final = 32
ITERATIONS: Final = 24


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


def gf_cf(dataset: Dataset, *, vectors: int = 64, weight: float = 0.3) -> Scorer:
    """Score by GF-CF: r_u (N^T N + weight D_v^-1/2 V V^T D_v^1/2) (Shen et al., CIKM 2021).

    N is as in `linear_filter`, r_u what user u met; V are the first `vectors` right singular
    vectors of N, an ideal low-pass filter of that width. No matrix of users and videos, or of
    videos and videos, is made, but for the users asked together.
    """
    train, sizes = dataset.train, (dataset.users, dataset.videos)
    degree = torch.from_numpy(np.maximum(dataset.popularity, 1).astype(np.float32))
    active = torch.from_numpy(np.bincount(train.users, minlength=dataset.users).astype(np.float32))
    users, videos = torch.from_numpy(train.users), torch.from_numpy(train.videos)
    values = (active[users] * degree[videos]).rsqrt()
    edges = torch.stack([users, videos])
    normal = torch.sparse_coo_tensor(edges, values, sizes, check_invariants=True).coalesce()
    basis = _low_pass(normal, min(vectors, *sizes))
    by_user = train.by_user(dataset.users)

    def score(rows: Rows) -> Floats:
        met = torch.zeros(len(rows), dataset.videos)
        places = np.repeat(np.arange(len(rows)), by_user.counts(rows))
        met[places, by_user.of(rows)] = 1
        near = normal.T @ (normal @ met.T)
        smooth = (met * degree.rsqrt()) @ basis @ basis.T * degree.sqrt()
        return np.asarray((near.T + weight * smooth).numpy())

    return score


def _low_pass(matrix: Tensor, count: int) -> Tensor:
    """Return the first `count` right singular vectors of the sparse `matrix: (U, V)`: (V, count).

    By subspace iteration from a fixed start (Halko et al., SIAM Review 2011), wide enough that the
    last ones asked for have converged.
    """
    width = min(count + SPARE_VECTORS, *matrix.shape)
    start = torch.randn(matrix.shape[1], width, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(start).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(matrix.T @ (matrix @ basis)).Q
    turned = torch.linalg.svd(matrix @ basis, full_matrices=False).Vh.T
    found: Tensor = basis @ turned[:, :count]
    return found


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


# Made of a dataset, and of settings of its own where it has any.
UNTRAINED: Final[Mapping[str, Callable[..., Scorer]]] = {
    "popularity": popularity,
    "linear-filter": linear_filter,
    "gf-cf": gf_cf,
    "content-knn": content_neighbours,
}
