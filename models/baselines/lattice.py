"""LATTICE: a graph of like videos, mined from features and learnt (Zhang et al., ACM MM 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.baselines.features import FeatureMap, Features
from models.baselines.free_vectors import Free
from models.baselines.whole_graph import WholeGraph
from models.edges import IncomingEdges
from models.propagation import LightGcn

NEIGHBOURS = 10
# How much of the graph is that of the features as they are; the rest is that of the learnt maps.
FIXED_SHARE = 0.9
# Videos compared with all others at once.
AT_ONCE = 1024
SMALLEST = 1e-12


@torch.no_grad()
def most_alike(vectors: Tensor, known: Tensor) -> IncomingEdges:
    """Return edges into each of `vectors: (V, d)` from the k of the highest cosines with it.

    A row is like itself too, as in the released code. Those that are not `known: (V,)` come last.
    """
    unit = normalize(vectors, dim=1)
    videos, count = len(unit), min(NEIGHBOURS, len(unit))
    found = []
    for some in torch.split(unit, AT_ONCE):
        cosines = some @ unit.T
        cosines[:, ~known] = -torch.inf
        found.append(cosines.topk(count, dim=1).indices)
    targets = torch.arange(videos, device=unit.device).repeat_interleave(count)
    return IncomingEdges(targets, torch.cat(found).flatten(), sizes=(videos, videos))


def weights_of(edges: IncomingEdges, vectors: Tensor, known: Tensor) -> Tensor:
    """Return the cosine along each edge, scaled by D^-1/2 on either side: (E,).

    D are the sums of a video's edges. An edge of what is not `known: (V,)` weighs nothing.
    """
    unit = normalize(vectors, dim=1)
    both = known[edges.targets] & known[edges.sources]
    # A cosine below 0 would be the root of a negative degree.
    cosines = torch.where(both, edges.agreement(unit, unit), 0.0).clamp(min=0)
    degrees = cosines.view(len(unit), -1).sum(1)
    scale = degrees.clamp(min=SMALLEST).rsqrt()
    return cosines * scale.index_select(0, edges.targets) * scale.index_select(0, edges.sources)


class Fixed(nn.Module):
    """The graph of features as they are."""

    weights: Tensor

    def __init__(self, vectors: Tensor, known: Tensor) -> None:
        """Join the rows of `vectors: (V, F_m)` that are alike and `known: (V,)`."""
        super().__init__()
        self.edges = most_alike(vectors, known)
        self.register_buffer("weights", weights_of(self.edges, vectors, known), persistent=False)

    def forward(self, dense: Tensor) -> Tensor:
        """Sum up for each video what those like it bring of `dense: (V, d)`."""
        return self.edges.carry(self.weights, dense)


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
        known = features.present.unbind(1)
        self.fixed = nn.ModuleList(
            Fixed(*pair) for pair in zip(features.blocks(), known, strict=True)
        )
        self._learnt: list[IncomingEdges] | None = None

    def mapping(self) -> Sequence[nn.Module]:
        """Return the map of each modality."""
        return [self.maps]

    def train(self, mode: bool = True) -> "Lattice":  # noqa: FBT001, FBT002 - as torch has it
        """Begin an epoch, or a judgement: the neighbours of the learnt maps are asked anew."""
        self._learnt = None
        super().train(mode)
        return self

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        users, videos = self.propagation(self.users, self.videos)
        known = self.features.present.unbind(1)
        blocks = zip(self.maps, self.features.blocks(), strict=True)
        mapped = [map_(block) for map_, block in blocks]
        if self._learnt is None:
            self._learnt = [most_alike(*pair) for pair in zip(mapped, known, strict=True)]
        near = torch.zeros_like(videos)
        shares = self.importance.softmax(0)
        for place, (fixed, edges) in enumerate(zip(self.fixed, self._learnt, strict=True)):
            weights = weights_of(edges, mapped[place], known[place])
            learnt = edges.carry(weights, self.videos)
            both = FIXED_SHARE * fixed(self.videos) + (1 - FIXED_SHARE) * learnt
            near = near + shares[place] * both
        return users, videos + normalize(near, dim=1)
