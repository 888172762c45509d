"""Turns the modality features of a video into its content vector.

The one network behind both trained videos and arrivals. Knows features; nothing of users or ids.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.form import FusionForm
from models.meta_layer import meta_layer
from models.modality import Modality, in_order

# Standardised features are cut here, so one absurd value cannot carry a video to every top rank.
FEATURE_LIMIT = 6.0
# A column that moves less than this is dead; it is centred and left alone.
SMALLEST_SCALE = 1e-6
# The last layer's output is scaled by this, so that content starts about as long as the embeddings
# it is added to and does not run ahead of what is learnt from ids.
OUTPUT_SCALE = 0.1


class MetaFusion(nn.Module):
    """The paper's dynamic multimodal fusion: a video's features parameterise its own network.

    A meta information extractor reads all features and gives the signal s (S wide, unbounded); a
    stack of meta layers steered by s maps the features to the output, LeakyReLU between. In the
    static form there is neither extractor nor signal (S is 0): one network for all videos.
    A missing modality is replaced by a learned block of its own.
    """

    mean: Tensor
    scale: Tensor
    common: Tensor
    blocks: Tensor

    def __init__(
        self,
        feature_dims: Mapping[Modality, int],
        *,
        hidden_dims: Sequence[int],
        output_dim: int,
        signal_hidden_dim: int,
        signal_dim: int,
        rank: int,
        form: FusionForm = "cpd",
    ) -> None:
        """Build the network for features of width `feature_dims`, joined in modality order.

        Sizes that `form` has no use for (see `models.meta_layer`) are ignored.
        """
        super().__init__()
        self.modalities = in_order(feature_dims)
        self.widths = [feature_dims[modality] for modality in self.modalities]
        self.output_dim = output_dim
        feature_dim = sum(self.widths)
        self.register_buffer("mean", torch.zeros(feature_dim))
        self.register_buffer("scale", torch.ones(feature_dim))
        # What an arrival's direction loses (see `models.arrival`): chosen when all else is learnt.
        self.register_buffer("common", torch.zeros(output_dim))
        owners = torch.repeat_interleave(torch.arange(len(self.widths)), torch.tensor(self.widths))
        blocks = nn.functional.one_hot(owners, len(self.widths)).T.float()
        # (M, F): 1 where a column belongs to a modality.
        self.register_buffer("blocks", blocks, persistent=False)
        self.missing = nn.Parameter(torch.zeros(feature_dim))
        self.extractor = None
        if form != "static":
            self.extractor = nn.Sequential(
                nn.Linear(feature_dim, signal_hidden_dim),
                nn.ReLU(),
                nn.Linear(signal_hidden_dim, signal_dim),
            )
        dims = [feature_dim, *hidden_dims, output_dim]
        self.layers = nn.ModuleList(
            meta_layer(form, fan_in, fan_out, signal_dim=signal_dim, rank=rank)
            for fan_in, fan_out in pairwise(dims)
        )

    def learn_scaling(self, features: Tensor, present: Tensor) -> None:
        """Take each column's mean and deviation from `features: (V, F)` where `present: (V, M)`.

        Sums run in float64: raw features may come as float16, whose sums overflow.
        """
        known = self._widen(present).double()
        count = known.sum(0).clamp(min=1)
        values = features.double() * known
        mean = values.sum(0) / count
        deviation = ((values - mean * known).square().sum(0) / count).sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(deviation < SMALLEST_SCALE, 1.0, deviation))

    def standardise(self, features: Tensor, present: Tensor) -> Tensor:
        """Centre and scale raw `features: (B, F)`; what `present: (B, M)` denies becomes 0."""
        scaled = ((features - self.mean) / self.scale).clamp(-FEATURE_LIMIT, FEATURE_LIMIT)
        return self.masked(scaled, present)

    def masked(self, standardised: Tensor, present: Tensor) -> Tensor:
        """Set what `present: (B, M)` denies of `standardised: (B, F)` to 0."""
        return torch.where(self._widen(present), standardised, 0.0)

    def forward(self, standardised: Tensor, present: Tensor) -> Tensor:
        """Fuse `standardised: (B, F)`, whose known blocks `present: (B, M)` tells: (B, D)."""
        inputs = self.filled(standardised, present)
        signal = self.signal(inputs)
        for depth, layer in enumerate(self.layers):
            if depth:
                inputs = nn.functional.leaky_relu_(inputs, 0.01)
            inputs = layer(inputs, signal)
        return inputs * OUTPUT_SCALE

    def filled(self, standardised: Tensor, present: Tensor) -> Tensor:
        """Put the learned stand-ins in where `present: (B, M)` denies a block: (B, F)."""
        # Most batches of most data sets have no gap; the copy would cost a tenth of the pass.
        if present.all():
            return standardised
        absent = (~present).to(standardised.dtype)
        # An absent block is all zero here, so its learned stand-in is added: no mask of (B, F).
        return torch.addmm(standardised, absent, self.blocks * self.missing)

    def signal(self, inputs: Tensor) -> Tensor:
        """Return what steers the layers of videos with `inputs: (B, F)`: (B, S)."""
        if self.extractor is None:
            return inputs.new_empty(len(inputs), 0)
        signal: Tensor = self.extractor(inputs)
        return signal

    def _widen(self, present: Tensor) -> Tensor:
        """Spread `present: (B, M)` over the columns of each block: (B, F)."""
        return present[:, self.blocks.argmax(0)]
