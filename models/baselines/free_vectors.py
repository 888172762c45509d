"""What baselines share: a free vector for each user and each video."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.recommender import EMBEDDING_SCALE


class Free(NamedTuple):
    """How many free vectors there are, and how wide they are.

    `sparse` gives them sparse gradients: not where vectors are refined along a whole graph. Where
    `cold: (V,)` is true nothing is known of an id: these start at 0, and stay there if no step
    moves them. A column of a vector is drawn with the deviation `scale`.
    """

    users: int
    videos: int
    width: int
    sparse: bool = False
    cold: Tensor | None = None
    scale: float = EMBEDDING_SCALE


class FreeVectors(nn.Module):
    """The parameters of a baseline that stand for ids."""

    def __init__(self, free: Free) -> None:
        """Draw the vectors."""
        super().__init__()
        self.sparse = free.sparse
        self.users = nn.Parameter(torch.randn(free.users, free.width) * free.scale)
        self.videos = nn.Parameter(torch.randn(free.videos, free.width) * free.scale)
        if free.cold is not None:
            self.videos.data[free.cold] = 0

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
