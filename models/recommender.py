"""Scores users against videos: fused content beside a free embedding, as MetaMMF_MF defines it.

Knows rows, features and vectors; nothing of external ids, losses or files.
"""

import torch
from torch import Tensor, nn

from models.fusion import MetaFusion


class MetaMMF(nn.Module):
    """MetaMMF with matrix factorisation (Liu et al., ACM TOIS 2024).

    A video is e_i = [fused content; free id embedding], a user one free embedding as wide, and the
    score their inner product. A video that has just arrived has no id embedding: that part is zero.
    """

    standardised: Tensor
    present: Tensor

    def __init__(
        self, fusion: MetaFusion, features: Tensor, present: Tensor, *, users: int, id_dim: int
    ) -> None:
        """Learn the feature scaling from `features: (V, F)`, `present: (V, M)` and draw embeddings."""
        super().__init__()
        fusion.learn_scaling(features, present)
        self.fusion = fusion
        self.register_buffer("standardised", fusion.standardise(features, present), False)
        self.register_buffer("present", present, False)
        content_dim = fusion.layers[-1].base.shape[1]
        self.video_ids = nn.Parameter(torch.randn(len(features), id_dim) * 0.1)
        self.users = nn.Parameter(torch.randn(users, content_dim + id_dim) * 0.1)

    def user_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of user `rows: (B,)`: (B, D)."""
        return self.users[rows]

    def video_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of video `rows: (B,)`: (B, D)."""
        content = self.fusion(self.standardised[rows], self.present[rows])
        return torch.cat([content, self.video_ids[rows]], dim=1)
