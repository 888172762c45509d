"""What a network says of all users and videos: as they are judged, exported and served.

Knows rankings and what arrivals lose; nothing of steps.
"""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from models.bundle.fitting import LENGTH_SLACK
from models.recommender import BLOCK, MetaMMF, Recommender, Rehearsing, WithContent
from training.company import pulled
from training.data.companions import Companions
from training.data.dataset import Dataset, Floats
from training.errors import Diverged
from training.evaluate import evaluate_ranking, inner_products, rank

# Of their mean content, what arrivals may lose.
SHARES: Final = (0.0, 0.2, 0.4, 0.6)


class Representation:
    """The vectors of all users and videos by one network, as its parameters are now."""

    def __init__(
        self,
        network: Recommender,
        dataset: Dataset,
        companions: Companions | None,
        device: torch.device,
    ) -> None:
        """Take a `network` that is on the `device`; with `companions`, content moves users."""
        self._network: Any = network
        self._dataset, self._companions, self._device = dataset, companions, device

    @torch.no_grad()
    def vectors(self) -> tuple[Floats, Floats]:
        """Return the vectors of users (U, D) and videos (V, D).

        Videos without a training interaction are represented as the service would on arrival.

        Raises:
            Diverged: they are not finite, or have lost the length that the network gives them.
        """
        self._network.train(mode=False)
        users, videos = self._network.all_vectors()
        if self._companions and isinstance(self._network, WithContent):
            users = pulled(users, self._contents(), self._companions)
        found = users.cpu().numpy().copy(), videos.cpu().numpy().copy()
        self._let_arrive(found[1])
        if not all(map(self._sound, found)):
            raise Diverged
        return found

    def _sound(self, vectors: Floats) -> bool:
        lengths = np.sqrt(np.einsum("rd,rd->r", vectors, vectors))
        if isinstance(self._network, MetaMMF):
            # Content that is too long for a number, divided by its length, is 0.
            return bool((np.abs(lengths - 1) <= LENGTH_SLACK).all())
        return bool(np.isfinite(lengths).all())

    def judged(self) -> dict[str, Any]:
        """Return what a ranking on validation says of the vectors.

        Raises:
            Diverged: see `vectors`.
        """
        return self._judged(*self.vectors())

    def _judged(self, users: Floats, videos: Floats) -> dict[str, Any]:
        ranking = rank(self._dataset, "val", inner_products(users, videos))
        return evaluate_ranking(self._dataset, "val", ranking)

    def best_common(self) -> float:
        """Return which share of their mean contents should lose on arrival: the best on validation.

        It is the one of SHARES with the best recall@20, the least of several: 0 where validation
        holds no cold video, for then an arrival can only be in the way. For when all is learnt.
        """
        network, met = self._network, self._dataset.val.videos
        if not isinstance(network, MetaMMF) or not self._dataset.cold[met].any():
            return 0.0
        found, mean = {}, self._mean_content()
        users, videos = self.vectors()
        for share in SHARES:
            network.fusion.common.copy_(share * mean)
            # Nothing but arrivals changes with it.
            self._let_arrive(videos)
            found[share] = self._judged(users, videos)["overall"]["recall@20"]
        return max(SHARES, key=found.__getitem__)

    def set_common(self, share: float) -> None:
        """Have contents lose this `share` of their mean on arrival, if the network fuses any."""
        if isinstance(self._network, MetaMMF):
            self._network.fusion.common.copy_(share * self._mean_content())

    @torch.no_grad()
    def _let_arrive(self, videos: Floats) -> None:
        """Put into `videos: (V, D)` what the service would make of cold ones on arrival."""
        if isinstance(self._network, Rehearsing):
            cold = np.flatnonzero(self._dataset.cold)
            arrived: Tensor = self._network.arrivals(torch.from_numpy(cold).to(self._device))
            videos[cold] = arrived.cpu().numpy()

    @torch.no_grad()
    def _mean_content(self) -> Tensor:
        return self._contents().mean(dim=0)

    def _contents(self) -> Tensor:
        """Return the unit content vectors of all videos: (V, D)."""
        self._network.train(mode=False)
        rows = torch.arange(self._dataset.videos, device=self._device)
        return torch.cat([self._network.contents(some) for some in torch.split(rows, BLOCK)])
