"""Makes one run: fits, judges, and measures what it took. Knows the loop and the evaluator."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

import torch

from models.arrival import arrival_vectors
from models.recommender import Rehearsing
from training.checkpoint import EpochReport, RunFolder
from training.compare.memory import forget_peak, peak_mib
from training.compare.runs import Kept, Request, Run
from training.config import configure
from training.data.dataset import Dataset
from training.ensemble import fit_members
from training.evaluate import Scorer, evaluate, figures_by_user, inner_products, rank
from training.loop import Fitted
from training.team import Team
from training.untrained import UNTRAINED

ARRIVALS_TIMED: Final = 20
MILLISECONDS: Final = 1000.0


def made(
    dataset: Dataset,
    request: Request,
    folder: Path,
    report: Callable[[EpochReport], None],
    *,
    device: str = "cpu",
) -> Kept:
    """Run `request` on `dataset`, going on from what `folder` holds; it is removed at the end.

    A network is trained on `device`; memory is that of the process, not of the device.

    Raises:
        InvalidConfig: the settings do not fit the model.
    """
    forget_peak()
    config = configure({**request.settings, "model": request.model})
    if request.model in UNTRAINED:
        started = time.monotonic()
        system = UNTRAINED[request.model](dataset, config)
        seconds = time.monotonic() - started
        return _judged(dataset, request, system.scores, seconds=seconds)
    run = RunFolder(folder, dataset, config, seed=request.seed)
    fitted = fit_members(
        dataset, config, seed=request.seed, run=run, team=Team(device), report=report
    )
    kept = _judged(
        dataset,
        request,
        inner_products(fitted.users, fitted.videos),
        seconds=fitted.seconds,
        epochs=len(fitted.epochs),
        best_epoch=fitted.best.epoch,
        arrival_ms=arrival_ms(fitted, dataset),
    )
    shutil.rmtree(folder)
    return kept


@torch.no_grad()
def arrival_ms(fitted: Fitted, dataset: Dataset) -> float | None:
    """Return how many milliseconds the vector of one arrival takes, in the median.

    What refines vectors along a graph and has no other way has to refine those of all. None without
    features: ids say nothing of an arrival.
    """
    fuse = _fusing(fitted, dataset)
    if fuse is None:
        return None
    taken = []
    for _ in range(ARRIVALS_TIMED):
        started = time.perf_counter()
        fuse()
        taken.append(time.perf_counter() - started)
    return MILLISECONDS * median(taken)


def _fusing(fitted: Fitted, dataset: Dataset) -> Callable[[], object] | None:
    """Return what makes the vector of one arrival, if there is a way."""
    network, fusion = fitted.network, fitted.fusion
    if fusion is not None:
        widths = dataset.feature_dims.values()
        features, present = torch.zeros(1, sum(widths)), torch.ones(1, len(widths)).bool()
        return lambda: arrival_vectors(fusion, features, present)
    mapping = list(network.feature_parameters())
    if not mapping:
        return None
    one = torch.zeros(1, dtype=torch.int64, device=mapping[0].device)
    if isinstance(network, Rehearsing):
        return lambda: network.arrivals(one)
    return lambda: network(one[:0], one, None, 0)


def _judged(
    dataset: Dataset,
    request: Request,
    scorer: Scorer,
    *,
    seconds: float,
    epochs: int = 0,
    best_epoch: int = 0,
    arrival_ms: float | None = None,
) -> Kept:
    peak = peak_mib()
    ranking = rank(dataset, "test", scorer)
    run = Run(
        model=request.model,
        seed=request.seed,
        change=request.change,
        epochs=epochs,
        best_epoch=best_epoch,
        seconds=seconds,
        peak_mib=peak,
        arrival_ms=arrival_ms,
        val=evaluate(dataset, "val", scorer),
        test=evaluate(dataset, "test", scorer, ranking),
    )
    return Kept(run, figures_by_user(dataset, "test", ranking))
