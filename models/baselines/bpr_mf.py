"""Plain matrix factorisation: ids alone, no features (Rendle et al., UAI 2009)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.recommender import EMBEDDING_SCALE, Rehearsal


class BprMf(nn.Module):
    """A free vector for each user and each video, and a bias for each video."""

    def __init__(self, *, users: int, videos: int, width: int) -> None:
        """Draw embeddings of `width`; vectors are D = width + 1 wide, a user's last column 1."""
        super().__init__()
        self.users = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)
        self.videos = nn.Parameter(torch.randn(videos, width) * EMBEDDING_SCALE)
        self.bias = nn.Parameter(torch.zeros(videos, 1))

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        return self.embeddings(users, videos)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return all there is (see `Recommender`)."""
        user_vectors, biases = embedding(users, self.users), embedding(videos, self.bias)
        ones = user_vectors.new_ones(len(users), 1)
        return torch.cat([user_vectors, ones], dim=1), torch.cat(
            [embedding(videos, self.videos), biases], dim=1
        )

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return none: there are no features (see `Recommender`)."""
        return ()

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        ones = self.users.new_ones(len(self.users), 1)
        return torch.cat([self.users, ones], dim=1), torch.cat([self.videos, self.bias], dim=1)
