"""The vector of a video that has just arrived, for trainer and service alike. Knows one network."""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.fusion import MetaFusion


@torch.no_grad()
def arrival_vectors(
    fusion: MetaFusion,
    features: Tensor,
    present: Tensor,
    *,
    vector_parts: Mapping[str, int],
    max_norm: float,
) -> Tensor:
    """Fuse raw `features: (B, F)` with `present: (B, M)` into vectors: (B, D).

    An arrival has no id embedding, so its id part is zero. Its length, bias left out, is held to
    `max_norm`, the longest trained vector: features nobody has seen cannot win every ranking.
    """
    fused = fusion(fusion.standardise(features, present), present)
    content, bias = fused.split([vector_parts["content"], vector_parts["bias"]], dim=1)
    norm = content.norm(dim=1, keepdim=True)
    content = content * (max_norm / norm.clamp(min=max_norm))
    ids = content.new_zeros(len(content), vector_parts["id"])
    return torch.cat([content, ids, bias], dim=1)
