"""MMGCN: one graph convolution a modality, and their mean (Wei et al., ACM Multimedia 2019)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from models.baselines.features import FeatureMap, Features
from models.baselines.free_vectors import Free
from models.baselines.whole_graph import WholeGraph
from models.graph import InteractionGraph
from models.recommender import EMBEDDING_SCALE

SLOPE = 0.01
# Ids are drawn this small, about as the released code draws them: from long ones the layers learn
# by heart who met what, within an epoch or two, where users have met few videos.
ID_SCALE = 0.01


class ModalityLayer(nn.Module):
    """h = LeakyReLU(W1 mean_j x_j), o = LeakyReLU(W2 x + b2) + id, x' = LeakyReLU(W3 [h ; o] + b3).

    The aggregation and the combination by concatenation of the paper's section 3.
    """

    def __init__(self, width: int) -> None:
        """Draw the three maps of vectors of `width`."""
        super().__init__()
        self.near = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, width)
        self.both = nn.Linear(2 * width, width)

    def forward(self, vectors: Tensor, arrived: Tensor, ids: Tensor) -> Tensor:
        """Refine `vectors: (N, d)` by `arrived: (N, d)`, means of neighbours, and `ids: (N, d)`."""
        near = leaky_relu(self.near(arrived), SLOPE)
        own = leaky_relu(self.own(vectors), SLOPE) + ids
        return leaky_relu(self.both(torch.cat([near, own], dim=1)), SLOPE)


class Mmgcn(WholeGraph):
    """For each modality a user has a free preference, a video its mapped features; all share ids.

    Rows have unit length before the first layer. A video's vector is the mean over the modalities
    it has, a user's over all; the score is their inner product. What the released code has
    otherwise is mended here: preferences and ids are trained (there they are no parameters and
    stay as drawn), the number of layers is a setting, and every modality is mapped to the width of
    the vectors, while there the acoustic and textual ones keep their own.
    """

    def __init__(
        self, graph: InteractionGraph, features: Features, free: Free, *, layers: int
    ) -> None:
        """Convolve `layers` times along `graph`, whose scaling must be the mean."""
        super().__init__(free._replace(scale=ID_SCALE))
        self.graph, self.features = graph, features
        modalities, users, width = len(features.widths), free.users, free.width
        self.preferences = nn.Parameter(torch.randn(modalities, users, width) * EMBEDDING_SCALE)
        self.maps = nn.ModuleList(FeatureMap(fan_in, width) for fan_in in features.widths)
        self.layers = layers
        self.convolutions = nn.ModuleList(ModalityLayer(width) for _ in range(modalities * layers))

    def mapping(self) -> Sequence[nn.Module]:
        """Return the map of each modality."""
        return [self.maps]

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and videos: (U, D), (V, D)."""
        found = [self._of_modality(place) for place in range(len(self.maps))]
        users = torch.stack([side[0] for side in found]).mean(0)
        # (V, M, 1): who has no modality at all is represented by all of them, as a user is.
        has = self.features.present.any(dim=1, keepdim=True)
        counted = (self.features.present | ~has).to(users.dtype)[:, :, None]
        videos = torch.stack([side[1] for side in found], dim=1)
        return users, (videos * counted).sum(1) / counted.sum(1)

    def _of_modality(self, place: int) -> tuple[Tensor, Tensor]:
        users = normalize(self.preferences[place], dim=1)
        videos = normalize(self.maps[place](self.features.blocks()[place]), dim=1)
        for layer in self.convolutions[place * self.layers : (place + 1) * self.layers]:
            to_users, to_videos = self.graph(users, videos)
            users = layer(users, to_users, self.users)
            videos = layer(videos, to_videos, self.videos)
        return users, videos
