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

    def __init__(self, propagation: LightGcn, *, users: int, videos: int, width: int) -> None:
        """Draw vectors of `width`."""
        super().__init__(users=users, videos=videos, width=width)
        self.propagation = propagation

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        all_users, all_videos = self.all_vectors()
        return embedding(users, all_users), embedding(videos, all_videos)

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the propagated vectors of all users and videos: (U, D), (V, D)."""
        users, videos = self.propagation(self.users, self.videos)
        return users, videos
