"""One network in training: steps, the running average of its parameters, its vectors.

Knows the objective and the sampler; nothing of when to stop.
"""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from models.bundle.manifest import ArrivalEntry
from models.recommender import MetaMMF, Recommender
from training.config import FitConfig
from training.data.dataset import Dataset, Floats, Rows
from training.data.sampling import TripleSampler
from training.evaluate import evaluate
from training.objective import bpr_loss, squared_lengths

# Rows represented at once outside training: bounds the activations of the fusion network.
BLOCK: Final = 4096
SHORTEST: Final = 1e-6


class Trainer:
    """One network in training."""

    def __init__(
        self, network: Any, dataset: Dataset, config: FitConfig, rng: np.random.Generator
    ) -> None:
        self._network: Recommender = network
        self._parameters = list(network.parameters())
        self._averages = [parameter.detach().clone() for parameter in self._parameters]
        self._steps = 0
        self._device = self._parameters[0].device
        self._dataset, self._config, self._rng = dataset, config, rng
        self._sampler = TripleSampler(dataset.train, videos=dataset.videos)
        self._optimiser = torch.optim.Adam(self._parameters, lr=config.learning_rate, fused=True)

    def averages(self) -> list[Tensor]:
        """Return a copy of the averaged parameters."""
        return [average.clone() for average in self._averages]

    def load(self, averages: list[Tensor]) -> None:
        """Put `averages` in the place of the parameters: training is over."""
        for parameter, average in zip(self._parameters, averages, strict=True):
            parameter.data.copy_(average)

    def run_epoch(self) -> float:
        """Go once over the training interactions and return the mean loss of a triple."""
        total = 0.0
        for triples in self._sampler.epoch(self._config.batch_size, self._rng):
            users, positives, negatives = (
                torch.from_numpy(rows).to(self._device) for rows in triples
            )
            total += self._step(users, positives, negatives) * len(users)
        return total / max(1, len(self._sampler))

    def _step(self, users: Tensor, positives: Tensor, negatives: Tensor) -> float:
        # However often a video occurs in the step, it is fused once.
        videos, places, counts = torch.unique(
            torch.cat([positives, negatives]), return_inverse=True, return_counts=True
        )
        loss = lengths = torch.zeros((), device=self._device)
        for pairing in self._network.pairings(users, videos):
            loss = loss + bpr_loss(pairing.users, *embedding(places, pairing.videos).chunk(2))
            if pairing.lengths is not None:
                lengths = lengths + squared_lengths(pairing.users).sum()
                lengths = lengths + (counts * squared_lengths(pairing.lengths)).sum()
        penalty = lengths / len(users)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + self._config.regularisation * penalty)
        self._optimiser.step()
        self._average()
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averages towards the parameters, faster early on: the start is forgotten."""
        self._steps += 1
        decay = min(self._config.averaging, self._steps / (self._steps + 10))
        torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)

    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self._averages, strict=True):
            parameter.data, average.data = average.data, parameter.data

    def validate(self) -> float:
        """Return recall@20 of the averaged parameters on validation; 0 if there is none."""
        if not len(self._dataset.val):
            return 0.0
        self._swap()
        users, videos, _ = self.vectors()
        self._swap()
        return float(evaluate(self._dataset, "val", users, videos)["overall"]["recall@20"])

    @torch.no_grad()
    def vectors(self) -> tuple[Floats, Floats, ArrivalEntry]:
        """Return users (U, D), videos (V, D) and what brings arrivals to the same lengths.

        Videos without a training interaction are represented as the service would on arrival.
        """
        users = self._by_block(self._network.user_vectors, np.arange(self._dataset.users))
        rows = np.arange(self._dataset.videos)
        cold, warm = rows[self._dataset.cold], rows[~self._dataset.cold]
        videos = self._by_block(self._network.video_vectors, rows)
        lengths = np.linalg.norm(videos[warm, :-1], axis=1)
        longest = float(lengths.max())
        if not isinstance(self._network, MetaMMF):
            return users, videos, ArrivalEntry(gain=1.0, max_norm=longest)
        bare = partial(self._network.arrivals, gain=1.0, max_norm=inf)
        contents = np.linalg.norm(self._by_block(bare, warm)[:, :-1], axis=1)
        gain = float(lengths.mean() / max(contents.mean(), SHORTEST))
        if len(cold):
            arrive = partial(self._network.arrivals, gain=gain, max_norm=longest)
            videos[cold] = self._by_block(arrive, cold)
        return users, videos, ArrivalEntry(gain=gain, max_norm=longest)

    def _by_block(self, represent: Callable[[Tensor], Tensor], rows: Rows) -> Floats:
        blocks = [
            represent(torch.from_numpy(rows[start : start + BLOCK]).to(self._device)).cpu().numpy()
            for start in range(0, len(rows), BLOCK)
        ]
        return np.concatenate(blocks)
