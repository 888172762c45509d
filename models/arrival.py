"""The vector of a video that has just arrived, for trainer and service alike. Knows networks."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.ensemble import FusionEnsemble
from models.fusion import MetaFusion

# What makes a vector of features.
Fusion = MetaFusion | FusionEnsemble


@torch.no_grad()
def arrival_vectors(fusion: Fusion, standardised: Tensor, present: Tensor) -> Tensor:
    """Fuse `standardised: (B, F)` features with `present: (B, M)`: (B, D), unit length.

    An arrival has neither id embedding nor edges: the direction of its content is all there is.
    Training shows the network such videos in every step (see `models.recommender.Rehearsal`).
    What all contents have in common tells no arrival from another, and keeps all of them from users
    or hands all to them: `fusion.common`, a share of their mean, is taken off. The members of an
    ensemble do so each, and what they say is brought together.
    """
    if isinstance(fusion, FusionEnsemble):
        return fusion.together(arrival_vectors(m, standardised, present) for m in fusion.members)
    return normalize(normalize(fusion(standardised, present), dim=1) - fusion.common, dim=1)
