"""Fits a small sample into a run folder: in this process, or as a program that can be killed.

`python -m tests.support.fitting MODEL RUN SECONDS OUT` prints each epoch's number as it ends, and
writes the vectors to OUT at the end.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.numpy import load_file, save_file

from training.checkpoint import EpochReport, RunFolder
from training.config import FitConfig, configure
from training.data.dataset import Dataset, Floats
from training.data.synthetic import make_synthetic
from training.loop import Fitted, fit

SEED = 5


class Cut(Exception):
    """Training was cut off between two epochs."""


def sample() -> Dataset:
    """Return the data that is fitted."""
    return make_synthetic(videos=120, users=60, seed=1)


def small(model: str, **changes: object) -> FitConfig:
    """Return how it is fitted: all that draws at random is on, and the best is not the last."""
    sizes = {
        "vector_dim": 8,
        "hidden_dims": [8],
        "signal_hidden_dim": 8,
        "signal_dim": 4,
        "rank": 4,
    }
    settings = {
        "model": model, "batch_size": 64, "max_epochs": 9, "learning_rate": 0.03,
        "feature_dropout": 0.3, "arrival_share": 0.2, "validate_every": 2,
    }  # fmt: skip
    return configure({**sizes, **settings, **changes})


def unhurried(model: str) -> FitConfig:
    """Return a fit of many steps, so that a signal finds it in the middle of an epoch."""
    return small(model, batch_size=16, max_epochs=12)


def cut_after(epoch: int) -> Callable[[EpochReport], None]:
    """Return what cuts a fit off once `epoch` has ended."""

    def watch(entry: EpochReport) -> None:
        if entry.epoch == epoch:
            raise Cut

    return watch


def fit_in(
    folder: Path,
    config: FitConfig,
    *,
    seconds_between: float = 0.0,
    report: Callable[[EpochReport], None] = lambda _: None,
) -> Fitted:
    """Fit the sample into the run folder `folder`, which saves every `seconds_between`."""
    data = sample()
    run = RunFolder(folder, data, config, seed=SEED, seconds_between=seconds_between)
    return fit(data, config, seed=SEED, run=run, report=report)


def read_vectors(file: Path) -> tuple[Floats, Floats]:
    """Return the vectors that the program wrote: users, videos."""
    found = load_file(file)
    return found["users"], found["videos"]


def main(model: str, folder: str, seconds_between: str, out: str) -> None:
    """Fit, tell each epoch, write the vectors."""
    torch.set_num_threads(1)
    fitted = fit_in(
        Path(folder),
        unhurried(model),
        seconds_between=float(seconds_between),
        report=lambda entry: print(entry.epoch, flush=True),  # noqa: T201 - read by the test
    )
    save_file({"users": fitted.users, "videos": fitted.videos}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
