"""Fits a model: epochs, early stopping on validation, the best vectors kept. Prints nothing.

Knows when to stop and when to save; nothing of steps or terminals.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from models.arrival import Fusion
from models.recommender import MetaMMF
from training.build import build
from training.checkpoint import EpochReport, Progress, RunFolder
from training.config import FitConfig
from training.data.dataset import Dataset, Floats
from training.errors import Diverged
from training.team import ALONE, Team
from training.trainer import Trainer

# What is told of a validation.
TOLD: Final = ("overall", "warm", "cold")
FIGURES: Final = ("recall@20", "ndcg@20")


class Member(NamedTuple):
    """How the training of one member of an ensemble went."""

    epochs: list[EpochReport]
    common: float

    @property
    def best(self) -> EpochReport:
        """The epoch whose vectors are part of the ensemble."""
        return best_of(self.epochs)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.epochs[-1].seconds


@dataclass(frozen=True, eq=False)
class Fitted:
    """The vectors of the best epoch, its network, and what led there.

    `fusion` is None for a baseline. `common` is the share of their mean that contents lose on
    arrival (see `Representation.best_common`). An ensemble consists of `members` and has no network
    of its own; its epochs are those of the first of them. An untrained system has no epochs, and
    stands in the place of the network.
    """

    users: Floats
    videos: Floats
    fusion: Fusion | None
    network: Any
    epochs: list[EpochReport] = field(default_factory=list)
    common: float = 0.0
    members: Sequence[Member] = ()

    @property
    def finite(self) -> bool:
        """Whether all vectors are finite: they are not where training diverged."""
        return all(bool(np.isfinite(vectors).all()) for vectors in (self.users, self.videos))

    @property
    def seconds(self) -> float:
        """How long training took, that of all members together."""
        return sum(member.seconds for member in self.members) or self.epochs[-1].seconds

    @property
    def best(self) -> EpochReport:
        """The epoch whose vectors these are."""
        return best_of(self.epochs)


def fit(
    dataset: Dataset,
    config: FitConfig,
    *,
    seed: int = 0,
    max_seconds: float | None = None,
    run: RunFolder | None = None,
    team: Team = ALONE,
    report: Callable[[EpochReport], None] = lambda _: None,
) -> Fitted:
    """Train `config.model` on `dataset` and return the vectors of its best epoch on validation.

    The same seed on the same machine and thread count gives the same vectors, bit for bit, also
    when a `run` folder holds the checkpoint of a fit that was cut off: it goes on from there.
    Training ends after `max_epochs`, `patience` epochs after the best one, once an epoch ends past
    `max_seconds`, or with a loss that is not finite. Without validation interactions it trains
    `max_epochs`. The processes of a `team` share each batch and end with the same vectors; the
    leading one validates and writes.

    Raises:
        InvalidConfig: the checkpoint in `run` is of another fit.
        CorruptCheckpoint: it cannot be read.
        Diverged: loss or vectors were not finite before anything was judged.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(dataset, config).to(team.device)
        trainer = Trainer(network, dataset, config, np.random.default_rng(seed), team)
        progress = Progress([], trainer.averages())
        if run is not None:
            progress = run.resume(trainer, progress)
        run = run if team.leads else None
        started = time.monotonic() - progress.seconds
        while not _ended(progress.epochs, config, max_seconds):
            progress = _advance(trainer, progress, config, started, team)
            if run is not None:
                run.record(trainer, progress)
            report(progress.epochs[-1])
        if run is not None:
            run.save(trainer, progress)
        if not math.isfinite(best_of(progress.epochs).loss):
            raise Diverged
        learnt = trainer.finish(progress.kept)
        common = team.shared(learnt.best_common() if team.leads else None)
        learnt.set_common(common)
        users, videos = learnt.vectors()
    fusion = network.fusion.to("cpu") if isinstance(network, MetaMMF) else None
    return Fitted(users, videos, fusion, network, progress.epochs, common)


def best_of(epochs: list[EpochReport]) -> EpochReport:
    """Return the first epoch of the best validation; the last one if nothing was validated."""
    judged = [entry for entry in epochs if entry.validation is not None]
    return max(judged, key=lambda entry: entry.validation or 0.0) if judged else epochs[-1]


def _advance(
    trainer: Trainer, progress: Progress, config: FitConfig, started: float, team: Team
) -> Progress:
    epoch = len(progress.epochs) + 1
    best = progress.epochs[-1].best if progress.epochs else None
    loss = trainer.run_epoch()
    due = epoch % config.validate_every == 0 or epoch == config.max_epochs
    judged = None
    # What has left the numbers is no candidate, however its ranking would be judged.
    if due and team.leads and math.isfinite(loss):
        try:
            judged = _told(trainer.validate())
        except Diverged:
            # The loss is that of before the last step.
            loss = math.nan
    seconds = time.monotonic() - started
    # When to stop is for one process to say: no two clocks agree.
    entry = team.shared(EpochReport(epoch, config.max_epochs, loss, judged, best, seconds))
    validation = entry.validation
    better = validation is not None and (best is None or validation > best)
    if better:
        entry = entry._replace(best=validation)
    # Until something is judged, the latest is the best there is.
    kept = trainer.averages() if better or entry.best is None else progress.kept
    return Progress([*progress.epochs, entry], kept)


def _told(metrics: dict[str, Any] | None) -> dict[str, dict[str, float]] | None:
    if metrics is None:
        return None
    return {
        group: {name: metrics[group][name] for name in FIGURES if name in metrics[group]}
        for group in TOLD
    }


def _ended(epochs: list[EpochReport], config: FitConfig, max_seconds: float | None) -> bool:
    if not epochs:
        return False
    last = epochs[-1]
    return (
        last.epoch >= config.max_epochs
        # What has left the numbers does not come back.
        or not math.isfinite(last.loss)
        or last.epoch - best_of(epochs).epoch >= config.patience
        or (max_seconds is not None and last.seconds >= max_seconds)
    )
