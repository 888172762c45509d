"""The commands that train one system and judge it: fit, evaluate."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from models.bundle.reader import read_bundle
from models.bundle.shelf import remove_old
from training.checkpoint import RunFolder
from training.commands.shared import (
    NOTHING_KEPT,
    Config,
    Device,
    Seed,
    Set,
    check_folder,
    console,
    describe,
    errors_told,
)
from training.config import FitConfig, configure, read_settings
from training.data.dataset import SPLITS
from training.data.folder import read_dataset
from training.device import choose_device
from training.ensemble import fit_members
from training.errors import TrainingError
from training.evaluate import GROUPS, evaluate, inner_products
from training.export import export
from training.indexing import RECALL_TARGET
from training.judge import judge
from training.loop import Fitted
from training.metrics_file import told_in
from training.progress import epochs_shown, figure_shown
from training.report.page import Outcome, write_report
from training.servable import servable
from training.team import joined
from training.untrained import UNTRAINED, without_training

# What fits into the width of a terminal.
SHORT_METRICS: Final = ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "precision@20")


def fit_(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Annotated[Path, typer.Option(help="Folder of bundles to add one to.")],
    config: Config = None,
    set_: Set = None,
    seed: Seed = 0,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after the epoch that ends past this.")
    ] = None,
    device: Device = "auto",
    keep: Annotated[
        int, typer.Option(min=1, help="How many bundles stay; older ones are removed.")
    ] = 5,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder for log, checkpoint and report; the same command goes on."),
    ] = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option(help="Write metrics here for node exporter; a name that ends in .prom."),
    ] = None,
    recall_target: Annotated[
        float, typer.Option(min=0, max=1, help="Recall@20 that the index is tuned to.")
    ] = RECALL_TARGET,
) -> None:
    """Train a system, write a bundle, make it current, and print its id on the last line.

    Systems other than MetaMMF, those without training among them, are served as unit vectors, and
    arrivals by a fusion network that is fitted to these afterwards
    (docs/adr/0022-any-system-can-be-served.md).
    """
    kept = NOTHING_KEPT if run is None else f"the same command goes on from {run}"
    with errors_told(kept):
        settings = configure(read_settings(config, set_ or []))
        _check_places(out, run, metrics_file)
        data = read_dataset(dataset)
        describe(data, dataset)
        run_folder = None if run is None else RunFolder(run, data, settings, seed=seed)
        if run_folder is not None and run_folder.has_checkpoint:
            console.print(f"going on from the checkpoint in {run}", soft_wrap=True, markup=False)
        with ExitStack() as until_exported:
            with (
                joined(choose_device(device)) as team,
                epochs_shown(console, f"fitting {settings.model}") as show,
            ):
                path = metrics_file if team.leads else None
                told = until_exported.enter_context(told_in(path, data))
                if settings.model in UNTRAINED:
                    if run_folder is not None and team.leads:
                        run_folder.claim()
                    fitted = without_training(data, settings)
                else:
                    fitted = fit_members(
                        data,
                        settings,
                        seed=seed,
                        max_seconds=None if max_minutes is None else 60 * max_minutes,
                        run=run_folder,
                        team=team,
                        report=told.also(show) if team.leads else lambda _: None,
                    )
            if not team.leads:
                return
            fitted = servable(fitted, data, settings, seed=seed)
            metrics = evaluate(data, "test", inner_products(fitted.users, fitted.videos))
            _show_metrics(metrics, f"test, {_kept(fitted, settings)}")
            bundle_id = export(
                fitted,
                data,
                settings,
                out,
                metrics=metrics,
                seed=seed,
                recall_target=recall_target,
            )
            told.succeed(bundle_id, metrics)
        if run_folder is not None and fitted.fusion is not None:
            outcome = Outcome(data, settings, seed, fitted, fitted.fusion, metrics)
            page = write_report(run_folder.folder, outcome)
            console.print(f"report: {page}", soft_wrap=True, markup=False)
        for removed in remove_old(out, keep):
            console.print(f"removed: {out / removed}", soft_wrap=True, markup=False)
        typer.echo(bundle_id)


def _check_places(out: Path, run: Path | None, metrics_file: Path | None) -> None:
    check_folder("--out", out)
    if run is not None:
        check_folder("--run", run)
    if metrics_file is not None:
        if not metrics_file.parent.is_dir():
            raise TrainingError(f"--metrics-file {metrics_file}: there is no such folder")
        check_folder("--metrics-file", metrics_file.parent)


def evaluate_(
    bundle: Annotated[Path, typer.Argument(help="One bundle's folder.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Judge a bundle by full ranking on a split of a data set."""
    with errors_told():
        wanted = next((name for name in SPLITS if name == split), None)
        if wanted is None:
            raise TrainingError(f"--split {split!r}: expected one of {list(SPLITS)}")
        metrics = judge(read_bundle(bundle), read_dataset(dataset), wanted)
        if as_json:
            typer.echo(json.dumps(metrics))
        else:
            _show_metrics(metrics, split)


def _kept(fitted: Fitted, config: FitConfig) -> str:
    """Name what is judged: the epoch of the best validation, for each member of an ensemble."""
    if not fitted.epochs:
        return config.model
    if not fitted.members:
        return f"epoch {fitted.best.epoch}"
    best = ", ".join(str(member.best.epoch) for member in fitted.members)
    return f"epochs {best} of the members"


def _show_metrics(metrics: dict[str, Any], title: str) -> None:
    table = Table("", *SHORT_METRICS, "users", title=title)
    for group in GROUPS:
        figures = metrics[group]
        cells = [figure_shown(figures.get(name)) for name in SHORT_METRICS]
        table.add_row(group.replace("_", " "), *cells, f"{figures['users']:,}")
    console.print(table)
    console.print(f"coverage@20 {metrics['coverage@20']:.3f}")
