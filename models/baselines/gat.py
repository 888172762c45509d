"""GAT: neighbours weighed by attention, on ids and features (Velickovic et al., ICLR 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from models.baselines.along_graph import AlongGraph
from models.edges import EdgePair, IncomingEdges
from models.graph import Hop
from models.neighbourhood import Neighbourhood

ATTENTION_SLOPE = 0.2
SLOPE = 0.01


class GatPropagation(nn.Module):
    """Layers of equations 3 and 4 with one head: z = W x, then the attended mean of the z.

    The weight of source j for target v is the softmax, over the neighbours of v and v itself, of
    LeakyReLU(a . z_v + b . z_j). LeakyReLU stands between the layers, and nothing is dropped out.
    """

    def __init__(self, edges: EdgePair, *, layers: int, width: int) -> None:
        """Refine vectors of `width` along `edges`."""
        super().__init__()
        self.edges, self.layers = edges, layers
        self.maps = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        # For each layer what reads the target, and what reads the source.
        self.attention = nn.Parameter(torch.randn(layers, 2, width) * width**-0.5)

    def around(self, users: Tensor, videos: Tensor, draw: int) -> Neighbourhood:  # noqa: ARG002 - none is drawn
        """Return that the whole graph is needed (see `Refining`)."""
        return Neighbourhood(None, None, (), (users, videos))

    def forward(
        self,
        users: Tensor,
        videos: Tensor,
        hops: Sequence[Hop] | None = None,  # noqa: ARG002 - none is drawn
    ) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, d)` and `videos: (V, d)` along the whole graph."""
        for depth in range(self.layers):
            if depth:
                users, videos = leaky_relu(users, SLOPE), leaky_relu(videos, SLOPE)
            users, videos = self.maps[depth](users), self.maps[depth](videos)
            users, videos = (
                self._attended(depth, self.edges.into_users, users, videos),
                self._attended(depth, self.edges.into_videos, videos, users),
            )
        return users, videos

    def _attended(
        self, depth: int, edges: IncomingEdges, targets: Tensor, sources: Tensor
    ) -> Tensor:
        as_target, as_source = self.attention[depth]
        asked, offered = targets @ as_target, sources @ as_source
        scores = asked.index_select(0, edges.targets) + offered.index_select(0, edges.sources)
        own = asked + targets @ as_source
        weights, kept = edges.softmax_beside(
            leaky_relu(scores, ATTENTION_SLOPE), leaky_relu(own, ATTENTION_SLOPE)
        )
        return edges.carry(weights, sources) + kept[:, None] * targets


class Gat(AlongGraph):
    """`AlongGraph` with one static map of features, along `GatPropagation`."""
