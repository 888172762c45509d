"""LightGCN: ids refined along the interactions, no features (He et al., SIGIR 2020)."""

from torch import Tensor
from torch.nn.functional import embedding

from models.baselines.free_vectors import FreeVectors
from models.propagation import LightGcn
from models.recommender import Rehearsal


class LightGcnBaseline(FreeVectors):
    """A free vector for each user and each video, propagated; the score is their inner product.

    As in the paper it is the layer-0 vectors, the free ones, that are penalised.
    """

    def __init__(
        self,
        propagation: LightGcn,
        *,
        users: int,
        videos: int,
        width: int,
        sparse: bool = False,
    ) -> None:
        """Draw vectors of `width`; `sparse` is not for a propagation along a whole graph."""
        super().__init__(users=users, videos=videos, width=width, sparse=sparse)
        self.propagation = propagation

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        near = self.propagation.around(users, videos, draw)
        first: tuple[Tensor, Tensor] = self.users, self.videos
        if near.users is not None and near.videos is not None:
            first = self.embeddings(near.users, near.videos)
        found_users, found_videos = self.propagation(*first, near.hops)
        return embedding(near.asked[0], found_users), embedding(near.asked[1], found_videos)

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the propagated vectors of all users and videos: (U, D), (V, D)."""
        users, videos = self.propagation(self.users, self.videos)
        return users, videos
