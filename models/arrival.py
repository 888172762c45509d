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
    """
    return without(fusion.common, normalize(fusion(standardised, present), dim=1))


def without(common: Tensor, contents: Tensor) -> Tensor:
    """Take `common: (D,)` off unit `contents: (B, D)`, and scale to unit length again: (B, D).

    What all contents have in common tells no arrival from another, and keeps all of them from users
    or hands all to them; how much of it is taken off is chosen on validation (ADR 25).
    """
    return normalize(contents - common, dim=1)
