"""LightGCN: ids refined along the interactions, no features (He et al., SIGIR 2020)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.propagation import LightGcn
from models.recommender import EMBEDDING_SCALE, Rehearsal


class LightGcnBaseline(nn.Module):
    """A free vector for each user and each video, propagated; the score is their inner product."""

    def __init__(self, propagation: LightGcn, *, users: int, videos: int, width: int) -> None:
        """Draw embeddings of `width`."""
        super().__init__()
        self.propagation = propagation
        self.users = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)
        self.videos = nn.Parameter(torch.randn(videos, width) * EMBEDDING_SCALE)

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        all_users, all_videos = self.all_vectors()
        return embedding(users, all_users), embedding(videos, all_videos)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the layer-0 vectors, as in the paper (see `Recommender`)."""
        return embedding(users, self.users), embedding(videos, self.videos)

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return none: there are no features (see `Recommender`)."""
        return ()

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the propagated vectors of all users and videos: (U, D), (V, D)."""
        users, videos = self.propagation(self.users, self.videos)
        return users, videos
