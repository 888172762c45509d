"""The vector of a video that has just arrived, for trainer and service alike. Knows one network."""

import torch
from torch import Tensor

from models.fusion import MetaFusion

SMALLEST_NORM = 1e-12


@torch.no_grad()
def arrival_vectors(
    fusion: MetaFusion,
    standardised: Tensor,
    present: Tensor,
    *,
    vector_dim: int,
    gain: float,
    max_norm: float,
) -> Tensor:
    """Fuse `standardised: (B, F)` features with `present: (B, M)`: (B, D), last column the bias.

    Columns of D = `vector_dim` that the fusion network does not fill belong to residuals: zero.

    An arrival has no residual: its content is all there is, and shorter than the sum of both. So it
    is stretched by `gain`, the mean length of trained vectors over that of their contents, and held
    to `max_norm`, the longest trained vector: features nobody has seen cannot win every ranking.
    The bias is left as it is.
    """
    content, bias = fusion(standardised, present).split([fusion.output_dim - 1, 1], dim=1)
    content = content * gain
    norm = content.norm(dim=1, keepdim=True).clamp(min=SMALLEST_NORM)
    side = content.new_zeros(len(content), vector_dim - fusion.output_dim)
    return torch.cat([content * (max_norm / norm).clamp(max=1), side, bias], dim=1)
