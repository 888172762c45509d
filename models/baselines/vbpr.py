"""VBPR on all modalities: ids beside one linear map of features (He and McAuley, AAAI 2016)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.baselines.features import FeatureMap
from models.baselines.free_vectors import Free
from models.recommender import EMBEDDING_SCALE, Rehearsal


class Vbpr(nn.Module):
    """e_i = [id embedding ; W f_i | bias]: the static fusion that MetaMMF is measured against."""

    features: Tensor

    def __init__(self, features: Tensor, free: Free) -> None:
        """Map standardised `features: (V, F)` to width d; vectors are D = 2 d + 1 wide."""
        super().__init__()
        self.width, self.sparse = free.width, free.sparse
        self.register_buffer("features", features, persistent=False)
        self.map = FeatureMap(features.shape[1], free.width)
        self.users = nn.Parameter(torch.randn(free.users, 2 * free.width) * EMBEDDING_SCALE)
        self.videos = nn.Parameter(torch.randn(free.videos, free.width) * EMBEDDING_SCALE)
        self.bias = nn.Parameter(torch.zeros(free.videos, 1))
        if free.cold is not None:
            self.videos.data[free.cold] = 0

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, _draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        user_vectors = self._rows(users, self.users)
        ones = user_vectors.new_ones(len(users), 1)
        return torch.cat([user_vectors, ones], dim=1), self._videos(videos)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return all but the map of the features (see `Recommender`)."""
        free = torch.cat([self._rows(videos, self.videos), self._rows(videos, self.bias)], dim=1)
        return self._rows(users, self.users), free

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return what maps features, and decays (see `Recommender`)."""
        return self.map.parameters()

    def tables(self) -> Sequence[nn.Parameter]:
        """Return all but the map, if it has sparse gradients (see `Recommender`)."""
        return [self.users, self.videos, self.bias] if self.sparse else []

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        rows = torch.arange(len(self.features), device=self.features.device)
        ones = self.users.new_ones(len(self.users), 1)
        return torch.cat([self.users, ones], dim=1), self._videos(rows)

    def mapped(self, rows: Tensor) -> Tensor:
        """Return what the map makes of the features of video rows `rows: (N,)`: (N, width)."""
        content: Tensor = self.map(self.features[rows])
        return content

    def _videos(self, rows: Tensor) -> Tensor:
        free = self._rows(rows, self.videos), self._rows(rows, self.bias)
        return torch.cat([free[0], self.mapped(rows), free[1]], dim=1)

    def _rows(self, rows: Tensor, table: Tensor) -> Tensor:
        return embedding(rows, table, sparse=self.sparse)
