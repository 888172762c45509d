"""The command that trains several systems and compares them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from training.commands.shared import (
    LARGEST_SEED,
    Config,
    Device,
    Set,
    check_folder,
    console,
    describe,
    errors_told,
)
from training.compare.protocol import DIVERGED, Plan, compare, settings_of
from training.compare.systems import DEFAULTS, STANDARD, grids_of
from training.config import read_grid, read_settings
from training.data.folder import read_dataset
from training.device import choose_device
from training.errors import TrainingError
from training.progress import epochs_shown
from training.report.comparison import PAGE, short_table, write_comparison
from training.team import size_by_environment


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
        typer.Option(help="key=\\[a, b] for all that heed it, in place of their own; repeats."),
    ] = None,
    defaults: Annotated[bool, typer.Option(help="No grid: every system as it is.")] = False,  # noqa: FBT002 - a flag
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Report what there is after this.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Fit several systems with several seeds and write a report of how they compare on test.

    Each takes what is best on validation from a small grid (training.compare.systems). What was
    finished is not run again; what was cut off goes on.
    """
    with errors_told(f"the same command goes on from {out}"):
        if size_by_environment() > 1:
            raise TrainingError("compare is for one process; torchrun can start fit")
        common = DEFAULTS if defaults else read_grid(grid) if grid else None
        grids = grids_of([name.strip() for name in models.split(",")], common)
        plan = Plan(grids, _numbers(seeds), read_settings(config, set_ or []))
        if any("model" in chosen for chosen in (plan.settings, *(common or ()))):
            raise TrainingError("model: which systems are compared is told by --models")
        for model, changes in plan.grids.items():
            for change in changes:
                settings_of(model, {**plan.settings, **change})
        check_folder("--out", out)
        data = read_dataset(dataset)
        describe(data, dataset)
        found = compare(
            data,
            plan,
            out,
            watch=lambda title: epochs_shown(console, title),
            max_seconds=None if max_minutes is None else 60 * max_minutes,
            device=choose_device(device),
        )
        if not found.chosen:
            raise _nothing(found.missing)
        shown = short_table(write_comparison(out, data, found))
        printed = Table(*shown.head, title=data.name)
        for row in shown.rows:
            printed.add_row(*row)
        Console().print(printed)
        for missing in found.missing:
            console.print(f"not run: {missing}", soft_wrap=True, markup=False)
        console.print(f"report: {out / PAGE}", soft_wrap=True, markup=False)


def _nothing(missing: Sequence[str]) -> TrainingError:
    """Say why no run has come to anything."""
    diverged = next((name for name in missing if name.endswith(DIVERGED)), None)
    if diverged is not None:
        return TrainingError(f"no run has ended well: {diverged}; lower learning_rate")
    return TrainingError("there was no time for a single run; the same command goes on")


def _numbers(text: str) -> list[int]:
    with suppress(ValueError):
        numbers = [int(part) for part in text.split(",")]
        bounded = all(0 <= number <= LARGEST_SEED for number in numbers)
        if bounded and len(set(numbers)) == len(numbers):
            return numbers
    wanted = f"different comma-separated integers, 0 to {LARGEST_SEED}"
    raise TrainingError(f"--seeds {text!r}: expected {wanted}")
