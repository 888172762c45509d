"""Runs small comparisons, and makes up runs whose figures are known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.datasets import two_tastes
from training.checkpoint import EpochReport
from training.compare.protocol import Comparison, Plan, Watch, compare
from training.compare.runs import Kept, Run
from training.compare.systems import grids_of
from training.evaluate import GROUPS, METRICS

SMALL: dict[str, Any] = {"vector_dim": 8, "hidden_dims": [8], "max_epochs": 2}


def noting(opened: list[str], each: Callable[[EpochReport], None] = lambda _: None) -> Watch:
    """Return what notes the name of each run that is made, and does `each` after an epoch."""

    @contextmanager
    def watch(title: str) -> Iterator[Callable[[EpochReport], None]]:
        opened.append(title)
        yield each

    return watch


def plan_of(*models: str, seeds: tuple[int, ...] = (0,), grid: Any = ({},), **more: Any) -> Plan:
    """Return a plan of small networks with one grid for all."""
    return Plan(grids_of(models, grid), seeds, {**SMALL, **more})


def compared(folder: Path, plan: Plan, **more: Any) -> tuple[Comparison, list[str]]:
    """Compare on two planted tastes; return what came of it, and which runs were made for it."""
    opened: list[str] = []
    found = compare(two_tastes(), plan, folder, **{"watch": noting(opened), **more})
    return found, opened


def made_up(
    model: str, seed: int, recall: float, *, val: float = 0.5, cold: bool = True, **more: Any
) -> Kept:
    """Return a run of two judged users and a third who is not, with `recall` for both."""
    figures = {name: recall if name == "recall@20" else recall / 2 for name in METRICS}
    test: dict[str, Any] = {group: {**figures, "users": 2} for group in GROUPS}
    if not cold:
        test["cold"] = test["cold_among_cold"] = {"users": 0}
    test |= {"coverage@20": 0.25, "popularity@20": 2.0}
    run = Run(
        model=model, seed=seed, change={}, epochs=3, best_epoch=2, seconds=2.0, peak_mib=100.0,
        arrival_ms=None, val={"overall": {"recall@20": val}}, test=test,
    )  # fmt: skip
    by_user = np.array([recall, np.nan, recall], dtype=np.float32)
    run = Run(**{**{name: getattr(run, name) for name in run.__struct_fields__}, **more})
    return Kept(run, {"recall@20": by_user, "ndcg@20": by_user / np.float32(2)})
