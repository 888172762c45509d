"""Meta layers as the definition reads: every video's own weight matrix is formed, then multiplied.

What `models.meta_layer` avoids. Each takes a layer of ours and computes the same from its weights.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from models.meta_layer import FullMetaLayer, GateMetaLayer, LowRankMetaLayer


class ExplicitLayer(nn.Module, ABC):
    """x W_i with W_i formed."""

    def __init__(self, base: nn.Parameter) -> None:
        """Take the matrix W that all videos share."""
        super().__init__()
        self.base = base

    def forward(self, inputs: Tensor, signal: Tensor) -> Tensor:
        """Map `inputs: (B, I)` under `signal: (B, S)` to `(B, O)`, by way of (B, I, O)."""
        weights = self.dynamic(signal).view(len(signal), *self.base.shape) + self.base
        return torch.bmm(inputs[:, None, :], weights)[:, 0]

    @abstractmethod
    def dynamic(self, signal: Tensor) -> Tensor:
        """Return what `signal: (B, S)` adds to W, for each video I * O numbers."""


class PublishedGate(ExplicitLayer):
    """As hanliu95/MetaMMF does what it calls a CP decomposition.

    A and B are multiplied, every entry of the product is multiplied by R * S numbers, the sum over
    R is taken and weighted by the signal.
    """

    def __init__(self, layer: GateMetaLayer) -> None:
        """Spread c over an R x S matrix whose sum over R it is."""
        super().__init__(layer.base)
        self.input_factor, self.output_factor = layer.input_factor, layer.output_factor
        self.rank = layer.input_factor.shape[1]
        self.mixing = nn.Parameter((layer.signal_factor.detach() / self.rank).repeat(self.rank))

    def dynamic(self, signal: Tensor) -> Tensor:
        """Return what `signal: (B, S)` adds to W: (B, I * O)."""
        product = (self.input_factor @ self.output_factor).view(1, -1)
        stacked = (self.mixing[:, None] @ product).view(self.rank, signal.shape[1], -1)
        return signal @ stacked.sum(0)


class ExplicitCpd(ExplicitLayer):
    """The paper's CP decomposition: A, its columns scaled for each video, times B."""

    def __init__(self, layer: LowRankMetaLayer) -> None:
        """Share the weights of `layer`."""
        super().__init__(layer.base)
        self.input_factor, self.output_factor = layer.input_factor, layer.output_factor
        self.signal_factor = layer.signal_factor

    def dynamic(self, signal: Tensor) -> Tensor:
        """Return what `signal: (B, S)` adds to W: (B, I, O)."""
        gates = signal @ self.signal_factor.T
        return (self.input_factor * gates[:, None, :]) @ self.output_factor


class ExplicitFull(ExplicitLayer):
    """As hanliu95/MetaMMF does it without a decomposition: the signal times T as S x (I O)."""

    def __init__(self, layer: FullMetaLayer) -> None:
        """Keep T as S x (I O)."""
        super().__init__(layer.base)
        self.tensor = nn.Parameter(layer.tensor.detach().transpose(0, 1).flatten(1).contiguous())

    def dynamic(self, signal: Tensor) -> Tensor:
        """Return what `signal: (B, S)` adds to W: (B, I * O)."""
        return signal @ self.tensor


def explicit(layer: nn.Module) -> ExplicitLayer:
    """Return the explicit twin of `layer`.

    Raises:
        TypeError: the layer has no weights per video.
    """
    match layer:
        case GateMetaLayer():
            return PublishedGate(layer)
        case LowRankMetaLayer():
            return ExplicitCpd(layer)
        case FullMetaLayer():
            return ExplicitFull(layer)
        case _:
            raise TypeError(f"{type(layer).__name__} has no weights per video")
