"""Several fusion networks that stand for one. Knows their vectors; nothing of how they are trained.

See docs/adr/0026-ensembles.md.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.fusion import MetaFusion


class FusionEnsemble(nn.Module):
    """M fusion networks that read the same features, each with D-wide vectors of its own.

    `projection: (M, D, D)` brings these together: it maps those of each member onto axes that all
    share.
    """

    projection: Tensor

    def __init__(self, members: Sequence[MetaFusion]) -> None:
        """Take the `members`, which have one width; the projection is 0 until it is set."""
        super().__init__()
        self.networks = nn.ModuleList(members)
        self.output_dim = members[0].output_dim
        shape = (len(members), self.output_dim, self.output_dim)
        self.register_buffer("projection", torch.zeros(shape))

    @property
    def members(self) -> list[MetaFusion]:
        """The `networks`, in the order of the projection."""
        return [cast("MetaFusion", member) for member in self.networks]

    @property
    def mean(self) -> Tensor:
        """What all members take off features: (F,)."""
        return self.members[0].mean

    @property
    def scale(self) -> Tensor:
        """What all members divide features by: (F,)."""
        return self.members[0].scale

    def standardise(self, features: Tensor, present: Tensor) -> Tensor:
        """Do with raw `features: (B, F)` what every member does (see `MetaFusion`)."""
        return self.members[0].standardise(features, present)

    def together(self, vectors: Iterable[Tensor]) -> Tensor:
        """Return one unit vector for the `vectors: (B, D)` of each member in turn: (B, D)."""
        mapped = (own @ axes for own, axes in zip(vectors, self.projection, strict=True))
        return normalize(reduce(torch.add, mapped), dim=1)
