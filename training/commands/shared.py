"""What all commands have in common: the console, options, how data and errors are told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from models.bundle.errors import BundleError
from training.data.dataset import SEEN, SPLITS, Dataset
from training.errors import TrainingError
from training.team import leads_by_environment

NOTHING_KEPT: Final = "nothing was written"
# Progress goes to stderr; what a program would read goes to stdout. Of processes that train
# together one tells how it goes, and each what is wrong.
console = Console(stderr=True, highlight=False, quiet=not leads_by_environment())

Set = Annotated[list[str] | None, typer.Option("--set", help="key=value, in TOML; may repeat.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto for CUDA where it is.")]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings (training.config).")]
# What the generators of NumPy and torch both take.
LARGEST_SEED: Final = (1 << 32) - 1
Seed = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of everything drawn.")]


def describe(dataset: Dataset, folder: Path) -> None:
    """Tell what `dataset` holds, which was read from `folder` or written there."""
    counts = ", ".join(f"{len(dataset.interactions(split)):,} {split}" for split in SPLITS)
    if len(dataset.seen):
        counts += f", {len(dataset.seen):,} {SEEN}"
    widths = ", ".join(f"{name} {width}" for name, width in dataset.feature_dims.items())
    console.print(
        f"{folder}: {dataset.users:,} users, {dataset.videos:,} videos "
        f"({int(dataset.cold.sum()):,} cold), interactions {counts}; features {widths}",
        soft_wrap=True,
    )


def check_folder(option: str, folder: Path) -> None:
    """See that `folder` is one or can become one, before hours are spent on what goes into it.

    Raises:
        TrainingError: something else is in its place, or nothing can be written there.
    """
    known = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not known.is_dir():
        raise TrainingError(f"{option} {folder}: expected a folder, and {known} is none")
    if not os.access(known, os.W_OK | os.X_OK):
        raise TrainingError(f"{option} {folder}: nothing can be written into {known}")


@contextmanager
def errors_told(kept: str = NOTHING_KEPT) -> Iterator[None]:
    """Tell what is wrong in place of a traceback, and after Ctrl-C what was `kept`."""
    try:
        yield
    except (TrainingError, BundleError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {kept}", err=True)
        raise typer.Exit(130) from None
