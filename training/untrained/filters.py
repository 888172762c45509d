"""Linear graph filters: what is met together, smoothed over all interactions. Knows interactions.

Throughout, R holds the training interactions, (U, V), with degrees D_u of users and D_v of videos,
and N = D_u^-1/2 R D_v^-1/2. A filter scores user u by r_u M, of which no part as large as users by
videos, or videos by videos, is made but for the users asked together.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from training.data.dataset import Dataset, Floats, Rows
from training.untrained.system import Vectors

# Of the subspace iteration: how many vectors more than asked for, and how often they are improved.
SPARE_VECTORS: Final = 32
ITERATIONS: Final = 24
SHORTEST: Final = 1e-9


class Filter(ABC):
    """A filter M, (V, V), known by its products with blocks of columns (V, B)."""

    def __init__(self, dataset: Dataset) -> None:
        """Normalise the training interactions of `dataset`."""
        train, self._sizes = dataset.train, (dataset.users, dataset.videos)
        degree = torch.from_numpy(np.maximum(dataset.popularity, 1).astype(np.float32))
        counts = np.bincount(train.users, minlength=dataset.users).astype(np.float32)
        active = torch.from_numpy(counts)
        users, videos = torch.from_numpy(train.users), torch.from_numpy(train.videos)
        values = (active[users] * degree[videos]).rsqrt()
        edges = torch.stack([users, videos])
        normal = torch.sparse_coo_tensor(edges, values, self._sizes, check_invariants=True)
        self._normal = normal.coalesce()
        self._across = self._normal.T.coalesce()
        self._by_user = train.by_user(dataset.users)
        # The roots of the degrees of videos, (V, 1), at least 1, and of users, (U, 1).
        self._root, self._user_root = degree.sqrt()[:, None], active.sqrt()[:, None]

    @abstractmethod
    def times(self, block: Tensor) -> Tensor:
        """Return M @ `block: (V, B)`."""

    @abstractmethod
    def transposed_times(self, block: Tensor) -> Tensor:
        """Return M^T @ `block: (V, B)`."""

    def scores(self, rows: Rows) -> Floats:
        """Score user `rows: (N,)` against all videos: (N, V)."""
        met = torch.zeros(self._sizes[1], len(rows))
        places = np.repeat(np.arange(len(rows)), self._by_user.counts(rows))
        met[self._by_user.of(rows), places] = 1
        return np.ascontiguousarray(self.transposed_times(met).T.numpy())

    def vectors(self, width: int) -> Vectors:
        """Return the best approximation of all scores, R M, of rank `width` (Eckart and Young).

        Users are its left, videos its right singular vectors, each times the root of its singular
        value: so columns that tell little are short on both sides.
        """
        right = right_vectors(self._all_times, self._all_transposed_times, self._sizes, width)
        left = self._all_times(right)
        roots = left.norm(dim=0).sqrt()
        return Vectors((left / roots.clamp(min=SHORTEST)).numpy(), (right * roots).numpy())

    def _all_times(self, block: Tensor) -> Tensor:
        """Return R M @ `block: (V, B)`: (U, B), for R is D_u^1/2 N D_v^1/2."""
        found: Tensor = self._user_root * (self._normal @ (self._root * self.times(block)))
        return found

    def _all_transposed_times(self, block: Tensor) -> Tensor:
        """Return (R M)^T @ `block: (U, B)`: (V, B)."""
        return self.transposed_times(self._root * (self._across @ (self._user_root * block)))

    def _hop(self, block: Tensor) -> Tensor:
        """Return N^T N @ `block: (V, B)`: what users who met both carry from video to video."""
        found: Tensor = self._across @ (self._normal @ block)
        return found


class LinearFilter(Filter):
    """One hop of the normalised co-occurrence, M = D_v^-1/2 N^T N D_v^1/2.

    The linear half of GF-CF, with the degrees of its other half.
    """

    def times(self, block: Tensor) -> Tensor:
        """Return M @ `block: (V, B)`."""
        return self._hop(self._root * block) / self._root

    def transposed_times(self, block: Tensor) -> Tensor:
        """Return M^T @ `block: (V, B)`."""
        return self._root * self._hop(block / self._root)


class GfCf(Filter):
    """GF-CF, M = N^T N + weight D_v^-1/2 V V^T D_v^1/2 (Shen et al., CIKM 2021).

    V are the first `dim` right singular vectors of N, an ideal low-pass filter of that width.
    """

    def __init__(self, dataset: Dataset, *, dim: int, weight: float) -> None:
        """Find the singular vectors."""
        super().__init__(dataset)
        self._weight = weight
        self._basis = right_vectors(
            lambda block: self._normal @ block,
            lambda block: self._across @ block,
            self._sizes,
            dim,
        )

    def times(self, block: Tensor) -> Tensor:
        """Return M @ `block: (V, B)`."""
        smooth = self._smoothed(self._root * block) / self._root
        return self._hop(block) + self._weight * smooth

    def transposed_times(self, block: Tensor) -> Tensor:
        """Return M^T @ `block: (V, B)`."""
        smooth = self._root * self._smoothed(block / self._root)
        return self._hop(block) + self._weight * smooth

    def _smoothed(self, block: Tensor) -> Tensor:
        """Return V V^T @ `block: (V, B)`."""
        return self._basis @ (self._basis.T @ block)


def right_vectors(
    times: Callable[[Tensor], Tensor],
    transposed_times: Callable[[Tensor], Tensor],
    sizes: tuple[int, int],
    count: int,
) -> Tensor:
    """Return the first `count` right singular vectors, (V, count), of a matrix of `sizes` (U, V).

    The matrix is known by its products, and those of its transpose, with blocks of columns; there
    are no more vectors than its shorter side. By subspace iteration from a fixed start (Halko et
    al., SIAM Review 2011), wide enough that the last ones asked for have converged.
    """
    width = min(count + SPARE_VECTORS, *sizes)
    start = torch.randn(sizes[1], width, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(start).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(transposed_times(times(basis))).Q
    turned = torch.linalg.svd(times(basis), full_matrices=False).Vh.T
    found: Tensor = basis @ turned[:, :count]
    return found
