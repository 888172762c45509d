"""MetaMMF without features: unit vectors of ids alone, to tell what the fusion adds."""

from torch import Tensor
from torch.nn.functional import normalize

from models.baselines.free_vectors import FreeVectors
from models.recommender import Rehearsal


class CosineMf(FreeVectors):
    """A free direction for each user and each video; the score is their cosine."""

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, _draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        user_vectors, video_vectors = self.embeddings(users, videos)
        return normalize(user_vectors, dim=1), normalize(video_vectors, dim=1)

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        return normalize(self.users, dim=1), normalize(self.videos, dim=1)
