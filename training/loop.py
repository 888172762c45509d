"""Fits a model: epochs, early stopping on validation, the best vectors kept. Prints nothing.

Knows when to stop; nothing of steps, files or terminals.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from models.bundle.manifest import ArrivalEntry
from models.fusion import MetaFusion
from models.recommender import MetaMMF
from training.build import BUILDERS
from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.trainer import Trainer


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
    arrival: ArrivalEntry
    fusion: MetaFusion | None
    epochs: list[EpochReport] = field(default_factory=list)

    @property
    def best(self) -> EpochReport:
        """The epoch whose vectors these are."""
        return best_of(self.epochs)


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
    ends after `max_epochs`, after `patience` epochs without a better validation recall@20, or once
    an epoch ends past `max_seconds`. Without validation interactions it trains `max_epochs`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BUILDERS[model](dataset, config).to(device)
    trainer = Trainer(network, dataset, config, np.random.default_rng(seed))
    started = time.monotonic()
    epochs: list[EpochReport] = []
    kept = trainer.averages()
    for epoch in range(1, config.max_epochs + 1):
        loss, validation = trainer.run_epoch(), trainer.validate()
        best = max([validation, *(item.best for item in epochs[-1:])])
        seconds = time.monotonic() - started
        epochs.append(EpochReport(epoch, config.max_epochs, loss, validation, best, seconds))
        report(epochs[-1])
        best_epoch = best_of(epochs).epoch
        if best_epoch == epoch:
            kept = trainer.averages()
        if epoch - best_epoch >= config.patience:
            break
        if max_seconds is not None and seconds >= max_seconds:
            break
    trainer.load(kept)
    users, videos, arrival = trainer.vectors()
    fusion = network.fusion.to("cpu") if isinstance(network, MetaMMF) else None
    return Fitted(users, videos, arrival, fusion, epochs)


def best_of(epochs: list[EpochReport]) -> EpochReport:
    """Return the first epoch of the best validation; the last one if nothing was validated."""
    return max(epochs, key=lambda e: (e.validation, -e.epoch if e.validation > 0 else e.epoch))
