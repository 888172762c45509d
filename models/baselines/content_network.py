"""What baselines share whose videos are ids while known, and what a network makes of features."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from models.baselines.free_vectors import Free, FreeVectors

SLOPE = 0.01


class ContentNetwork(FreeVectors):
    """Free vectors of ids, and the standardised features of all videos."""

    features: Tensor

    def __init__(self, features: Tensor, free: Free) -> None:
        """Keep `features: (V, F)` and draw vectors."""
        super().__init__(free)
        self.register_buffer("features", features, persistent=False)

    def networks(self) -> Sequence[nn.Module]:
        """Return what maps features, for a subclass to write."""
        raise NotImplementedError

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return what maps features, and decays (see `Recommender`)."""
        return [parameter for module in self.networks() for parameter in module.parameters()]

    def tables(self) -> Sequence[nn.Parameter]:
        """Return the free vectors, if they have sparse gradients (see `Recommender`)."""
        return [self.users, self.videos] if self.sparse else []

    def every_row(self) -> Tensor:
        """Return the rows of all videos: (V,)."""
        return torch.arange(len(self.features), device=self.features.device)


class TwoLayers(nn.Module):
    """W2 LeakyReLU(W1 x + b1) + b2."""

    def __init__(self, fan_in: int, hidden: int, fan_out: int) -> None:
        """Draw both layers."""
        super().__init__()
        self.first, self.second = nn.Linear(fan_in, hidden), nn.Linear(hidden, fan_out)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `inputs: (B, fan_in)`: (B, fan_out)."""
        mapped: Tensor = self.second(leaky_relu(self.first(inputs), SLOPE))
        return mapped
