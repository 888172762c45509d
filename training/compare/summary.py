"""What runs say together: means over seeds, and how sure the differences are. Knows figures."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import torch

from training.bootstrap import Difference, paired_difference
from training.compare.protocol import Comparison
from training.compare.runs import Kept
from training.data.dataset import SPLITS, Dataset
from training.evaluate import GROUPS, METRICS

# Beside those of `evaluate_ranking` for each group.
OF_LISTS: Final = ("coverage@20", "popularity@20")
COMPARED: Final = ("recall@20", "ndcg@20")
CPU_FILE: Final = Path("/proc/cpuinfo")


class Spread(NamedTuple):
    """A mean over seeds and the standard deviation, 0 of one seed."""

    mean: float
    deviation: float


class System(NamedTuple):
    """One system. `figures["overall"]["recall@20"]` and so on are those on test.

    `lists` are coverage and popularity; `validation` is recall@20 on validation, which chose
    `change`. `arrival_ms` is None where there is no vector of an arrival.
    """

    model: str
    seeds: list[int]
    change: dict[str, Any]
    validation: Spread
    figures: dict[str, dict[str, Spread]]
    lists: dict[str, Spread]
    seconds: float
    epochs: float
    peak_mib: float
    arrival_ms: float | None


class Summary(NamedTuple):
    """A comparison summed up. `differences[model][metric]` is how much `best` is better."""

    systems: list[System]
    best: str
    differences: dict[str, dict[str, Difference]]


def summarise(comparison: Comparison) -> Summary:
    """Sum up `comparison`, of which there must be a run.

    `best` is the system of the best recall@20 on validation: test does not choose what others are
    set against. A user's figure is the mean over a system's seeds; the interval is that of
    `paired_difference`.
    """
    systems = [_system(model, kept) for model, kept in comparison.chosen.items()]
    best = max(systems, key=lambda system: system.validation.mean).model
    by_user = {
        model: {name: np.mean([one.by_user[name] for one in kept], axis=0) for name in COMPARED}
        for model, kept in comparison.chosen.items()
    }
    differences = {
        model: {
            name: paired_difference(by_user[best][name], mine[name], np.random.default_rng(0))
            for name in COMPARED
        }
        for model, mine in by_user.items()
        if model != best
    }
    return Summary(systems, best, differences)


def _system(model: str, kept: Sequence[Kept]) -> System:
    runs = [one.run for one in kept]
    times = [run.arrival_ms for run in runs if run.arrival_ms is not None]
    return System(
        model=model,
        seeds=[run.seed for run in runs],
        change=runs[0].change,
        validation=_spread([run.val["overall"].get("recall@20", 0.0) for run in runs]),
        figures={
            group: {
                name: _spread([run.test[group][name] for run in runs])
                for name in METRICS
                if name in runs[0].test[group]
            }
            for group in GROUPS
        },
        lists={name: _spread([run.test[name] for run in runs]) for name in OF_LISTS},
        seconds=statistics.mean(run.seconds for run in runs),
        epochs=statistics.mean(run.epochs for run in runs),
        peak_mib=max(run.peak_mib for run in runs),
        arrival_ms=statistics.mean(times) if times else None,
    )


def _spread(values: Sequence[float]) -> Spread:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return Spread(statistics.mean(values), deviation)


def results(dataset: Dataset, comparison: Comparison, summary: Summary) -> dict[str, Any]:
    """Return all there is to tell, as JSON has it."""
    plan = comparison.plan
    told: dict[str, Any] = {
        "dataset": described(dataset),
        "machine": machine(),
        "asked": {
            "seeds": list(plan.seeds),
            "settings": dict(plan.settings),
            "grids": {
                model: [dict(change) for change in grid] for model, grid in plan.grids.items()
            },
        },
        "systems": [_named(system._asdict()) for system in summary.systems],
        "best_on_validation": summary.best,
        "best_is_better_by": _named(summary.differences),
        "runs": [msgspec.to_builtins(kept.run) for kept in comparison.tried],
        "missing": comparison.missing,
    }
    return told


def _named(value: Any) -> Any:
    """Return `value` with named tuples as objects."""
    if isinstance(value, Spread | Difference):
        return value._asdict()
    if isinstance(value, Mapping):
        return {key: _named(entry) for key, entry in value.items()}
    return value


def described(dataset: Dataset) -> dict[str, Any]:
    """Return what `dataset` is, in numbers."""
    return {
        "name": dataset.name,
        "users": dataset.users,
        "videos": dataset.videos,
        "cold_videos": int(dataset.cold.sum()),
        "interactions": {split: len(dataset.interactions(split)) for split in SPLITS},
        "features": {str(name): width for name, width in dataset.feature_dims.items()},
    }


def machine() -> dict[str, Any]:
    """Return what all this was measured on."""
    model = platform.processor() or platform.machine()
    if CPU_FILE.exists():
        lines = CPU_FILE.read_text().splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
