"""Scores users against videos by fused content and free embeddings, as MetaMMF does.

Knows rows, features and vectors; nothing of external ids, losses or files.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, normalize

from models.arrival import arrival_vectors
from models.fusion import MetaFusion

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


class Recommender(Protocol):
    """What training asks of a network."""

    def __call__(
        self, users: Tensor, videos: Tensor, rehearsal: Rehearsal | None
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of user rows `users: (B,)` and video rows `videos: (V',)`."""

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is free in them, and penalised for its length: (B, d), (V', d)."""

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters that map features: they, and they alone, decay."""

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""


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
        propagation: nn.Module | None = None,
        feature_dropout: float = 0.0,
    ) -> None:
        """Learn the feature scaling from `features: (V, F)`, `present: (V, M)`, draw embeddings."""
        super().__init__()
        fusion.learn_scaling(features, present)
        self.fusion = fusion
        self.propagation = propagation
        self.feature_dropout = feature_dropout
        self.register_buffer("present", present, persistent=False)
        self.register_buffer(
            "standardised", fusion.standardise(features, present), persistent=False
        )
        width = fusion.output_dim
        self.ids = nn.Parameter(torch.randn(len(features), width) * EMBEDDING_SCALE)
        self.tastes = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)

    def forward(
        self, users: Tensor, videos: Tensor, rehearsal: Rehearsal | None
    ) -> tuple[Tensor, Tensor]:
        """Return unit vectors of user rows `users: (B,)` and video rows `videos: (V',)`.

        Without a propagation only the videos asked for pass through the fusion network.
        """
        if self.propagation is None:
            content = self._content(videos, rehearsal)
            user_vectors = embedding(users, self.tastes)
            known = content + embedding(videos, self.ids)
            if rehearsal is not None:
                known = torch.where(rehearsal.arriving[:, None], content, known)
        else:
            all_users, all_videos = self.propagation(self.tastes, self._every_content() + self.ids)
            user_vectors, known = embedding(users, all_users), embedding(videos, all_videos)
            if rehearsal is not None:
                places = rehearsal.arriving.nonzero()[:, 0]
                arriving = Rehearsal(rehearsal.arriving[places], rehearsal.kept[places])
                known = known.index_copy(0, places, self._content(videos[places], arriving))
        return normalize(user_vectors, dim=1), normalize(known, dim=1)

    def embeddings(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the users' vectors and the videos' id embeddings (see `Recommender`)."""
        return embedding(users, self.tastes), embedding(videos, self.ids)

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return what maps features, and decays (see `Recommender`)."""
        return self.fusion.parameters()

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
