"""InvRL: features that predict alike in all environments (Du et al., ACM Multimedia 2022)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.baselines.free_vectors import Free
from models.baselines.vbpr import Vbpr
from models.recommender import EMBEDDING_SCALE, Step

ENVIRONMENTS = 4
# How far the mask of a feature is blurred in training.
BLUR = 0.1
# Of the mask's own size in the loss (lambda in the paper).
MASK_DECAY = 0.1


class InvRl(Vbpr):
    """e_i = [id embedding ; W (m * f_i) | bias]: VBPR whose mask m keeps what is invariant.

    The paper takes two problems in turns, five times; here every step takes both. Each of the
    environments e has a map W_e of its own, which is taught the interactions that it scores highest
    of all: so they are told apart by what features are taken to mean (heterogeneous
    identification). The penalty is the variance over e of the gradient that the main map W would
    have of each environment's interactions alone, feature by feature, weighed by m: m shrinks
    where environments disagree (invariant learning). That gradient is written down rather than
    differentiated: for -log sigmoid of the margin it is the sum of -sigmoid(-margin) u (f_i - f_j).
    The backbone is a factorisation, not the released UltraGCN, and trains as all systems here do.
    """

    def __init__(self, features: Tensor, free: Free) -> None:
        """Take all as `Vbpr` does; the mask starts at a half."""
        super().__init__(features, free)
        fan_in = features.shape[1]
        self.mask = nn.Parameter(torch.zeros(fan_in))
        drawn = torch.randn(ENVIRONMENTS, free.width, fan_in)
        # Scaled as the main map is (see `FeatureMap`): a step moves neither further than the other.
        self.environments = nn.Parameter(drawn * EMBEDDING_SCALE)

    def feature_parameters(self) -> Iterable[nn.Parameter]:
        """Return all maps of features, and not the mask (see `Recommender`)."""
        return [*super().feature_parameters(), self.environments]

    def mapped(self, rows: Tensor) -> Tensor:
        """Return what the main map makes of the masked features of `rows: (N,)`: (N, width)."""
        content: Tensor = self.map(self._kept() * self.features[rows])
        return content

    def extra_loss(self, step: Step) -> Tensor:
        """Return the loss of the environments' maps, and the penalty for what varies over them."""
        features = self.features[step.videos]
        apart = features[step.positives] - features[step.rivals()]
        tastes = step.user_vectors[:, -self.width - 1 : -1].detach()
        # All environments in one product: (B, E width).
        mapped = (apart * self.map.scale) @ self.environments.flatten(0, 1).T
        margins = torch.einsum("bed,bd->be", mapped.view(len(apart), ENVIRONMENTS, -1), tastes)
        owner = margins.detach().argmax(dim=1)
        taught = softplus(-margins.gather(1, owner[:, None])).mean()
        varied = self._variance(tastes, apart, owner)
        return taught + varied + MASK_DECAY * self.mask.square().sum()

    def _variance(self, tastes: Tensor, apart: Tensor, owner: Tensor) -> Tensor:
        """Return the square of the masked sum of variances.

        Of `tastes: (B, width)`, `apart: (B, F)`, f_i - f_j, and `owner: (B,)`, environments.
        """
        kept = self._kept()
        masked = kept * apart
        margins = (tastes * (masked @ self.map.matrix.detach().T)).sum(1)
        pull = -torch.sigmoid(-margins)[:, None] * tastes
        gradients = []
        for environment in range(ENVIRONMENTS):
            mine = (owner == environment).nonzero()[:, 0]
            sums = pull.index_select(0, mine).T @ masked.index_select(0, mine)
            gradients.append(sums / max(1, len(mine)))
        varied = torch.stack(gradients).var(dim=0, unbiased=False).sum(0)
        return (kept * varied).sum().square()

    def _kept(self) -> Tensor:
        """Return how much of each feature is kept, between 0 and 1: (F,)."""
        blur = BLUR * torch.randn_like(self.mask) if self.training else 0.0
        return (self.mask + blur + 0.5).clamp(0, 1)
