"""Fits several systems on one data set with several seeds and judges them alike.

Knows the loop and the evaluator; prints nothing.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from training.build import BUILDERS
from training.config import FitConfig
from training.data.dataset import Dataset
from training.errors import InvalidConfig
from training.evaluate import evaluate, popularity_vectors
from training.loop import EpochReport, fit

POPULARITY: Final = "popularity"
SYSTEMS: Final = (POPULARITY, *BUILDERS)
SHOWN: Final = ("recall@20", "ndcg@20")


class Run(NamedTuple):
    """One system with one seed: `val` and `test` as `evaluate` reports them."""

    model: str
    seed: int
    epochs: int
    seconds: float
    val: dict[str, Any]
    test: dict[str, Any]


def compare(
    dataset: Dataset,
    models: Sequence[str],
    seeds: Sequence[int],
    config: FitConfig,
    *,
    report: Callable[[str, int, EpochReport], None],
) -> list[Run]:
    """Fit and judge every one of `models` with every one of `seeds` (popularity needs but one).

    Raises:
        InvalidConfig: a model is unknown.
    """
    unknown = [model for model in models if model not in SYSTEMS]
    if unknown:
        raise InvalidConfig(f"unknown model {unknown[0]!r}, expected some of {', '.join(SYSTEMS)}")
    return [
        _run(dataset, model, seed, config, report)
        for model in models
        for seed in (seeds[:1] if model == POPULARITY else seeds)
    ]


def summarise(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each model: mean and standard deviation over the seeds, on test."""
    rows = []
    for model in dict.fromkeys(run.model for run in runs):
        mine = [run for run in runs if run.model == model]
        row: dict[str, Any] = {"model": model, "seeds": len(mine)}
        for metric in SHOWN:
            values = [run.test["overall"][metric] for run in mine]
            row[metric] = statistics.mean(values)
            row[f"{metric} sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
            row[f"val {metric}"] = statistics.mean(run.val["overall"][metric] for run in mine)
        row["seconds"] = statistics.mean(run.seconds for run in mine)
        rows.append(row)
    return rows


def write_results(runs: Sequence[Run], folder: Path) -> None:
    """Write `runs.json` with every figure and `table.md` with the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.json").write_text(json.dumps([run._asdict() for run in runs], indent=1) + "\n")
    lines = ["| model | seeds | recall@20 | ndcg@20 | seconds |", "|---|---|---|---|---|"]
    for row in summarise(runs):
        cells = [f"{row[metric]:.4f} ± {row[f'{metric} sd']:.4f}" for metric in SHOWN]
        lines.append(
            f"| {row['model']} | {row['seeds']} | {' | '.join(cells)} | {row['seconds']:.0f} |"
        )
    (folder / "table.md").write_text("\n".join(lines) + "\n")


def _run(
    dataset: Dataset,
    model: str,
    seed: int,
    config: FitConfig,
    report: Callable[[str, int, EpochReport], None],
) -> Run:
    if model == POPULARITY:
        users, videos = popularity_vectors(dataset)
        epochs, seconds = 0, 0.0
    else:
        fitted = fit(
            dataset,
            config,
            model=model,
            seed=seed,
            report=lambda epoch: report(model, seed, epoch),
        )
        users, videos = fitted.users, fitted.videos
        epochs, seconds = len(fitted.epochs), fitted.epochs[-1].seconds
    return Run(
        model,
        seed,
        epochs,
        seconds,
        val=evaluate(dataset, "val", users, videos),
        test=evaluate(dataset, "test", users, videos),
    )
