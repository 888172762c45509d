"""What baselines with a graph share: vectors of ids, and of features if any, that it refines."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import Tensor, nn
from torch.nn.functional import embedding

from models.baselines.features import FeatureMap
from models.baselines.free_vectors import Free, FreeVectors
from models.graph import Hop
from models.neighbourhood import Neighbourhood
from models.recommender import Rehearsal


class Refining(Protocol):
    """What refines vectors along a graph, as `models.propagation.Propagation` does."""

    def around(self, users: Tensor, videos: Tensor, draw: int) -> Neighbourhood:
        """Return what the vectors of rows `users: (B,)` and `videos: (V',)` are made of."""

    def __call__(
        self, users: Tensor, videos: Tensor, hops: Sequence[Hop] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, d)` and `videos: (V, d)` along `hops`, or the whole graph."""


class AlongGraph(FreeVectors):
    """x_u = p_u, x_i = q_i + W f_i, refined by a `propagation`; the score is their inner product.

    Without features x_i is q_i. It is p and q that are penalised. A cold video has neither an edge
    nor a q_i: what the propagation makes of its features is all there is of it.
    """

    features: Tensor | None

    def __init__(
        self, propagation: Refining, free: Free, *, features: Tensor | None = None
    ) -> None:
        """Draw vectors, and a map of standardised `features: (V, F)` to the same width."""
        super().__init__(free)
        self.propagation = propagation
        self.register_buffer("features", features, persistent=False)
        self.map = None if features is None else FeatureMap(features.shape[1], free.width)

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        near = self.propagation.around(users, videos, draw)
        first: tuple[Tensor, Tensor] = self.users, self._with_content(self.videos)
        if near.users is not None and near.videos is not None:
            free = self.embeddings(near.users, near.videos)
            first = free[0], self._with_content(free[1], near.videos)
        found_users, found_videos = self.propagation(*first, near.hops)
        return embedding(near.asked[0], found_users), embedding(near.asked[1], found_videos)

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return the map of features, if there is one (see `Recommender`)."""
        return () if self.map is None else self.map.parameters()

    def tables(self) -> list[nn.Parameter]:
        """Return the free vectors, if they have sparse gradients (see `Recommender`)."""
        return [self.users, self.videos] if self.sparse else []

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the refined vectors of all users and videos: (U, D), (V, D)."""
        users, videos = self.propagation(self.users, self._with_content(self.videos))
        return users, videos

    def _with_content(self, free: Tensor, rows: Tensor | None = None) -> Tensor:
        if self.map is None or self.features is None:
            return free
        features = self.features if rows is None else self.features[rows]
        added: Tensor = free + self.map(features)
        return added
