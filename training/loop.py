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
from torch.nn.functional import embedding

from models.baselines.bpr_mf import BprMf
from models.bundle.manifest import ArrivalEntry
from models.fusion import MetaFusion
from models.recommender import MetaMMF, Recommender
from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.data.sampling import TripleSampler
from training.evaluate import evaluate
from training.objective import bpr_loss, squared_lengths

BLOCK = 4096
SHORTEST = 1e-6


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
    """The averaged vectors of the best epoch and what led there. `fusion` is None for a baseline."""

    users: Floats
    videos: Floats
    arrival: ArrivalEntry
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
    best, kept = -1.0, trainer.averages()
    for epoch in range(1, config.max_epochs + 1):
        loss = trainer.run_epoch()
        validation = trainer.validate()
        if validation > best or not len(dataset.val):
            best, kept = validation, trainer.averages()
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
    trainer.load(kept)
    users, videos, arrival = trainer.vectors()
    fusion = network.fusion.to("cpu") if isinstance(network, MetaMMF) else None
    return Fitted(users, videos, arrival, fusion, epochs)


class _Trainer:
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
        taste = self._network.user_vectors(users)
        # However often a video occurs in the step, it is fused once.
        videos, places, counts = torch.unique(
            torch.cat([positives, negatives]), return_inverse=True, return_counts=True
        )
        parts = self._network.video_parts(videos)
        wanted, unwanted = embedding(places, torch.stack(parts).sum(0)).chunk(2)
        loss = bpr_loss(taste, wanted, unwanted)
        lengths = torch.stack([squared_lengths(part) for part in parts]).sum(0)
        penalty = (squared_lengths(taste).sum() + (counts * lengths).sum()) / len(users)
        self._optimiser.zero_grad(set_to_none=True)
        (loss + self._config.regularisation * penalty).backward()  # type: ignore[no-untyped-call] # torch
        self._optimiser.step()
        self._average()
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averages towards the parameters; early on faster, so that the start is forgotten."""
        self._steps += 1
        decay = min(self._config.averaging, self._steps / (self._steps + 10))
        torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)  # noqa: SLF001 - no public twin

    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self._averages, strict=True):
            parameter.data, average.data = average.data, parameter.data

    def validate(self) -> float:
        """Return recall@20 of the averaged parameters on the validation split; 0 if there is none."""
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
        parts = self._by_block(
            lambda rows: torch.stack(self._network.video_parts(rows), dim=1),
            np.arange(self._dataset.videos),
        )
        videos = parts.sum(1)
        cold = np.flatnonzero(self._dataset.cold)
        lengths = np.linalg.norm(np.delete(videos, cold, axis=0)[:, :-1], axis=1)
        contents = np.linalg.norm(np.delete(parts[:, 0], cold, axis=0)[:, :-1], axis=1)
        arrival = ArrivalEntry(
            gain=float(lengths.mean() / max(contents.mean(), SHORTEST)),
            max_norm=float(lengths.max()),
        )
        network = self._network
        if len(cold) and isinstance(network, MetaMMF):
            videos[cold] = self._by_block(
                lambda rows: network.arrivals(rows, gain=arrival.gain, max_norm=arrival.max_norm),
                cold,
            )
        return users, videos, arrival

    def _by_block(self, represent: Callable[[Tensor], Tensor], rows: Any) -> Floats:
        blocks = [
            represent(torch.from_numpy(rows[start : start + BLOCK]).to(self._device)).cpu().numpy()
            for start in range(0, len(rows), BLOCK)
        ]
        return np.concatenate(blocks)
