"""What training minimises, as functions of vectors. Knows no model and no sampler."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

# Lower than any score, but finite: a user who has met all negatives has no gradient, not a nan.
MASKED = -1e9


def bpr_loss(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(score(u, i) - score(u, j)) (Rendle et al., UAI 2009).

    All three are (B, D); softplus keeps it finite where the logarithm of a sigmoid is not.
    """
    margin = (users * (positives - negatives)).sum(1)
    return softplus(-margin).mean()


def softmax_loss(
    users: Tensor, positives: Tensor, negatives: Tensor, met: tuple[Tensor, Tensor]
) -> Tensor:
    """Return the mean of -log p(i), p the softmax over i and the negatives of the step.

    `users`, `positives`: (B, D); `negatives: (N, D)` are shared by all, but where `met` = (row,
    column) says that this user has met this video: it does not count. (Sampled softmax as in Wu et
    al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation", ACM TOIS 2024.)
    """
    positive = (users * positives).sum(1)
    logits = users @ negatives.T
    logits[met] = MASKED
    everything = torch.logaddexp(positive, logits.logsumexp(1))
    return (everything - positive).mean()


def squared_lengths(vectors: Tensor) -> Tensor:
    """Return the squared length of each of `vectors: (B, D)`: (B,)."""
    return vectors.square().sum(1)
