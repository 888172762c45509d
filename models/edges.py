"""Edges that have a weight of their own each, learnt or made of the vectors at their ends.

Knows rows, scores and vectors; nothing of what they mean. No edge ever has a vector of its own:
time and memory are those of sparse products, in backward passes too.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from models.links import Links, starts_of


class IncomingEdges(nn.Module):
    """The edges into one side of the graph, target by target; E of them from S sources into T."""

    sources: Tensor
    targets: Tensor
    starts: Tensor
    turned: Tensor
    turned_targets: Tensor
    turned_starts: Tensor

    def __init__(self, targets: Tensor, sources: Tensor, *, sizes: tuple[int, int]) -> None:
        """Lead from `sources: (E,)` to `targets: (E,)`, row numbers below `sizes` = (T, S)."""
        super().__init__()
        self.size = sizes[0]
        order = torch.argsort(targets, stable=True)
        targets, sources = targets[order], sources[order]
        # The same edges source by source, along which gradients go back.
        turned = torch.argsort(sources, stable=True)
        for name, rows in (
            ("sources", sources),
            ("targets", targets),
            ("starts", starts_of(torch.bincount(targets, minlength=sizes[0]))),
            ("turned", turned),
            ("turned_targets", targets[turned]),
            ("turned_starts", starts_of(torch.bincount(sources, minlength=sizes[1]))),
        ):
            self.register_buffer(name, rows, persistent=False)

    def agreement(self, targets: Tensor, sources: Tensor) -> Tensor:
        """Return the inner product of the ends of each edge: (E,), of (T, d) and (S, d)."""
        scores: Tensor = _Agreement.apply(targets, sources, self)  # type: ignore[no-untyped-call]
        return scores

    def carry(self, weights: Tensor, sources: Tensor) -> Tensor:
        """Sum up for each target what its edges, `weights: (E,)`, bring of `sources: (S, d)`."""
        arrived: Tensor = _Carried.apply(weights, sources, self)  # type: ignore[no-untyped-call]
        return arrived

    def softmax(self, scores: Tensor) -> Tensor:
        """Return exp(score) of each edge as a share of its target's sum: (E,) of `scores: (E,)`."""
        return self.softmax_beside(scores, scores.new_full((self.size,), -torch.inf))[0]

    def softmax_beside(self, scores: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return `softmax` where targets take part with scores of their `own: (T,)`: (E,), (T,)."""
        shares: tuple[Tensor, Tensor] = _Softmax.apply(scores, own, self)  # type: ignore[no-untyped-call]
        return shares

    def highest(self, scores: Tensor, own: Tensor) -> Tensor:
        """Return the highest of each target's `scores: (E,)` and `own: (T,)`, no gradient: (T,)."""
        return own.scatter_reduce(0, self.targets, scores, "amax")

    def sums(self, numbers: Tensor) -> Tensor:
        """Sum up the `numbers: (E,)` of each target's edges, no gradient: (T,)."""
        return torch.segment_reduce(numbers, "sum", offsets=self.starts, initial=0, unsafe=True)

    def of_targets(self, numbers: Tensor) -> Tensor:
        """Return for each edge what `numbers: (T,)` say of its target: (E,)."""
        return numbers.index_select(0, self.targets)

    def products(self, targets: Tensor, sources: Tensor) -> Tensor:
        """Return `agreement`, of which there is no gradient."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
            # Sorted when this was made: there is nothing to check at every product.
            places = torch.sparse_csr_tensor(
                self.starts,
                self.sources,
                targets.new_zeros(len(self.sources)),
                size=(len(targets), len(sources)),
                check_invariants=False,
            )
            found: Tensor = torch.sparse.sampled_addmm(places, targets, sources.T, beta=0.0)
            return found.values()

    def forth(self, weights: Tensor, sources: Tensor) -> Tensor:
        """Return `carry`, of which there is no gradient: (T, d)."""
        return Links(self.sources, self.starts, weights).carry(sources)

    def back(self, weights: Tensor, targets: Tensor) -> Tensor:
        """Sum up for each source what its edges bring of `targets: (T, d)`: (S, d)."""
        turned = weights.index_select(0, self.turned)
        return Links(self.turned_targets, self.turned_starts, turned).carry(targets)


class _Agreement(torch.autograd.Function):
    """Inner products along edges."""

    @staticmethod
    def forward(ctx: Any, targets: Tensor, sources: Tensor, edges: IncomingEdges) -> Tensor:
        ctx.save_for_backward(targets, sources)
        ctx.edges = edges
        return edges.products(targets, sources)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        targets, sources = ctx.saved_tensors
        return ctx.edges.forth(gradients[0], sources), ctx.edges.back(gradients[0], targets), None


class _Softmax(torch.autograd.Function):
    """Shares of the edges and of the targets themselves; of -inf a target has none."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, own: Tensor, edges: IncomingEdges
    ) -> tuple[Tensor, Tensor]:
        highest = edges.highest(scores, own)
        # Who has no edge and takes no part has no highest either.
        highest = highest.where(highest.isfinite(), 0.0)
        grown, grown_own = (scores - edges.of_targets(highest)).exp(), (own - highest).exp()
        sums = edges.sums(grown) + grown_own
        shares = grown / edges.of_targets(sums), grown_own / sums.where(sums > 0, 1.0)
        ctx.save_for_backward(*shares)
        ctx.edges = edges
        return shares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        shares, own = ctx.saved_tensors
        weighed, weighed_own = shares * gradients[0], own * gradients[1]
        sums = ctx.edges.sums(weighed) + weighed_own
        return weighed - shares * ctx.edges.of_targets(sums), weighed_own - own * sums, None


class _Carried(torch.autograd.Function):
    """Weighted sums along edges."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, sources: Tensor, edges: IncomingEdges) -> Tensor:
        ctx.save_for_backward(weights, sources)
        ctx.edges = edges
        return edges.forth(weights, sources)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, sources = ctx.saved_tensors
        products = ctx.edges.products(gradients[0], sources)
        return products, ctx.edges.back(weights, gradients[0]), None


class EdgePair(nn.Module):
    """The interactions as edges into the users and as edges into the videos."""

    def __init__(self, users: Tensor, videos: Tensor, *, sizes: tuple[int, int]) -> None:
        """Connect `users: (E,)` with `videos: (E,)`, row numbers under `sizes` = (U, V)."""
        super().__init__()
        into_users = IncomingEdges(users, videos, sizes=sizes)
        self.into_users = into_users
        # Listed from the users' list, so that this comes in the order of its `turned`.
        self.into_videos = IncomingEdges(into_users.sources, into_users.targets, sizes=sizes[::-1])

    def by_video(self, numbers: Tensor) -> Tensor:
        """Return `numbers: (E,)` of the edges into users in the order of those into videos."""
        return numbers.index_select(0, self.into_users.turned)
