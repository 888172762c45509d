"""The trainer's command line: import, synth, hold-out, fit, evaluate, compare."""

import gc
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

# What is imported stays: to look for garbage among it takes a third of the start.
gc.disable()

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from models.bundle.errors import BundleError
from models.bundle.reader import read_bundle
from models.bundle.shelf import remove_old
from models.modality import MODALITIES
from training.checkpoint import RunFolder
from training.compare.protocol import Plan, compare
from training.compare.systems import DEFAULTS, STANDARD, grids_of
from training.config import configure, read_grid, read_settings
from training.data.dataset import SEEN, SPLITS, Dataset
from training.data.folder import (
    CONSTANT_COLUMNS,
    USERS_WITHOUT_TRAINING,
    read_dataset,
    users_without_training,
)
from training.data.folder_writer import write_dataset
from training.data.importers.formats import IMPORTERS, read_foreign
from training.data.importers.imported import Options
from training.data.matrix import constant_columns
from training.data.split import hold_out_videos
from training.data.synthetic import make_synthetic
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
from training.report.comparison import PAGE as COMPARISON_PAGE
from training.report.comparison import short_table, write_comparison
from training.report.page import Outcome, write_report
from training.servable import servable
from training.team import joined
from training.untrained import UNTRAINED

gc.freeze()
gc.enable()

# What fits into the width of a terminal.
SHORT_METRICS: Final = ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "precision@20")
NOTHING_KEPT: Final = "nothing was written"

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
# Progress goes to stderr; what a program would read goes to stdout.
console = Console(stderr=True, highlight=False)

Set = Annotated[list[str] | None, typer.Option("--set", help="key=value, in TOML; may repeat.")]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings (training.config).")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything drawn.")]
FeatureFile = Annotated[Path | None, typer.Option(help="The file of these features.")]
ColumnName = Annotated[str | None, typer.Option(help="The column's name, if not the usual one.")]


@app.command("import")
def import_(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help=f"One of {list(IMPORTERS)}.")],
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="A folder, or the URL of an event log.")
    ],
    destination: Annotated[Path, typer.Argument(metavar="DEST")],
    visual: FeatureFile = None,
    acoustic: FeatureFile = None,
    textual: FeatureFile = None,
    user_column: ColumnName = None,
    video_column: ColumnName = None,
    time_column: ColumnName = None,
    split_column: ColumnName = None,
    first_video: Annotated[
        int | None, typer.Option(min=0, help="The number of the video that feature row 0 is of.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="The dataset folder that an event log goes on from.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Read a foreign data set and write it as a dataset folder, which must not exist yet.

    docs/importing.md tells which files each format has, and which of these options it takes.
    """
    files = (visual, acoustic, textual)
    options = Options(
        features={m: file for m, file in zip(MODALITIES, files, strict=True) if file is not None},
        user_column=user_column,
        video_column=video_column,
        time_column=time_column,
        split_column=split_column,
        first_video=first_video,
        base=base,
        seed=seed,
    )
    with _errors_told():
        dataset, times, notes = read_foreign(format_, source, options)
        for note in notes:
            console.print(note, soft_wrap=True, markup=False)
        findings = _findings(dataset)
        written = write_dataset(destination, dataset, accept=findings, times=times)
        for finding, text in findings.items():
            console.print(f"accepted ({finding} in dataset.json): {text}", soft_wrap=True)
        _describe(written, destination)


@app.command()
def synth(
    destination: Annotated[Path, typer.Argument(metavar="DEST")],
    videos: Annotated[int, typer.Option(help="How many videos.")] = 2000,
    users: Annotated[int, typer.Option(help="How many users.")] = 1000,
    seed: Seed = 0,
) -> None:
    """Make a sample with planted tastes and write it as a dataset folder."""
    with _errors_told():
        sample = make_synthetic(videos=videos, users=users, seed=seed)
        _describe(write_dataset(destination, sample), destination)


@app.command("hold-out")
def hold_out(
    source: Annotated[Path, typer.Argument(metavar="DATASET")],
    destination: Annotated[Path, typer.Argument(metavar="DEST")],
    share: Annotated[float, typer.Option(min=0, max=0.9, help="Of the videos.")] = 0.2,
    seed: Seed = 0,
) -> None:
    """Write a copy whose validation and test hold videos that training never sees: arrivals."""
    with _errors_told():
        data = hold_out_videos(read_dataset(source), share, np.random.default_rng(seed))
        _describe(write_dataset(destination, data, accept=_findings(data)), destination)


@app.command("fit")
def fit_(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Annotated[Path, typer.Option(help="Folder of bundles to add one to.")],
    config: Config = None,
    set_: Set = None,
    seed: Seed = 0,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after the epoch that ends past this.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto for CUDA where it is.")] = "auto",
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

    Systems other than MetaMMF are served as unit vectors, and arrivals by a fusion network that is
    fitted to these afterwards (docs/adr/0022-any-system-can-be-served.md).
    """
    kept = NOTHING_KEPT if run is None else f"the same command goes on from {run}"
    with _errors_told(kept):
        settings = configure(read_settings(config, set_ or []))
        data = read_dataset(dataset)
        _describe(data, dataset)
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
            _show_metrics(metrics, f"test, {_kept(fitted)}")
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
        if run is not None and fitted.fusion is not None:
            outcome = Outcome(data, settings, seed, fitted, fitted.fusion, metrics)
            page = write_report(run, outcome)
            console.print(f"report: {page}", soft_wrap=True, markup=False)
        for removed in remove_old(out, keep):
            console.print(f"removed: {out / removed}", soft_wrap=True, markup=False)
        typer.echo(bundle_id)


@app.command("evaluate")
def evaluate_(
    bundle: Annotated[Path, typer.Argument(help="One bundle's folder.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Judge a bundle by full ranking on a split of a data set."""
    with _errors_told():
        wanted = next((name for name in SPLITS if name == split), None)
        if wanted is None:
            raise TrainingError(f"--split {split!r}: expected one of {list(SPLITS)}")
        metrics = judge(read_bundle(bundle), read_dataset(dataset), wanted)
        if as_json:
            typer.echo(json.dumps(metrics))
        else:
            _show_metrics(metrics, split)


@app.command("compare")
def compare_(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Annotated[
        Path, typer.Option(help="Folder for runs and report; the same command goes on.")
    ] = Path("comparison"),
    models: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(STANDARD),
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0,1,2",
    config: Config = None,
    set_: Set = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(help="key=[a, b] for all that are trained, in place of their own; repeats."),
    ] = None,
    defaults: Annotated[bool, typer.Option(help="No grid: every system as it is.")] = False,  # noqa: FBT002 - a flag
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Report what there is after this.")
    ] = None,
) -> None:
    """Fit several systems with several seeds and write a report of how they compare on test.

    Each takes what is best on validation from a small grid (training.compare.systems). What was
    finished is not run again; what was cut off goes on.
    """
    with _errors_told(f"the same command goes on from {out}"):
        common = DEFAULTS if defaults else read_grid(grid) if grid else None
        grids = grids_of([name.strip() for name in models.split(",")], common)
        plan = Plan(grids, _numbers(seeds), read_settings(config, set_ or []))
        for model in plan.grids:
            if model not in UNTRAINED:
                configure({**plan.settings, "model": model})
        data = read_dataset(dataset)
        _describe(data, dataset)
        found = compare(
            data,
            plan,
            out,
            watch=lambda title: epochs_shown(console, title),
            max_seconds=None if max_minutes is None else 60 * max_minutes,
        )
        if not found.chosen:
            raise TrainingError("there was no time for a single run; the same command goes on")
        shown = short_table(write_comparison(out, data, found))
        printed = Table(*shown.head, title=data.name)
        for row in shown.rows:
            printed.add_row(*row)
        Console().print(printed)
        for missing in found.missing:
            console.print(f"not run: {missing}", soft_wrap=True, markup=False)
        console.print(f"report: {out / COMPARISON_PAGE}", soft_wrap=True, markup=False)


def _kept(fitted: Fitted) -> str:
    """Name what is judged: the epoch of the best validation, for each member of an ensemble."""
    best = [str(member.best.epoch) for member in fitted.members or [fitted]]
    return f"epoch {best[0]}" if len(best) == 1 else f"epochs {', '.join(best)} of the members"


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise TrainingError(f"--seeds {text!r}: expected comma-separated integers") from None


def _findings(dataset: Dataset) -> dict[str, str]:
    """Return what an owner should know of data that comes as it is, by its name in `accept`."""
    findings: dict[str, str] = {}
    constant = {m: len(constant_columns(matrix)) for m, matrix in dataset.features.items()}
    if any(constant.values()):
        findings[CONSTANT_COLUMNS] = f"columns that hold one value in every row: {constant}"
    without = users_without_training(dataset)
    if without:
        findings[USERS_WITHOUT_TRAINING] = f"{without} users have no training interaction"
    return findings


def _describe(dataset: Dataset, folder: Path) -> None:
    counts = ", ".join(f"{len(dataset.interactions(split)):,} {split}" for split in SPLITS)
    if len(dataset.seen):
        counts += f", {len(dataset.seen):,} {SEEN}"
    widths = ", ".join(f"{name} {width}" for name, width in dataset.feature_dims.items())
    console.print(
        f"{folder}: {dataset.users:,} users, {dataset.videos:,} videos "
        f"({int(dataset.cold.sum()):,} cold), interactions {counts}; features {widths}",
        soft_wrap=True,
    )


def _show_metrics(metrics: dict[str, Any], title: str) -> None:
    table = Table("", *SHORT_METRICS, "users", title=title)
    for group in GROUPS:
        figures = metrics[group]
        cells = [figure_shown(figures.get(name)) for name in SHORT_METRICS]
        table.add_row(group.replace("_", " "), *cells, f"{figures['users']:,}")
    console.print(table)
    console.print(f"coverage@20 {metrics['coverage@20']:.3f}")


@contextmanager
def _errors_told(kept: str = NOTHING_KEPT) -> Iterator[None]:
    """Tell what is wrong in place of a traceback, and after Ctrl-C what was `kept`."""
    try:
        yield
    except (TrainingError, BundleError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {kept}", err=True)
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
