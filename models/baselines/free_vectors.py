"""What baselines without features share: a free vector for each user and each video."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.recommender import EMBEDDING_SCALE


class FreeVectors(nn.Module):
    """The parameters of a baseline that knows ids alone."""

    def __init__(self, *, users: int, videos: int, width: int, sparse: bool = False) -> None:
        """Draw vectors of `width`; `sparse` gives them sparse gradients."""
        super().__init__()
        self.sparse = sparse
        self.users = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)
        self.videos = nn.Parameter(torch.randn(videos, width) * EMBEDDING_SCALE)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the free vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        return (
            embedding(users, self.users, sparse=self.sparse),
            embedding(videos, self.videos, sparse=self.sparse),
        )

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return none: there are no features (see `Recommender`)."""
        return ()

    def tables(self) -> Sequence[nn.Parameter]:
        """Return all there is, if it has sparse gradients (see `Recommender`)."""
        return list(self.parameters()) if self.sparse else []
