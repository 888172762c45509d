"""Scores users against videos by fused content and free embeddings, as MetaMMF does.

Knows rows, features and vectors; nothing of external ids, losses or files.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, normalize

from models.arrival import arrival_vectors
from models.fusion import MetaFusion
from models.propagation import Propagation

EMBEDDING_SCALE = 0.1
# Rows represented at once outside training: bounds the activations of the fusion network.
BLOCK = 4096


class Rehearsal(NamedTuple):
    """Which videos of a step are represented as if they had just arrived.

    `arriving: (V',)` loses its id embedding and its edges; of its features only the modalities
    that `kept: (V', M)` tells remain.
    """

    arriving: Tensor
    kept: Tensor


class Step(NamedTuple):
    """What a step of training has asked of a network, and got.

    `users: (B,)` are rows, `videos: (V',)` different rows; `positives: (B,)` and `negatives: (N,)`
    are places in these; `user_vectors: (B, D)` and `video_vectors: (V', D)` were returned.
    """

    users: Tensor
    videos: Tensor
    positives: Tensor
    negatives: Tensor
    rehearsal: Rehearsal | None
    user_vectors: Tensor
    video_vectors: Tensor

    def rivals(self) -> Tensor:
        """Return a negative for each interaction: its own, or one of those that all share: (B,)."""
        places = torch.arange(len(self.users), device=self.users.device)
        return self.negatives[places % len(self.negatives)]


@runtime_checkable
class Rehearsing(Protocol):
    """A network that represents a video otherwise when it has just arrived: a rehearsal is due."""

    def arrivals(self, videos: Tensor) -> Tensor:
        """Return what features alone make of video rows `videos: (B,)`: (B, D)."""


@runtime_checkable
class WithContent(Rehearsing, Protocol):
    """A network in which the content of a video is a vector of its own."""

    def contents(self, videos: Tensor) -> Tensor:
        """Return the unit content vectors of video rows `videos: (B,)`, to learn by: (B, D)."""


@runtime_checkable
class WithExtraLoss(Protocol):
    """A network that asks for more than the objective does."""

    def extra_loss(self, step: Step) -> Tensor:
        """Return what is to be added to the loss of the `step`: a scalar."""


class Recommender(Protocol):
    """What training asks of a network.

    More is asked where it is `Rehearsing`, `WithContent` or `WithExtraLoss`.
    """

    def __call__(
        self, users: Tensor, videos: Tensor, rehearsal: Rehearsal | None, draw: int
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of user rows `users: (B,)` and video rows `videos: (V',)`.

        Where neighbours are drawn for them, the same number `draw` draws the same.
        """

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is free in them, and penalised for its length: (B, d), (V', d)."""

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters that map features: they, and they alone, decay."""

    def tables(self) -> Sequence[nn.Parameter]:
        """Return the parameters of which a step moves some rows: their gradients are sparse."""

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""

    def train(self, mode: bool = True) -> Any:  # noqa: FBT001, FBT002 - as torch has it
        """Turn dropout on, or off (see `torch.nn.Module`)."""


class MetaMMF(nn.Module):
    """MetaMMF (Liu et al., ACM TOIS 2024): with matrix factorisation or along the interactions.

    A video starts as fused content plus a free id embedding, a user as a free vector. A
    `propagation` refines both, where there is one. All vectors are scaled to unit length: the score
    is a cosine. (The paper sets content and embedding side by side and scores by their inner
    product; see docs/adr/0004-unit-vectors-and-rehearsed-arrivals.md.)
    """

    standardised: Tensor
    present: Tensor

    def __init__(
        self,
        fusion: MetaFusion,
        features: Tensor,
        present: Tensor,
        *,
        users: int,
        propagation: Propagation | None = None,
        feature_dropout: float = 0.0,
        sparse: bool = False,
    ) -> None:
        """Learn the feature scaling from `features: (V, F)`, `present: (V, M)`, draw embeddings.

        `sparse` gives these sparse gradients, where they are not propagated along a whole graph.
        """
        super().__init__()
        fusion.learn_scaling(features, present)
        self.fusion = fusion
        self.propagation = propagation
        self.feature_dropout, self.sparse = feature_dropout, sparse
        self.register_buffer("present", present, persistent=False)
        self.register_buffer(
            "standardised", fusion.standardise(features, present), persistent=False
        )
        width = fusion.output_dim
        self.ids = nn.Parameter(torch.randn(len(features), width) * EMBEDDING_SCALE)
        self.tastes = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)

    def forward(
        self, users: Tensor, videos: Tensor, rehearsal: Rehearsal | None, draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return unit vectors of user rows `users: (B,)` and video rows `videos: (V',)`.

        Only the videos that these are made of pass through the fusion network: those asked for,
        and what a propagation reaches from there (see `Recommender` for `draw`).
        """
        if self.propagation is None:
            content = self._content(videos, rehearsal)
            user_vectors, free = self.embeddings(users, videos)
            known = content + free
            if rehearsal is not None:
                known = torch.where(rehearsal.arriving[:, None], content, known)
        else:
            user_vectors, known = self._refined(self.propagation, users, videos, draw)
            if rehearsal is not None:
                places = rehearsal.arriving.nonzero()[:, 0]
                arriving = Rehearsal(rehearsal.arriving[places], rehearsal.kept[places])
                known = known.index_copy(0, places, self._content(videos[places], arriving))
        return normalize(user_vectors, dim=1), normalize(known, dim=1)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the users' vectors and the videos' id embeddings (see `Recommender`)."""
        return (
            embedding(users, self.tastes, sparse=self.sparse),
            embedding(videos, self.ids, sparse=self.sparse),
        )

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return what maps features, and decays (see `Recommender`)."""
        return self.fusion.parameters()

    def tables(self) -> Sequence[nn.Parameter]:
        """Return the embeddings, if they have sparse gradients (see `Recommender`)."""
        return [self.ids, self.tastes] if self.sparse else []

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the unit vectors of all users and all videos: (U, D), (V, D)."""
        users, videos = self.tastes, self._every_content() + self.ids
        if self.propagation is not None:
            users, videos = self.propagation(users, videos)
        return normalize(users, dim=1), normalize(videos, dim=1)

    def arrivals(self, videos: Tensor) -> Tensor:
        """Return what the service would make of video rows `videos: (B,)` on arrival: (B, D)."""
        return torch.cat(
            [
                arrival_vectors(self.fusion, self.standardised[rows], self.present[rows])
                for rows in torch.split(videos, BLOCK)
            ]
        )

    def contents(self, videos: Tensor) -> Tensor:
        """Return the unit content vectors of video rows `videos: (B,)` (see `WithContent`)."""
        return normalize(self._content(videos, None), dim=1)

    def _refined(
        self, propagation: Propagation, users: Tensor, videos: Tensor, draw: int
    ) -> tuple[Tensor, Tensor]:
        near = propagation.around(users, videos, draw)
        first: tuple[Tensor, Tensor] = self.tastes, self.ids
        if near.users is None or near.videos is None:
            content = self._every_content()
        else:
            first = self.embeddings(near.users, near.videos)
            content = self._content(near.videos, None)
        found_users, found_videos = propagation(first[0], content + first[1], near.hops)
        return embedding(near.asked[0], found_users), embedding(near.asked[1], found_videos)

    def _content(self, videos: Tensor, rehearsal: Rehearsal | None) -> Tensor:
        standardised, present = self.standardised[videos], self.present[videos]
        if rehearsal is not None:
            present = present & (rehearsal.kept | ~rehearsal.arriving[:, None])
            standardised = self.fusion.masked(standardised, present)
        return self._fused(standardised, present)

    def _every_content(self) -> Tensor:
        features, present = (torch.split(all_, BLOCK) for all_ in (self.standardised, self.present))
        return torch.cat([self._fused(*block) for block in zip(features, present, strict=True)])

    def _fused(self, standardised: Tensor, present: Tensor) -> Tensor:
        if self.feature_dropout:
            standardised = dropout(standardised, self.feature_dropout, self.training)
        content: Tensor = self.fusion(standardised, present)
        return content
