"""NGCF: embedding propagation in which neighbours interact (Wang et al., SIGIR 2019)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from models.baselines.along_graph import AlongGraph
from models.graph import Hop, InteractionGraph
from models.neighbourhood import NeighbourGraph
from models.propagation import Propagation

SLOPE = 0.2


class NgcfPropagation(Propagation):
    """Layers of equation 7, side by side with what they start from (equation 9).

    e'_u = LeakyReLU(W1 (e_u + s_u) + W2 (s_u * e_u)), s_u = sum over i of e_i / sqrt(d_u d_i),
    and alike for videos. (The sum over neighbours of e_i * e_u is s_u * e_u: no edge needs a vector
    of its own.) As in the released code every layer's output is scaled to unit length before it is
    set beside the others. Left out is the dropout of messages: early stopping and the running
    average of the parameters do its work, for all systems alike. The scaling must be symmetric.
    """

    def __init__(
        self, graph: InteractionGraph | NeighbourGraph, *, layers: int, width: int
    ) -> None:
        """Refine vectors of `width` along `graph`: D = (layers + 1) width."""
        super().__init__(graph, layers=layers)
        self.sums = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.products = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(
        self, users: Tensor, videos: Tensor, hops: Sequence[Hop] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, d)` and `videos: (V, d)` along `hops`, or the whole graph."""
        all_users, all_videos = users, videos
        for depth, hop in enumerate(hops or [self.graph] * self.layers):
            to_users, to_videos = hop(users, videos)
            users, videos = hop.own(users, videos)
            all_users, all_videos = hop.own(all_users, all_videos)
            users = self._layer(depth, users, to_users)
            videos = self._layer(depth, videos, to_videos)
            all_users = torch.cat([all_users, normalize(users, dim=1)], dim=1)
            all_videos = torch.cat([all_videos, normalize(videos, dim=1)], dim=1)
        return all_users, all_videos

    def _layer(self, depth: int, own: Tensor, arrived: Tensor) -> Tensor:
        mixed = self.sums[depth](own + arrived) + self.products[depth](arrived * own)
        return leaky_relu(mixed, SLOPE)


class Ngcf(AlongGraph):
    """`AlongGraph` with one static map of features, along `NgcfPropagation`."""
