"""Fits a model: epochs, early stopping on validation, the best vectors kept. Prints nothing.

Knows the objective and the sampler; nothing of bundles, files or terminals.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.baselines.bpr_mf import BprMf
from models.fusion import MetaFusion
from models.recommender import MetaMMF, Recommender
from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.data.sampling import TripleSampler
from training.evaluate import evaluate
from training.objective import bpr_loss, squared_length

BLOCK = 4096


class EpochReport(NamedTuple):
    """How training stands after an epoch; `validation` is recall@20."""

    epoch: int
    max_epochs: int
    loss: float
    validation: float
    best: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """The vectors of the best epoch and what led there. `fusion` is None for a baseline."""

    users: Floats
    videos: Floats
    max_norm: float
    fusion: MetaFusion | None
    epochs: list[EpochReport] = field(default_factory=list)

    @property
    def best(self) -> EpochReport:
        """The epoch whose weights were kept."""
        return max(self.epochs, key=lambda report: (report.validation, -report.epoch))


def build_meta_mmf(dataset: Dataset, config: FitConfig) -> MetaMMF:
    """Build MetaMMF_MF for `dataset`; the one place where a configuration becomes a network."""
    fusion = MetaFusion(
        dataset.feature_dims,
        hidden_dims=config.hidden_dims,
        output_dim=config.vector_dim + 1,
        signal_hidden_dim=config.signal_hidden_dim,
        signal_dim=config.signal_dim,
        rank=config.rank,
    )
    features, present = torch.from_numpy(dataset.joined_features), torch.from_numpy(dataset.present)
    return MetaMMF(fusion, features, present, users=dataset.users)


def build_bpr_mf(dataset: Dataset, config: FitConfig) -> BprMf:
    """Build the plain matrix factorisation that MetaMMF is measured against."""
    return BprMf(users=dataset.users, videos=dataset.videos, width=config.vector_dim)


BUILDERS: dict[str, Callable[[Dataset, FitConfig], Any]] = {
    "metammf-mf": build_meta_mmf,
    "bpr-mf": build_bpr_mf,
}


def fit(
    dataset: Dataset,
    config: FitConfig,
    *,
    model: str = "metammf-mf",
    seed: int = 0,
    device: str = "cpu",
    max_seconds: float | None = None,
    report: Callable[[EpochReport], None] = lambda _: None,
) -> Fitted:
    """Train `model` on `dataset` and return the vectors of its best epoch on validation.

    The same seed on the same machine and thread count gives the same vectors, bit for bit. Training
    ends after `max_epochs`, after `patience` epochs without a better validation recall@20, or once an
    epoch ends past `max_seconds`. A data set without validation interactions trains `max_epochs`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BUILDERS[model](dataset, config).to(device)
    trainer = _Trainer(network, dataset, config, np.random.default_rng(seed))
    started = time.monotonic()
    epochs: list[EpochReport] = []
    best, kept = -1.0, trainer.weights()
    for epoch in range(1, config.max_epochs + 1):
        loss = trainer.run_epoch()
        validation = trainer.validate()
        if validation > best or not len(dataset.val):
            best, kept = validation, trainer.weights()
        epochs.append(
            EpochReport(
                epoch, config.max_epochs, loss, validation, best, time.monotonic() - started
            )
        )
        report(epochs[-1])
        best_epoch = max(epochs, key=lambda item: (item.validation, -item.epoch)).epoch
        if len(dataset.val) and epoch - best_epoch >= config.patience:
            break
        if max_seconds is not None and epochs[-1].seconds >= max_seconds:
            break
    network.load_state_dict(kept)
    users, videos, max_norm = trainer.vectors()
    fusion = network.fusion.to("cpu") if isinstance(network, MetaMMF) else None
    return Fitted(users, videos, max_norm, fusion, epochs)


class _Trainer:
    """One network in training."""

    def __init__(
        self, network: Any, dataset: Dataset, config: FitConfig, rng: np.random.Generator
    ) -> None:
        self._network: Recommender = network
        self._parameters = list(network.parameters())
        self._state = network.state_dict
        self._device = self._parameters[0].device
        self._dataset, self._config, self._rng = dataset, config, rng
        self._sampler = TripleSampler(dataset.train, videos=dataset.videos)
        self._optimiser = torch.optim.Adam(self._parameters, lr=config.learning_rate, fused=True)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of all weights."""
        return {name: tensor.detach().clone() for name, tensor in self._state().items()}

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
        taste = self._network.user_vectors(users)
        # One pass over both halves: a video that occurs as both is fused with its batch mates once.
        parts = self._network.video_parts(torch.cat([positives, negatives]))
        wanted, unwanted = torch.stack(parts).sum(0).chunk(2)
        loss = bpr_loss(taste, wanted, unwanted)
        # The mean over 2B videos counts half as much as the mean over B users; both are summed here.
        penalty = squared_length(taste) + 2 * squared_length(*parts)
        self._optimiser.zero_grad(set_to_none=True)
        (loss + self._config.regularisation * penalty).backward()  # type: ignore[no-untyped-call] # torch
        self._optimiser.step()
        return loss.item()

    def validate(self) -> float:
        """Return recall@20 on the validation split; 0 if there is none."""
        if not len(self._dataset.val):
            return 0.0
        users, videos, _ = self.vectors()
        return float(evaluate(self._dataset, "val", users, videos)["overall"]["recall@20"])

    @torch.no_grad()
    def vectors(self) -> tuple[Floats, Floats, float]:
        """Return users (U, D), videos (V, D) and the longest warm video vector, bias left out.

        Videos without a training interaction are represented as the service would on arrival.
        """
        users = self._by_block(self._network.user_vectors, np.arange(self._dataset.users))
        videos = self._by_block(
            lambda rows: torch.stack(self._network.video_parts(rows)).sum(0),
            np.arange(self._dataset.videos),
        )
        cold = np.flatnonzero(self._dataset.cold)
        warm = np.delete(videos, cold, axis=0)
        max_norm = float(np.linalg.norm(warm[:, :-1], axis=1).max(initial=0.0))
        network = self._network
        if len(cold) and isinstance(network, MetaMMF):
            videos[cold] = self._by_block(
                lambda rows: network.arrivals(rows, max_norm=max_norm), cold
            )
        return users, videos, max_norm

    def _by_block(self, represent: Callable[[Tensor], Tensor], rows: Any) -> Floats:
        blocks = [
            represent(torch.from_numpy(rows[start : start + BLOCK]).to(self._device)).cpu().numpy()
            for start in range(0, len(rows), BLOCK)
        ]
        return np.concatenate(blocks)
