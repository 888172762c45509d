"""The interactions as a sparse graph between users and videos, and what flows along its edges.

Knows edges and vectors; nothing of what the vectors mean. Memory is linear in the edges.
"""

from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from models.links import Links, starts_of

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

    user_starts: Tensor
    user_videos: Tensor
    video_starts: Tensor
    video_users: Tensor
    into_users: Tensor
    out_of_users: Tensor
    into_videos: Tensor
    out_of_videos: Tensor

    def __init__(
        self, users: Tensor, videos: Tensor, *, sizes: tuple[int, int], scaling: Scaling
    ) -> None:
        """Connect `users: (E,)` with `videos: (E,)`, row numbers under `sizes` = (U, V).

        Raises:
            ValueError: an edge stands there twice.
        """
        super().__init__()
        keys, by_user = torch.sort(users * sizes[1] + videos)
        if (keys[1:] == keys[:-1]).any():
            raise ValueError("an edge stands there twice, expected distinct ones")
        by_video = torch.argsort(videos * sizes[0] + users)
        user_degree = torch.bincount(users, minlength=sizes[0])
        video_degree = torch.bincount(videos, minlength=sizes[1])
        both = (user_degree[users].float() * video_degree[videos]).rsqrt()
        into_users = both if scaling == "symmetric" else 1 / user_degree[users]
        into_videos = both if scaling == "symmetric" else 1 / video_degree[videos]
        for name, table in (
            ("user_starts", starts_of(user_degree)),
            ("user_videos", videos[by_user]),
            ("video_starts", starts_of(video_degree)),
            ("video_users", users[by_video]),
            # The weights of either way, once in the order of users and once in that of videos.
            ("into_users", into_users[by_user]),
            ("out_of_users", into_videos[by_user]),
            ("into_videos", into_videos[by_video]),
            ("out_of_videos", into_users[by_video]),
        ):
            self.register_buffer(name, table, persistent=False)

    def forward(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Send `users: (U, D)` to the videos and `videos: (V, D)` to the users: (U, D), (V, D)."""
        by_user, by_video = (
            (self.user_videos, self.user_starts),
            (self.video_users, self.video_starts),
        )
        return (
            _carry(Links(*by_user, self.into_users), Links(*by_video, self.out_of_videos), videos),
            _carry(Links(*by_video, self.into_videos), Links(*by_user, self.out_of_users), users),
        )

    def own(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return all there are (see `Hop`)."""
        return users, videos


class _Carried(torch.autograd.Function):
    """What links carry; their gradient is carried back by the same edges, listed by source."""

    @staticmethod
    def forward(ctx: Any, links: Links, back: Links, dense: Tensor) -> Tensor:
        ctx.back = back
        return links.carry(dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.back.carry(gradients[0])


def _carry(links: Links, back: Links, dense: Tensor) -> Tensor:
    carried: Tensor = _Carried.apply(links, back, dense)  # type: ignore[no-untyped-call]
    return carried
