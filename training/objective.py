"""What training minimises, as functions of vectors. Knows no model."""

from torch import Tensor
from torch.nn.functional import softplus


def bpr_loss(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(score(u, i) - score(u, j)) (Rendle et al., UAI 2009).

    All three are (B, D); softplus keeps it finite where the logarithm of a sigmoid is not.
    """
    margin = (users * (positives - negatives)).sum(1)
    return softplus(-margin).mean()


def squared_lengths(vectors: Tensor) -> Tensor:
    """Return the squared length of each of `vectors: (B, D)`: (B,)."""
    return vectors.square().sum(1)
