"""Scores users against videos: fused content plus a free residual for each video, as in MetaMMF_MF.

Knows rows, features and vectors; nothing of external ids, losses or files.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.arrival import arrival_vectors
from models.fusion import MetaFusion

EMBEDDING_SCALE = 0.1


class VideoParts(NamedTuple):
    """The summands of video vectors, each (B, D). A model that knows no features has no content."""

    residual: Tensor
    content: Tensor | None

    @property
    def total(self) -> Tensor:
        """The vectors: (B, D)."""
        return self.residual if self.content is None else self.residual + self.content

    @property
    def with_fixed_content(self) -> Tensor:
        """The vectors, through which no gradient reaches the content: (B, D)."""
        return self.residual if self.content is None else self.residual + self.content.detach()


class Recommender(Protocol):
    """What the training loop asks of a model. The last column of every vector is the bias."""

    def user_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of user `rows: (B,)`: (B, D), the bias column 1."""

    def video_parts(self, rows: Tensor) -> VideoParts:
        """Return the vectors of video `rows: (B,)` in their parts."""


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
        return torch.cat(
            [vectors, ones if self.bias is None else embedding(rows, self.bias)], dim=1
        )


class MetaMMF(nn.Module):
    """MetaMMF with matrix factorisation (Liu et al., ACM TOIS 2024).

    A video is its fused content plus a free residual, a user one free vector, the score their inner
    product. (The paper puts content and id side by side; see docs/adr/0004-additive-residual.md.)
    """

    standardised: Tensor
    present: Tensor

    def __init__(
        self, fusion: MetaFusion, features: Tensor, present: Tensor, *, users: int
    ) -> None:
        """Learn the feature scaling from `features: (V, F)`, `present: (V, M)`, draw embeddings."""
        super().__init__()
        fusion.learn_scaling(features, present)
        self.fusion = fusion
        self.register_buffer("present", present, persistent=False)
        self.register_buffer(
            "standardised", fusion.standardise(features, present), persistent=False
        )
        self.residuals = EmbeddingTable(len(features), fusion.output_dim - 1, learn_bias=True)
        self.audience = EmbeddingTable(users, fusion.output_dim - 1, learn_bias=False)

    def user_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of user `rows: (B,)`: (B, D) (see `Recommender`)."""
        vectors: Tensor = self.audience(rows)
        return vectors

    def video_parts(self, rows: Tensor) -> VideoParts:
        """Return the residual and the content of video `rows: (B,)` (see `Recommender`)."""
        content = self.fusion(self.standardised[rows], self.present[rows])
        return VideoParts(self.residuals(rows), content)

    def arrivals(self, rows: Tensor, *, gain: float, max_norm: float) -> Tensor:
        """Return what the service would make of video `rows: (B,)` on arrival: (B, D)."""
        return arrival_vectors(
            self.fusion, self.standardised[rows], self.present[rows], gain=gain, max_norm=max_norm
        )
