"""Layers whose weights are generated from the video's own signal, evaluated without those weights.

Knows the mathematics of one layer; nothing of modalities, users or training.

The paper's meta fusion learner (Liu et al., ACM TOIS 2024) gives video i, whose signal is s_i, a
weight matrix of its own and maps its row x to

    x W_i    with    W_i[a, o] = sum_k s_i[k] T[k, a, o] + W[a, o].

The forms differ in the meta tensor T: none, of rank one in k, of CP rank R, or free. No form makes
W_i: with B videos, a layer of I inputs and O outputs never holds B * I * O numbers.

Every form starts with an output of unit variance for inputs and signals of unit variance, half of
it from T and half from W. (A tensor initialised as one matrix would start 27 times weaker than W.)
"""

import torch
from torch import Tensor, nn

from models.form import FusionForm

HALF = 0.5


class StaticLayer(nn.Module):
    """x W: one matrix for all videos, the ablation of the meta learner."""

    def __init__(self, input_dim: int, output_dim: int) -> None:
        """Draw W."""
        super().__init__()
        self.base = _drawn(input_dim, output_dim, variance=1 / input_dim)

    def forward(self, inputs: Tensor, _signal: Tensor) -> Tensor:
        """Map `inputs: (B, I)` to `(B, O)`, whatever the signal."""
        return inputs @ self.base


class GateMetaLayer(nn.Module):
    """One gate a video: T[k, a, o] = c[k] (A B)[a, o], so W_i = (s_i . c) (A B) + W.

    This is what the published code computes where it speaks of a CP decomposition: it multiplies
    A (I x R) and B (R x O) before the rank meets the signal, so that T has rank one in k whatever
    S and R are. There c is the sum over r of an R x S matrix; a sum of free numbers is one.
    """

    def __init__(self, input_dim: int, output_dim: int, *, signal_dim: int, rank: int) -> None:
        """Draw A, c, B and W."""
        super().__init__()
        self.input_factor = _drawn(input_dim, rank, variance=1 / input_dim)
        self.signal_factor = _drawn(signal_dim, variance=1 / signal_dim)
        self.output_factor = _drawn(rank, output_dim, variance=HALF / rank)
        self.base = _drawn(input_dim, output_dim, variance=HALF / input_dim)

    def forward(self, inputs: Tensor, signal: Tensor) -> Tensor:
        """Map `inputs: (B, I)` under `signal: (B, S)` to `(B, O)`."""
        gate = (signal @ self.signal_factor)[:, None]
        thin = (inputs @ self.input_factor) * gate
        return (inputs @ self.base).addmm_(thin, self.output_factor)


class LowRankMetaLayer(nn.Module):
    """The CP decomposition of the paper: T[k, a, o] = sum_r C[r, k] A[a, r] B[r, o].

    Multiplying out, x W_i = ((x A) * (s_i C^T)) B + x W: R gates a video, each on a direction of
    its own, in three thin products.
    """

    def __init__(self, input_dim: int, output_dim: int, *, signal_dim: int, rank: int) -> None:
        """Draw A, C, B and W."""
        super().__init__()
        self.input_factor = _drawn(input_dim, rank, variance=1 / input_dim)
        self.signal_factor = _drawn(rank, signal_dim, variance=1 / signal_dim)
        self.output_factor = _drawn(rank, output_dim, variance=HALF / rank)
        self.base = _drawn(input_dim, output_dim, variance=HALF / input_dim)

    def forward(self, inputs: Tensor, signal: Tensor) -> Tensor:
        """Map `inputs: (B, I)` under `signal: (B, S)` to `(B, O)`."""
        thin = (inputs @ self.input_factor) * (signal @ self.signal_factor.T)
        # Added in place: a second (B, O) would cost more than the thin product itself.
        return (inputs @ self.base).addmm_(thin, self.output_factor)


class FullMetaLayer(nn.Module):
    """The meta tensor T as it is: a mixture of S + 1 linear maps, weighted by the signal.

    x W_i = sum_k s_i[k] (x T[k]) + x W. One matrix product, x with T as I x (S O), makes all S maps
    of every video (B * S * O numbers); the signal then sums them.
    """

    def __init__(self, input_dim: int, output_dim: int, *, signal_dim: int) -> None:
        """Draw T, kept as (I, S, O), and W."""
        super().__init__()
        self.tensor = _drawn(
            input_dim, signal_dim, output_dim, variance=HALF / (signal_dim * input_dim)
        )
        self.base = _drawn(input_dim, output_dim, variance=HALF / input_dim)

    def forward(self, inputs: Tensor, signal: Tensor) -> Tensor:
        """Map `inputs: (B, I)` under `signal: (B, S)` to `(B, O)`."""
        maps = (inputs @ self.tensor.flatten(1)).view(len(inputs), *self.tensor.shape[1:])
        static = (inputs @ self.base)[:, None, :]
        return torch.baddbmm(static, signal[:, None, :], maps)[:, 0]


def meta_layer(
    form: FusionForm, input_dim: int, output_dim: int, *, signal_dim: int, rank: int
) -> nn.Module:
    """Return a layer of `form`; each takes the `signal_dim` and `rank` it has a use for."""
    if form == "static":
        return StaticLayer(input_dim, output_dim)
    if form == "full":
        return FullMetaLayer(input_dim, output_dim, signal_dim=signal_dim)
    layer = GateMetaLayer if form == "gate" else LowRankMetaLayer
    return layer(input_dim, output_dim, signal_dim=signal_dim, rank=rank)


def _drawn(*shape: int, variance: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * variance**0.5)
