"""Edges that have a weight of their own each, learnt or made of the vectors at their ends.

Knows rows, scores and vectors; nothing of what they mean. Memory is linear in the edges.
"""

import torch
from torch import Tensor, nn

from models.neighbourhood import Links


class IncomingEdges(nn.Module):
    """The edges into one side of the graph, target by target; E of them into T targets."""

    sources: Tensor
    targets: Tensor
    starts: Tensor

    def __init__(self, targets: Tensor, sources: Tensor, *, size: int) -> None:
        """Lead from `sources: (E,)` to `targets: (E,)`, row numbers, the latter below `size`."""
        super().__init__()
        order = torch.argsort(targets, stable=True)
        counts = torch.bincount(targets, minlength=size)
        self.size = size
        for name, rows in (
            ("sources", sources[order]),
            ("targets", targets[order]),
            ("starts", counts.cumsum(0) - counts),
        ):
            self.register_buffer(name, rows, persistent=False)

    def agreement(self, targets: Tensor, sources: Tensor) -> Tensor:
        """Return the inner product of the ends of each edge: (E,), of (T, d) and (S, d)."""
        return (targets[self.targets] * sources[self.sources]).sum(1)

    def softmax(self, scores: Tensor) -> Tensor:
        """Return exp(score) of each edge as a share of its target's sum: (E,) of `scores: (E,)`."""
        highest = scores.new_full((self.size,), -torch.inf)
        grown = (scores - self._highest(scores, highest)[self.targets]).exp()
        return grown / self._sums(grown)[self.targets]

    def softmax_beside(self, scores: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return `softmax` where targets take part with scores of their `own: (T,)`: (E,), (T,)."""
        highest = self._highest(scores, own.detach())
        grown, grown_own = (scores - highest[self.targets]).exp(), (own - highest).exp()
        sums = self._sums(grown) + grown_own
        return grown / sums[self.targets], grown_own / sums

    def _highest(self, scores: Tensor, start: Tensor) -> Tensor:
        """Return the highest of each target's `scores: (E,)` and `start: (T,)`, no gradient."""
        return start.scatter_reduce(0, self.targets, scores.detach(), "amax")

    def _sums(self, numbers: Tensor) -> Tensor:
        return numbers.new_zeros(self.size).index_add(0, self.targets, numbers)

    def carry(self, weights: Tensor, dense: Tensor) -> Tensor:
        """Sum up for each target what its edges, `weights: (E,)`, bring of `dense: (S, d)`."""
        return Links(self.sources, self.starts, weights).carry(dense)


class EdgePair(nn.Module):
    """The interactions as edges into the users and as edges into the videos."""

    def __init__(self, users: Tensor, videos: Tensor, *, sizes: tuple[int, int]) -> None:
        """Connect `users: (E,)` with `videos: (E,)`, row numbers under `sizes` = (U, V)."""
        super().__init__()
        self.into_users = IncomingEdges(users, videos, size=sizes[0])
        self.into_videos = IncomingEdges(videos, users, size=sizes[1])
