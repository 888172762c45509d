"""Fits several systems on one data set with several seeds and judges them alike.

Knows the loop and the evaluator; prints nothing.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from training.bootstrap import Difference, paired_difference
from training.build import BUILDERS
from training.checkpoint import EpochReport
from training.config import configure
from training.data.dataset import Dataset, Floats
from training.errors import InvalidConfig
from training.evaluate import Scorer, evaluate, inner_products, rank, recall_by_user
from training.loop import fit
from training.untrained import UNTRAINED

SYSTEMS: Final = (*UNTRAINED, *BUILDERS)
SHOWN: Final = ("recall@20", "ndcg@20")


class Run(NamedTuple):
    """One system with one seed: `val` and `test` as `evaluate` reports them.

    `chosen` is what the validation split chose from the grid; `recalls: (U,)` is recall@20 of each
    user on test.
    """

    model: str
    seed: int
    chosen: dict[str, Any]
    epochs: int
    seconds: float
    val: dict[str, Any]
    test: dict[str, Any]
    recalls: Floats


def compare(
    dataset: Dataset,
    models: Sequence[str],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    *,
    grid: Sequence[Mapping[str, Any]] = ({},),
    report: Callable[[str, int, EpochReport], None],
) -> list[Run]:
    """Fit and judge every one of `models` with every one of `seeds` (one, if nothing is drawn).

    Each model has its own defaults, overlaid by `settings`. Where `grid` holds several sets of
    further changes, each model is fitted with all of them and the first seed; the one of best
    validation recall@20 is used for the other seeds.

    Raises:
        InvalidConfig: a model is unknown, or a change does not fit the configuration.
    """
    unknown = [model for model in models if model not in SYSTEMS]
    if unknown:
        raise InvalidConfig(f"unknown model {unknown[0]!r}, expected some of {', '.join(SYSTEMS)}")
    runs: list[Run] = []
    for model in models:
        if model in UNTRAINED:
            runs.append(_judged(dataset, model, seeds[0], {}, UNTRAINED[model](dataset)))
            continue
        tried = [
            _fitted(dataset, model, seeds[0], settings, change, report=report) for change in grid
        ]
        best = max(tried, key=lambda run: run.val["overall"]["recall@20"])
        runs.append(best)
        runs += [
            _fitted(dataset, model, seed, settings, best.chosen, report=report)
            for seed in seeds[1:]
        ]
    return runs


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


def differences(runs: Sequence[Run]) -> dict[str, Difference]:
    """Return how much better the last model recalls than each other one, on test.

    A user's recall@20 is the mean over the seeds of a model.
    """
    by_model = {
        model: np.mean([run.recalls for run in runs if run.model == model], axis=0)
        for model in dict.fromkeys(run.model for run in runs)
    }
    *others, last = by_model
    return {
        other: paired_difference(by_model[last], by_model[other], np.random.default_rng(0))
        for other in others
    }


def table_cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row of `summarise` as people read it: model, seeds, SHOWN with spread, seconds."""
    shown = [f"{row[metric]:.4f} ± {row[f'{metric} sd']:.4f}" for metric in SHOWN]
    return [row["model"], str(row["seeds"]), *shown, f"{row['seconds']:.0f}"]


def difference_lines(runs: Sequence[Run]) -> list[str]:
    """Return a line for each difference, as people read it."""
    last = runs[-1].model
    return [
        f"{last} over {other}: recall@20 {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        for other, gain in differences(runs).items()
    ]


def write_results(runs: Sequence[Run], folder: Path) -> None:
    """Write `runs.json` with every figure and `table.md` with the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    told = [{k: v for k, v in run._asdict().items() if k != "recalls"} for run in runs]
    (folder / "runs.json").write_text(json.dumps(told, indent=1) + "\n")
    lines = ["| model | seeds | recall@20 | ndcg@20 | seconds |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(table_cells(row))} |" for row in summarise(runs)]
    lines += ["", *difference_lines(runs)]
    (folder / "table.md").write_text("\n".join(lines) + "\n")


def _fitted(
    dataset: Dataset,
    model: str,
    seed: int,
    settings: Mapping[str, Any],
    change: Mapping[str, Any],
    *,
    report: Callable[[str, int, EpochReport], None],
) -> Run:
    fitted = fit(
        dataset,
        configure({**settings, **change, "model": model}),
        seed=seed,
        report=lambda epoch: report(model, seed, epoch),
    )
    run = _judged(dataset, model, seed, change, inner_products(fitted.users, fitted.videos))
    return run._replace(epochs=len(fitted.epochs), seconds=fitted.epochs[-1].seconds)


def _judged(
    dataset: Dataset,
    model: str,
    seed: int,
    chosen: Mapping[str, Any],
    scorer: Scorer,
) -> Run:
    ranking = rank(dataset, "test", scorer)
    return Run(
        model,
        seed,
        dict(chosen),
        epochs=0,
        seconds=0.0,
        val=evaluate(dataset, "val", scorer),
        test=evaluate(dataset, "test", scorer, ranking),
        recalls=recall_by_user(dataset, "test", ranking),
    )
