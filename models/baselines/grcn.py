"""GRCN: edges that content denies are weakened, then ids convolved (Wei et al., ACM MM 2020)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from models.baselines.features import FeatureMap, Features
from models.baselines.free_vectors import Free
from models.baselines.whole_graph import WholeGraph
from models.edges import EdgePair, IncomingEdges
from models.recommender import EMBEDDING_SCALE

SLOPE = 0.01
ROUNDS = 3
LAYERS = 2


class Routed(nn.Module):
    """One modality: prototypes of users by neighbour routing, and how much edges agree with it."""

    def __init__(self, fan_in: int, *, users: int, width: int) -> None:
        """Map features of `fan_in` to `width`, draw a preference of each user."""
        super().__init__()
        self.map = FeatureMap(fan_in, width)
        self.preferences = nn.Parameter(torch.randn(users, width) * EMBEDDING_SCALE)

    def forward(self, features: Tensor, edges: EdgePair) -> tuple[list[Tensor], list[Tensor]]:
        """Route `features: (V, F_m)`.

        Returns: the content of users (U, d) and videos (V, d), and the attention of the edges into
        users and into videos, (E,) each, in their own orders.
        """
        videos = normalize(self.map(features), dim=1)
        users = normalize(self.preferences, dim=1)
        into_users, into_videos = edges.into_users, edges.into_videos
        for _ in range(ROUNDS):
            near = into_users.softmax(into_users.agreement(users, videos))
            users = normalize(users + into_users.carry(near, videos), dim=1)
        agreement = into_users.agreement(users, videos)
        weights = [
            into_users.softmax(agreement),
            into_videos.softmax(edges.by_video(agreement)),
        ]
        content = [
            users + leaky_relu(into_users.carry(weights[0], videos), SLOPE),
            videos + leaky_relu(into_videos.carry(weights[1], users), SLOPE),
        ]
        return content, weights


class Grcn(WholeGraph):
    """[ids convolved along the refined edges ; content of each modality], scored by inner product.

    The weight of an edge is the highest, over the modalities, of its attention times how far its
    source is to be trusted in that modality (a free number each), and no less than 0; ids pass
    along it twice, and the sum over the layers counts. An edge of a video that lacks a modality is
    not judged by it. Ids have unit length before they pass, as in the released code.
    """

    def __init__(self, edges: EdgePair, features: Features, free: Free) -> None:
        """Route along `edges`; D = (M + 1) d, where free vectors are d wide."""
        super().__init__(free)
        self.edges, self.features = edges, features
        # Registered by the ModuleList, and kept with their type.
        self._routed = [
            Routed(fan_in, users=free.users, width=free.width) for fan_in in features.widths
        ]
        self.routed = nn.ModuleList(self._routed)
        self.user_trust = nn.Parameter(torch.ones(free.users, len(features.widths)))
        self.video_trust = nn.Parameter(torch.ones(free.videos, len(features.widths)))

    def mapping(self) -> Sequence[nn.Module]:
        """Return the map of each modality."""
        return [module.map for module in self._routed]

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        found = [
            module(block, self.edges)
            for module, block in zip(self._routed, self.features.blocks(), strict=True)
        ]
        to_users, to_videos = (
            torch.stack([weights[side] for _, weights in found], dim=1) for side in (0, 1)
        )
        into_users, into_videos = self.edges.into_users, self.edges.into_videos
        known = self.features.present
        to_users = _strongest(into_users, to_users, self.video_trust, known[into_users.sources])
        to_videos = _strongest(into_videos, to_videos, self.user_trust, known[into_videos.targets])
        users, videos = normalize(self.users, dim=1), normalize(self.videos, dim=1)
        all_users, all_videos = users, videos
        for _ in range(LAYERS):
            users, videos = into_users.carry(to_users, videos), into_videos.carry(to_videos, users)
            all_users, all_videos = all_users + users, all_videos + videos
        return (
            torch.cat([all_users, *(content[0] for content, _ in found)], dim=1),
            torch.cat([all_videos, *(content[1] for content, _ in found)], dim=1),
        )


def _strongest(edges: IncomingEdges, weights: Tensor, trust: Tensor, known: Tensor) -> Tensor:
    """Return the weight of each edge: (E,) of `weights`, `known`: (E, M), `trust: (S, M)`."""
    trusted = torch.where(known, weights * trust.index_select(0, edges.sources), 0.0)
    return trusted.max(dim=1).values.clamp(min=0)
