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


def starts_of(rows: Tensor, size: int) -> Tensor:
    """Return where each of `size` rows starts in the sorted `rows: (E,)`, and the end.

    Ascending, (size + 1,).
    """
    counts = torch.bincount(rows, minlength=size)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
