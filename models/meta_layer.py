"""Layers whose weights are generated from the video's own signal, evaluated without those weights.

Knows the mathematics of one layer; nothing of modalities, users or training.
"""

import torch
from torch import Tensor, nn


class LowRankMetaLayer(nn.Module):
    """A linear map with a weight matrix of its own for every video, low-rank by CP decomposition.

    The paper's meta fusion learner (Liu et al., ACM TOIS 2024) gives video i the weights
    W_i[a, o] = sum_k s_i[k] T[k, a, o] + W[a, o], with T[k, a, o] = sum_r C[r, k] A[a, r] B[r, o].
    Multiplying out, x W_i = ((x A) * (s_i C^T)) B + x W: three thin products, no W_i anywhere.
    """

    def __init__(self, input_dim: int, output_dim: int, *, signal_dim: int, rank: int) -> None:
        """Start with the dynamic and the static path at equal variance.

        For inputs and signals of unit variance each path contributes half of a unit-variance
        output. (A tensor initialised as one matrix would start the dynamic path 27 times weaker.)
        """
        super().__init__()
        half = 0.5**0.5
        self.input_factor = nn.Parameter(torch.randn(input_dim, rank) * input_dim**-0.5)
        self.signal_factor = nn.Parameter(torch.randn(rank, signal_dim) * signal_dim**-0.5)
        self.output_factor = nn.Parameter(torch.randn(rank, output_dim) * rank**-0.5 * half)
        self.base = nn.Parameter(torch.randn(input_dim, output_dim) * input_dim**-0.5 * half)

    def forward(self, inputs: Tensor, signal: Tensor) -> Tensor:
        """Map `inputs: (B, I)` under `signal: (B, S)` to `(B, O)`."""
        gates = signal @ self.signal_factor.T
        dynamic = ((inputs @ self.input_factor) * gates) @ self.output_factor
        return dynamic + inputs @ self.base
