"""Scores users against videos by fused content and free embeddings, as MetaMMF_MF does.

Knows rows, features and vectors; nothing of external ids, losses or files.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.arrival import arrival_vectors
from models.fusion import MetaFusion

EMBEDDING_SCALE = 0.1


class Pairing(NamedTuple):
    """Users and videos that are trained to rank by themselves: their inner product alone.

    `users: (B, d)` are rankers, `videos: (V, d)` the ranked. `lengths: (V, d)` are the video
    vectors whose length is penalised beside the users'; None where another pairing sees to it.
    """

    users: Tensor
    videos: Tensor
    lengths: Tensor | None


class Recommender(Protocol):
    """What training asks of a model. The last column of every vector is the bias."""

    def user_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of user `rows: (B,)`: (B, D), the bias column 1."""

    def video_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of video `rows: (B,)`: (B, D)."""

    def pairings(self, users: Tensor, videos: Tensor) -> list[Pairing]:
        """Return what is trained of user rows `users: (B,)` and video rows `videos: (V,)`."""


class EmbeddingTable(nn.Module):
    """Free vectors, one a row, with a bias column: learnt for videos, constantly 1 for users."""

    def __init__(self, rows: int, width: int, *, learn_bias: bool) -> None:
        """Draw `rows` vectors of `width` plus the bias, which starts at zero."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, width) * EMBEDDING_SCALE)
        self.bias = nn.Parameter(torch.zeros(rows, 1)) if learn_bias else None

    def forward(self, rows: Tensor) -> Tensor:
        """Return the vectors of `rows: (B,)`: (B, width + 1)."""
        vectors = embedding(rows, self.weight)
        ones = vectors.new_ones(len(rows), 1)
        bias = ones if self.bias is None else embedding(rows, self.bias)
        return torch.cat([vectors, bias], dim=1)


class MetaMMF(nn.Module):
    """MetaMMF with matrix factorisation (Liu et al., ACM TOIS 2024).

    A video is e_i = [fused content + residual ; id embedding], a user one free vector as wide, and
    the score their inner product. The residual, which the paper has not, holds what viewers know of
    a video and its features do not tell (docs/adr/0004-content-residual-and-id.md).
    """

    standardised: Tensor
    present: Tensor

    def __init__(
        self, fusion: MetaFusion, features: Tensor, present: Tensor, *, users: int, id_dim: int
    ) -> None:
        """Learn the feature scaling from `features: (V, F)`, `present: (V, M)`, draw embeddings."""
        super().__init__()
        fusion.learn_scaling(features, present)
        self.fusion = fusion
        self.register_buffer("present", present, persistent=False)
        self.register_buffer(
            "standardised", fusion.standardise(features, present), persistent=False
        )
        width = fusion.output_dim - 1
        self.residuals = EmbeddingTable(len(features), width, learn_bias=True)
        self.ids = EmbeddingTable(len(features), id_dim, learn_bias=True)
        self.tastes = EmbeddingTable(users, width, learn_bias=False)
        self.habits = EmbeddingTable(users, id_dim, learn_bias=False)

    @property
    def vector_dim(self) -> int:
        """The width of every vector, D."""
        return self.fusion.output_dim + self.ids.weight.shape[1]

    def user_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of user `rows: (B,)`: (B, D) (see `Recommender`)."""
        return torch.cat([self.tastes(rows)[:, :-1], self.habits(rows)], dim=1)

    def video_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of video `rows: (B,)`: (B, D) (see `Recommender`)."""
        fused, ids = self._content(rows) + self.residuals(rows), self.ids(rows)
        bias = fused[:, -1:] + ids[:, -1:]
        return torch.cat([fused[:, :-1], ids[:, :-1], bias], dim=1)

    def pairings(self, users: Tensor, videos: Tensor) -> list[Pairing]:
        """Return what is trained (see `Recommender`).

        Content stands alone in one pairing, as it must on arrival, and bends no user to itself; the
        residual learns what content cannot tell. Neither sees the ids, nor they it: what explains
        the training interactions sooner would starve the other.
        """
        content, residual, ids = self._content(videos), self.residuals(videos), self.ids(videos)
        tastes, habits = self.tastes(users), self.habits(users)
        return [
            Pairing(tastes, content.detach() + residual, content + residual),
            Pairing(tastes.detach(), content, None),
            Pairing(habits, ids, ids),
        ]

    def arrivals(self, rows: Tensor, *, gain: float, max_norm: float) -> Tensor:
        """Return what the service would make of video `rows: (B,)` on arrival: (B, D)."""
        return arrival_vectors(
            self.fusion,
            self.standardised[rows],
            self.present[rows],
            vector_dim=self.vector_dim,
            gain=gain,
            max_norm=max_norm,
        )

    def _content(self, rows: Tensor) -> Tensor:
        content: Tensor = self.fusion(self.standardised[rows], self.present[rows])
        return content
