"""The commands that write dataset folders: import, synth, hold-out."""

from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from models.modality import MODALITIES
from training.commands.shared import Seed, console, describe, errors_told
from training.data.dataset import Dataset
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

FeatureFile = Annotated[Path | None, typer.Option(help="The file of these features.")]
# Of users or videos: what is drawn of all of them lies in memory at once.
LARGEST_SAMPLE: Final = 100_000
ColumnName = Annotated[str | None, typer.Option(help="The column's name, if not the usual one.")]


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
    with errors_told():
        dataset, times, notes = read_foreign(format_, source, options)
        for note in notes:
            console.print(note, soft_wrap=True, markup=False)
        findings = _findings(dataset)
        written = write_dataset(destination, dataset, accept=findings, times=times)
        for finding, text in findings.items():
            console.print(f"accepted ({finding} in dataset.json): {text}", soft_wrap=True)
        describe(written, destination)


def synth(
    destination: Annotated[Path, typer.Argument(metavar="DEST")],
    videos: Annotated[int, typer.Option(max=LARGEST_SAMPLE, help="How many videos.")] = 2000,
    users: Annotated[int, typer.Option(max=LARGEST_SAMPLE, help="How many users.")] = 1000,
    seed: Seed = 0,
) -> None:
    """Make a sample with planted tastes and write it as a dataset folder."""
    with errors_told():
        sample = make_synthetic(videos=videos, users=users, seed=seed)
        describe(write_dataset(destination, sample), destination)


def hold_out(
    source: Annotated[Path, typer.Argument(metavar="DATASET")],
    destination: Annotated[Path, typer.Argument(metavar="DEST")],
    share: Annotated[float, typer.Option(min=0, max=0.9, help="Of the videos.")] = 0.2,
    seed: Seed = 0,
) -> None:
    """Write a copy whose validation and test hold videos that training never sees: arrivals."""
    with errors_told():
        data = hold_out_videos(read_dataset(source), share, np.random.default_rng(seed))
        describe(write_dataset(destination, data, accept=_findings(data)), destination)


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
