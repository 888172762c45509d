"""How vectors of users and videos are refined along the interactions: the backbones with a graph.

Knows graphs and vectors; nothing of features. Matrix factorisation is the absence of all this.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

from models.graph import Hop, InteractionGraph
from models.neighbourhood import NeighbourGraph, Neighbourhood

# As released with MetaMMF: after the first convolution, and on what is scored.
HIDDEN_DROPOUT = 0.5
OUTPUT_DROPOUT = 0.2


class Propagation(nn.Module):
    """What both backbones share: a graph, and how many hops of it they take."""

    def __init__(self, graph: InteractionGraph | NeighbourGraph, *, layers: int) -> None:
        """Propagate `layers` times along `graph`, which has a limit for each if it draws."""
        super().__init__()
        self.graph, self.layers = graph, layers

    def around(self, users: Tensor, videos: Tensor, draw: int) -> Neighbourhood:
        """Return what the vectors of rows `users: (B,)` and `videos: (V',)` are made of.

        That is the whole graph, or what is drawn from it; the same number `draw` draws the same.
        """
        if isinstance(self.graph, NeighbourGraph):
            return self.graph.around(users, videos, draw)
        return Neighbourhood(None, None, [self.graph] * self.layers, (users, videos))


class LightGcn(Propagation):
    """The mean over layers 0 … L of E(l + 1) = D^-1/2 A D^-1/2 E(l) (He et al., SIGIR 2020).

    The scaling of the graph must be symmetric.
    """

    def forward(
        self, users: Tensor, videos: Tensor, hops: Sequence[Hop] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, D)` and `videos: (V, D)` along `hops`, or the whole graph."""
        all_users, all_videos = users, videos
        for hop in hops or [self.graph] * self.layers:
            users, videos = hop(users, videos)
            all_users, all_videos = hop.own(all_users, all_videos)
            all_users, all_videos = all_users + users, all_videos + videos
        return all_users / (self.layers + 1), all_videos / (self.layers + 1)


class GraphSage(Propagation):
    """Two convolutions x' = W_n mean(neighbours) + W_r x + b (Hamilton et al., NeurIPS 2017).

    As in the published MetaMMF_GCN: LeakyReLU and dropout between, dropout on the output, only the
    last layer is scored.
    """

    def __init__(self, graph: InteractionGraph | NeighbourGraph, *, width: int) -> None:
        """Convolve vectors of `width` along `graph`, whose scaling must be the mean."""
        super().__init__(graph, layers=2)
        self.neighbours = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.roots = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))

    def forward(
        self, users: Tensor, videos: Tensor, hops: Sequence[Hop] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, D)` and `videos: (V, D)` along `hops`, or the whole graph."""
        first, second = hops or [self.graph] * self.layers
        users, videos = self._convolve(0, first, users, videos)
        users, videos = (
            dropout(leaky_relu(side, 0.01), HIDDEN_DROPOUT, self.training)
            for side in (users, videos)
        )
        users, videos = self._convolve(1, second, users, videos)
        return (
            dropout(users, OUTPUT_DROPOUT, self.training),
            dropout(videos, OUTPUT_DROPOUT, self.training),
        )

    def _convolve(
        self, depth: int, hop: Hop, users: Tensor, videos: Tensor
    ) -> tuple[Tensor, Tensor]:
        neighbours, root = self.neighbours[depth], self.roots[depth]
        from_videos, from_users = hop(users, videos)
        users, videos = hop.own(users, videos)
        return neighbours(from_videos) + root(users), neighbours(from_users) + root(videos)
