"""The vector of a video that has just arrived, for trainer and service alike. Knows one network."""

import torch
from torch import Tensor

from models.fusion import MetaFusion


@torch.no_grad()
def arrival_vectors(
    fusion: MetaFusion, standardised: Tensor, present: Tensor, *, max_norm: float
) -> Tensor:
    """Fuse `standardised: (B, F)` features with `present: (B, M)`: (B, D), last column the bias.

    An arrival has no residual: its content is all there is. Its length, bias left out, is held to
    `max_norm`, the longest trained vector: features nobody has seen cannot win every ranking.
    """
    vectors = fusion(standardised, present)
    norm = vectors[:, :-1].norm(dim=1, keepdim=True)
    shrink = max_norm / norm.clamp(min=max_norm)
    return torch.cat([vectors[:, :-1] * shrink, vectors[:, -1:]], dim=1)
