"""Weighted edges, listed target by target, and what they carry. Knows rows and weights only."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Links(NamedTuple):
    """E edges into T targets: those of target t are `starts[t]` to `starts[t + 1]`.

    `columns: (E,)` are their sources, `starts: (T + 1,)`, `weights: (E,)`.
    """

    columns: Tensor
    starts: Tensor
    weights: Tensor

    def carry(self, dense: Tensor) -> Tensor:
        """Sum up for each target what its edges bring of `dense: (N, D)`: (T, D).

        A third of the time of a product with a sparse matrix of the same edges.
        """
        return embedding_bag(
            self.columns,
            dense,
            self.starts,
            mode="sum",
            per_sample_weights=self.weights.to(dense.dtype),
            include_last_offset=True,
        )


def starts_of(counts: Tensor) -> Tensor:
    """Return where each target's edges start if it has `counts: (T,)`, and their end: (T + 1,)."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
