"""LATTICE: a graph of like videos, mined from features and learnt (Zhang et al., ACM MM 2021)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, normalize

from models.baselines.features import FeatureMap, Features
from models.baselines.free_vectors import Free
from models.baselines.whole_graph import WholeGraph
from models.propagation import LightGcn

NEIGHBOURS = 10
# How much of the graph is that of the features as they are; the rest is that of the learnt maps.
FIXED_SHARE = 0.9
# Videos compared with all others at once.
AT_ONCE = 1024
SMALLEST = 1e-12


class Alike(NamedTuple):
    """The k videos that are most like each: `columns: (V, k)`, with `weights: (V, k)`."""

    columns: Tensor
    weights: Tensor

    def carry(self, dense: Tensor) -> Tensor:
        """Sum up for each video what those like it bring of `dense: (V, d)`."""
        return embedding_bag(self.columns, dense, mode="sum", per_sample_weights=self.weights)


@torch.no_grad()
def most_alike(vectors: Tensor, known: Tensor) -> Tensor:
    """Return the rows of the highest cosines with each of `vectors: (V, d)`: (V, k).

    A row is like itself too, as in the released code. Those that are not `known: (V,)` come last.
    """
    unit = normalize(vectors, dim=1)
    count = min(NEIGHBOURS, len(unit))
    found = []
    for some in torch.split(unit, AT_ONCE):
        cosines = some @ unit.T
        cosines[:, ~known] = -torch.inf
        found.append(cosines.topk(count, dim=1).indices)
    return torch.cat(found)


def weighed(vectors: Tensor, columns: Tensor, known: Tensor) -> Alike:
    """Weigh the edges to `columns: (V, k)` by cosines, scaled by D^-1/2 on either side.

    D are the sums of a video's edges. An edge of what is not `known: (V,)` weighs nothing.
    """
    unit = normalize(vectors, dim=1)
    cosines = (unit[:, None] * embedding(columns, unit)).sum(2)
    # A cosine below 0 would be the root of a negative degree.
    cosines = torch.where(known[:, None] & known[columns], cosines, 0.0).clamp(min=0)
    scale = cosines.sum(1).clamp(min=SMALLEST).rsqrt()
    return Alike(columns, cosines * scale[:, None] * scale[columns])


class Lattice(WholeGraph):
    """e_i = LightGCN(q)_i + h_i / |h_i|, h = A q; users by LightGCN; scored by inner product.

    A = lambda sum_m a_m S_m + (1 - lambda) sum_m a_m L_m: S_m joins each video with the ten of the
    highest cosine of raw features, L_m does so after a learnt map, a is a softmax over the
    modalities. Mended against the released code: there are as many modalities as there are
    features; the graphs are ten neighbours a video instead of V x V matrices; which ten the learnt
    maps choose is asked once an epoch, but how much they weigh in every step, so that the maps and
    a learn in every step and not once an epoch; and the interactions are scaled symmetrically. A
    video that lacks a modality has no edge in it.
    """

    def __init__(self, propagation: LightGcn, features: Features, free: Free) -> None:
        """Propagate along `propagation`, whose graph is the whole one."""
        super().__init__(free)
        self.propagation, self.features = propagation, features
        self.maps = nn.ModuleList(FeatureMap(fan_in, free.width) for fan_in in features.widths)
        self.importance = nn.Parameter(torch.zeros(len(self.maps)))
        self._fixed = self._graphs(features.blocks(), None)
        self._columns: list[Tensor] | None = None

    def mapping(self) -> Sequence[nn.Module]:
        """Return the map of each modality."""
        return [self.maps]

    def train(self, mode: bool = True) -> "Lattice":  # noqa: FBT001, FBT002 - as torch has it
        """Begin an epoch, or a judgement: the neighbours of the learnt maps are asked anew."""
        self._columns = None
        super().train(mode)
        return self

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        users, videos = self.propagation(self.users, self.videos)
        shares = self.importance.softmax(0)
        mapped = [
            map_(block) for map_, block in zip(self.maps, self.features.blocks(), strict=True)
        ]
        learnt = self._graphs(mapped, self._columns)
        self._columns = [graph.columns for graph in learnt]
        near = torch.zeros_like(videos)
        for share, fixed, moving in zip(shares, self._fixed, learnt, strict=True):
            near = near + share * FIXED_SHARE * fixed.carry(self.videos)
            near = near + share * (1 - FIXED_SHARE) * moving.carry(self.videos)
        return users, videos + normalize(near, dim=1)

    def _graphs(self, vectors: Sequence[Tensor], columns: list[Tensor] | None) -> list[Alike]:
        """Return the graph of each modality of `vectors`, among `columns` if these are known."""
        known = self.features.present.unbind(1)
        if columns is None:
            columns = [most_alike(*pair) for pair in zip(vectors, known, strict=True)]
        return [weighed(*parts) for parts in zip(vectors, columns, known, strict=True)]
