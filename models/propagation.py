"""How vectors of users and videos are refined along the interactions: the backbones with a graph.

Knows graphs and vectors; nothing of features. Matrix factorisation is the absence of all this.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

from models.graph import InteractionGraph

# As released with MetaMMF: after the first convolution, and on what is scored.
HIDDEN_DROPOUT = 0.5
OUTPUT_DROPOUT = 0.2


class LightGcn(nn.Module):
    """The mean over layers 0 … L of E(l + 1) = D^-1/2 A D^-1/2 E(l) (He et al., SIGIR 2020)."""

    def __init__(self, graph: InteractionGraph, *, layers: int) -> None:
        """Propagate `layers` times along `graph`, whose scaling must be symmetric."""
        super().__init__()
        self.graph, self.layers = graph, layers

    def forward(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, D)` and `videos: (V, D)`; shapes stay."""
        user_layers, video_layers = [users], [videos]
        for _ in range(self.layers):
            users, videos = self.graph(users, videos)
            user_layers.append(users)
            video_layers.append(videos)
        return torch.stack(user_layers).mean(0), torch.stack(video_layers).mean(0)


class GraphSage(nn.Module):
    """Two convolutions x' = W_n mean(neighbours) + W_r x + b (Hamilton et al., NeurIPS 2017).

    As in the published MetaMMF_GCN: LeakyReLU and dropout between, dropout on the output, only the
    last layer is scored.
    """

    def __init__(self, graph: InteractionGraph, *, width: int) -> None:
        """Convolve vectors of `width` along `graph`, whose scaling must be the mean."""
        super().__init__()
        self.graph = graph
        self.neighbours = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.roots = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))

    def forward(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Refine `users: (U, D)` and `videos: (V, D)`; shapes stay."""
        users, videos = self._convolve(0, users, videos)
        users, videos = (
            dropout(leaky_relu(side, 0.01), HIDDEN_DROPOUT, self.training)
            for side in (users, videos)
        )
        users, videos = self._convolve(1, users, videos)
        return (
            dropout(users, OUTPUT_DROPOUT, self.training),
            dropout(videos, OUTPUT_DROPOUT, self.training),
        )

    def _convolve(self, depth: int, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        neighbours, root = self.neighbours[depth], self.roots[depth]
        from_videos, from_users = self.graph(users, videos)
        return neighbours(from_videos) + root(users), neighbours(from_users) + root(videos)
