"""CLCRec: content learns to say what ids say, by contrast (Wei et al., ACM Multimedia 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from models.baselines.content_network import ContentNetwork, TwoLayers
from models.baselines.free_vectors import Free
from models.recommender import Rehearsal, Step

HIDDEN = 256
# Of the cosines between an id's vector and contents.
TEMPERATURE = 0.2


class ClcRec(ContentNetwork):
    """A known video is its id's vector z_i, an arrival its content g_i = W2 LeakyReLU(W1 f_i).

    f_i are the features, of a length of about 1 (the released code has them of unit length).

    L = U-I contrast, the softmax objective over what users met, in which a share of the videos is
    represented by content (`arrival_share`; half of them in the paper), plus the R-E contrast
    (`extra_weight` times): the mean of -log softmax of cos(z_i, g_j) / tau over the step's videos
    j at j = i. With a weight of 1 it hides who met what, where users met few: by default it is .1.

    The released code sets an id against negatives drawn for it; here all videos met in the step are
    each other's negatives. It also hides cold videos' scores by 1e-15, not by -inf, which is mended
    in the evaluation that all systems share.
    """

    def __init__(self, features: Tensor, free: Free) -> None:
        """Draw vectors, and a map of standardised `features: (V, F)` to the same width."""
        super().__init__(features * features.shape[1] ** -0.5, free)  # see `FeatureMap`
        self.content = TwoLayers(features.shape[1], HIDDEN, free.width)

    def networks(self) -> Sequence[nn.Module]:
        """Return the content network."""
        return [self.content]

    def forward(
        self, users: Tensor, videos: Tensor, rehearsal: Rehearsal | None, _draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors of rows `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        user_vectors, known = self.embeddings(users, videos)
        if rehearsal is not None:
            places = rehearsal.arriving.nonzero()[:, 0]
            known = known.index_copy(0, places, self.content(self.features[videos[places]]))
        return user_vectors, known

    def extra_loss(self, step: Step) -> Tensor:
        """Return the R-E contrast of the videos met in the step, each once."""
        rows = step.videos[torch.unique(step.positives)]
        ids = normalize(self.embeddings(rows[:0], rows)[1], dim=1)
        contents = normalize(self.content(self.features[rows]), dim=1)
        own = torch.arange(len(rows), device=rows.device)
        return cross_entropy(ids @ contents.T / TEMPERATURE, own)

    def arrivals(self, videos: Tensor) -> Tensor:
        """Return what features alone say of rows `videos: (B,)`: (B, D)."""
        content: Tensor = self.content(self.features[videos])
        return content

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and of all videos as if all were known."""
        return self.users, self.videos
