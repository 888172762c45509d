"""The vector of a video that has just arrived, for trainer and service alike. Knows one network."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.fusion import MetaFusion


@torch.no_grad()
def arrival_vectors(fusion: MetaFusion, standardised: Tensor, present: Tensor) -> Tensor:
    """Fuse `standardised: (B, F)` features with `present: (B, M)`: (B, D), unit length.

    An arrival has neither id embedding nor edges: the direction of its content is all there is.
    Training shows the network such videos in every step (see `models.recommender.Rehearsal`).
    What all contents have in common tells no arrival from another, and keeps all of them from users
    or hands all to them: `fusion.common`, a share of their mean, is taken off.
    """
    return normalize(normalize(fusion(standardised, present), dim=1) - fusion.common, dim=1)
