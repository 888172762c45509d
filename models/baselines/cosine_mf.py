"""MetaMMF without features: unit vectors of ids alone, to tell what the fusion adds."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from models.recommender import EMBEDDING_SCALE, Rehearsal


class CosineMf(nn.Module):
    """A free direction for each user and each video; the score is their cosine."""

    def __init__(self, *, users: int, videos: int, width: int) -> None:
        """Draw embeddings of `width`."""
        super().__init__()
        self.users = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)
        self.videos = nn.Parameter(torch.randn(videos, width) * EMBEDDING_SCALE)

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        user_vectors, video_vectors = self.embeddings(users, videos)
        return normalize(user_vectors, dim=1), normalize(video_vectors, dim=1)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors before they are scaled (see `Recommender`)."""
        return embedding(users, self.users), embedding(videos, self.videos)

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return none: there are no features (see `Recommender`)."""
        return ()

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        return normalize(self.users, dim=1), normalize(self.videos, dim=1)
