"""DropoutNet: a network that does without ids when it must (Volkovs et al., NeurIPS 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.baselines.content_network import ContentNetwork, TwoLayers
from models.baselines.free_vectors import Free
from models.recommender import Rehearsal, Step

HIDDEN = 128


class DropoutNet(ContentNetwork):
    """f_V([q_i or 0 ; x_i]) against f_U(p_u), taught to score as the factors p, q themselves do.

    p and q are trained by the common objective (the teacher); the extra loss is the paper's
    equation 2, the mean of (p_u . q_i - f_U(p_u) . f_V(i))^2 over the step's interactions and
    negatives, in which a share of the videos has no id (`arrival_share`). What is judged is f_U and
    f_V. The paper trains the teacher first; here both go on together, the teacher unmoved by what
    it teaches. Users have no features, so theirs are never dropped.
    """

    def __init__(self, features: Tensor, free: Free) -> None:
        """Draw vectors, and maps of them and of standardised `features: (V, F)` to their width."""
        super().__init__(features, free)
        self.of_videos = TwoLayers(free.width + features.shape[1], HIDDEN, free.width)
        self.of_users = TwoLayers(free.width, HIDDEN, free.width)

    def networks(self) -> Sequence[nn.Module]:
        """Return what makes vectors of videos."""
        return [self.of_videos]

    def forward(
        self, users: Tensor, videos: Tensor, _rehearsal: Rehearsal | None, _draw: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the teacher's vectors of `users: (B,)` and `videos: (V',)` (see `Recommender`)."""
        return self.embeddings(users, videos)

    def extra_loss(self, step: Step) -> Tensor:
        """Return the mean squared difference between the scores of teacher and taught."""
        users, ids = (side.detach() for side in (step.user_vectors, step.video_vectors))
        given = ids
        if step.rehearsal is not None:
            given = torch.where(step.rehearsal.arriving[:, None], 0.0, ids)
        taught_users = self.of_users(users)
        taught_videos = self._represented(given, step.videos)
        missed = []
        for places in (step.positives, step.rivals()):
            wanted = (users * ids[places]).sum(1)
            missed.append((taught_users * taught_videos[places]).sum(1) - wanted)
        return torch.cat(missed).square().mean()

    def arrivals(self, videos: Tensor) -> Tensor:
        """Return what features alone say of rows `videos: (B,)`: (B, D)."""
        return self._represented(self.videos.new_zeros(len(videos), self.videos.shape[1]), videos)

    def all_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the taught vectors of all users and of all videos as if all were known."""
        users: Tensor = self.of_users(self.users)
        return users, self._represented(self.videos, self.every_row())

    def _represented(self, ids: Tensor, rows: Tensor) -> Tensor:
        """Return f_V of `ids: (B, d)`, 0 where there is none, and features of `rows: (B,)`."""
        vectors: Tensor = self.of_videos(torch.cat([ids, self.features[rows]], dim=1))
        return vectors
