"""The interactions as a sparse graph between users and videos, and what flows along its edges.

Knows edges and vectors; nothing of what the vectors mean. Memory is linear in the edges.
"""

import warnings
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

Scaling = Literal["symmetric", "mean"]


class Hop(Protocol):
    """One step along edges, from source nodes to target nodes, which are among the sources."""

    def __call__(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the source `videos: (V, D)` send the target users, and the other way."""

    def own(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return of the sources' vectors those of the targets themselves."""


class InteractionGraph(nn.Module):
    """Weighted edges between U users and V videos, ready to carry vectors both ways.

    `symmetric` weighs the edge of user u and video v by 1 / sqrt(d_u d_v), as LightGCN does; `mean`
    gives every node the mean of its neighbours, as GraphSAGE does. A node without an edge gets 0.
    """

    to_users: Tensor
    to_videos: Tensor
    from_users: Tensor
    from_videos: Tensor

    def __init__(
        self, users: Tensor, videos: Tensor, *, sizes: tuple[int, int], scaling: Scaling
    ) -> None:
        """Connect `users: (E,)` with `videos: (E,)`, row numbers under `sizes` = (U, V).

        No edge twice.
        """
        super().__init__()
        user_degree = torch.bincount(users, minlength=sizes[0]).float()
        video_degree = torch.bincount(videos, minlength=sizes[1]).float()
        both = (user_degree[users] * video_degree[videos]).rsqrt()
        into_users = both if scaling == "symmetric" else 1 / user_degree[users]
        into_videos = both if scaling == "symmetric" else 1 / video_degree[videos]
        for name, rows, columns, weights, shape in (
            ("to_users", users, videos, into_users, sizes),
            ("to_videos", videos, users, into_videos, sizes[::-1]),
            ("from_users", users, videos, into_videos, sizes),
            ("from_videos", videos, users, into_users, sizes[::-1]),
        ):
            self.register_buffer(name, _csr(rows, columns, weights, shape), persistent=False)

    def forward(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Send `users: (U, D)` to the videos and `videos: (V, D)` to the users: (U, D), (V, D)."""
        return (
            _carry(self.to_users, self.from_videos, videos),
            _carry(self.to_videos, self.from_users, users),
        )

    def own(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return all there are (see `Hop`)."""
        return users, videos


class _Carried(torch.autograd.Function):
    """A sparse matrix times a dense one; the transpose for the gradient is kept, not made anew."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ gradients[0]


def _carry(matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
    carried: Tensor = _Carried.apply(matrix, transposed, dense)  # type: ignore[no-untyped-call]
    return carried


def _csr(rows: Tensor, columns: Tensor, weights: Tensor, shape: tuple[int, ...]) -> Tensor:
    order = torch.argsort(rows * shape[1] + columns)
    counts = torch.bincount(rows, minlength=shape[0])
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    with warnings.catch_warnings():
        # What is asked of these matrices, a product and a copy, is old; the rest is none of ours.
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            starts, columns[order], weights[order], size=shape, check_invariants=True
        )
