"""What baselines share that score with all vectors of a whole graph, refined in every step."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn.functional import embedding

from models.baselines.free_vectors import FreeVectors
from models.recommender import Rehearsal


class WholeGraph(FreeVectors):
    """A step makes all vectors (`all_vectors`, for a subclass to write) and takes its own."""

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, _draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        all_users, all_videos = self.all_vectors()
        return embedding(users, all_users), embedding(videos, all_videos)

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        raise NotImplementedError

    def mapping(self) -> Sequence[nn.Module]:
        """Return the modules that map features, for a subclass to write."""
        raise NotImplementedError

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return what maps features, and decays (see `Recommender`)."""
        return [parameter for module in self.mapping() for parameter in module.parameters()]
