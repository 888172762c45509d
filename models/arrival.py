"""The vector of a video that has just arrived, for trainer and service alike. Knows networks."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.bundle.manifest import FusionEntry
from models.ensemble import FusionEnsemble
from models.fusion import MetaFusion
from models.modality import Modality

# What makes a vector of features.
Fusion = MetaFusion | FusionEnsemble


def drawn_fusion(widths: Mapping[Modality, int], sizes: FusionEntry, *, output_dim: int) -> Fusion:
    """Return a network, or an ensemble, of the `sizes` that a manifest tells, weights as drawn."""
    members = [
        MetaFusion(
            widths,
            hidden_dims=sizes.hidden_dims,
            output_dim=output_dim,
            signal_hidden_dim=sizes.signal_hidden_dim,
            signal_dim=sizes.signal_dim,
            rank=sizes.rank,
            form=sizes.form,
        )
        for _ in range(sizes.members)
    ]
    return members[0] if len(members) == 1 else FusionEnsemble(members)


@torch.no_grad()
def arrival_vectors(fusion: Fusion, standardised: Tensor, present: Tensor) -> Tensor:
    """Fuse `standardised: (B, F)` features with `present: (B, M)`: (B, D), unit length.

    An arrival has neither id embedding nor edges: the direction of its content is all there is.
    Training shows the network such videos in every step (see `models.recommender.Rehearsal`).
    What all contents have in common tells no arrival from another, and keeps all of them from users
    or hands all to them: `fusion.common`, a share of their mean, is taken off. The members of an
    ensemble do so each, and what they say is brought together. Features that say nothing at all, as
    where all videos have the same, give a direction that says nothing.
    """
    if isinstance(fusion, FusionEnsemble):
        return fusion.together(arrival_vectors(m, standardised, present) for m in fusion.members)
    content = fusion(standardised, present)
    content = torch.where(content.any(dim=1, keepdim=True), content, 1.0)
    return normalize(normalize(content, dim=1) - fusion.common, dim=1)
