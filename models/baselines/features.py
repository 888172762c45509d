"""The features a baseline may map: standardised, with gaps, joined or one block a modality."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from models.recommender import EMBEDDING_SCALE


class Features(nn.Module):
    """Standardised features of all videos; what a video lacks is 0, which is the mean."""

    joined: Tensor
    present: Tensor

    def __init__(self, joined: Tensor, present: Tensor, widths: Sequence[int]) -> None:
        """Keep `joined: (V, F)`, `present: (V, M)` and the `widths` of the M blocks of F."""
        super().__init__()
        self.widths = list(widths)
        self.register_buffer("joined", joined, persistent=False)
        self.register_buffer("present", present, persistent=False)

    def blocks(self) -> Sequence[Tensor]:
        """Return the features of each modality: M times (V, F_m)."""
        return torch.split(self.joined, self.widths, dim=1)


class FeatureMap(nn.Module):
    """One linear map of features, which starts about as long as the embeddings do.

    Features are scaled to a length of about 1 first. A step of Adam moves each weight as far as it
    moves an embedding: of features as they are, all weights together would move what comes out a
    hundred times as far, and content would have the say before ids have learnt anything.
    """

    def __init__(self, fan_in: int, fan_out: int) -> None:
        """Draw the weights."""
        super().__init__()
        self.scale = fan_in**-0.5
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in) * EMBEDDING_SCALE)

    @property
    def matrix(self) -> Tensor:
        """What features as they are get multiplied by: (d, F)."""
        matrix: Tensor = self.weight * self.scale
        return matrix

    def forward(self, features: Tensor) -> Tensor:
        """Map `features: (B, F)`: (B, d)."""
        return linear(features, self.matrix)
