"""Plain matrix factorisation: ids alone, no features (Rendle et al., UAI 2009)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.baselines.free_vectors import Free, FreeVectors
from models.recommender import Rehearsal


class BprMf(FreeVectors):
    """A free vector for each user and each video, and a bias for each video."""

    def __init__(self, free: Free) -> None:
        """Draw the vectors; scored are D = width + 1 columns, a user's last one is 1."""
        super().__init__(free)
        self.bias = nn.Parameter(torch.zeros(free.videos, 1))

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, _draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        return self.embeddings(users, videos)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return all there is (see `Recommender`)."""
        user_vectors, video_vectors = super().embeddings(users, videos)
        return _biased(
            user_vectors, video_vectors, embedding(videos, self.bias, sparse=self.sparse)
        )

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        return _biased(self.users, self.videos, self.bias)


def _biased(users: Tensor, videos: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Append `bias: (V, 1)` to `videos: (V, d)`, and what it is multiplied by to `users`."""
    ones = users.new_ones(len(users), 1)
    return torch.cat([users, ones], dim=1), torch.cat([videos, bias], dim=1)
