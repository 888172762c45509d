"""Writes the canonical dataset folder: whole, valid and readable, or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.data.dataset import PARTS, SPLITS, Dataset, Rows
from training.data.folder import FORMAT_VERSION, LOG_POSITION, read_dataset
from training.data.interaction_file import INTERACTIONS
from training.data.video_file import HIDDEN, VIDEOS
from training.errors import TrainingError


def write_dataset(
    folder: Path, dataset: Dataset, *, accept: Iterable[str] = (), times: Any = None
) -> Dataset:
    """Write `dataset` as a folder that must not exist yet, and return it as it reads back.

    `times`: optional (N,) seconds of the train, val, test and seen interactions in that order.
    Nothing is left behind on failure.

    Raises:
        TrainingError: the folder exists already.
        InvalidDataset: what was written breaks the format.
    """
    if folder.exists():
        raise TrainingError(f"{folder} exists already; choose another folder or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        header: dict[str, Any] = {
            "format_version": FORMAT_VERSION, "name": dataset.name, "accept": sorted(accept)
        }  # fmt: skip
        if dataset.log_position:
            header[LOG_POSITION] = dataset.log_position
        (scratch / "dataset.json").write_text(json.dumps(header, indent=2) + "\n")
        _write_table(_interaction_table(dataset, times), scratch / INTERACTIONS)
        _write_table(_video_table(dataset), scratch / VIDEOS)
        for modality, matrix in dataset.features.items():
            np.save(scratch / f"{modality}.npy", matrix)
        scratch.chmod(0o755)
        written = read_dataset(scratch)
        os.rename(scratch, folder)  # noqa: PTH104 - fails if the folder has appeared meanwhile
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return written


def _write_table(table: pa.Table, file: Path) -> None:
    # Without our schema in it a dictionary is a matter of the file: it reads back as strings.
    pq.write_table(table, file, compression="zstd", store_schema=False)


def _interaction_table(dataset: Dataset, times: Any) -> pa.Table:
    parts = [*(dataset.interactions(split) for split in SPLITS), dataset.seen]
    users = np.concatenate([part.users for part in parts])
    videos = np.concatenate([part.videos for part in parts])
    splits = np.repeat(np.arange(len(PARTS)), [len(part) for part in parts])
    columns = {
        "user_id": _texts(users, dataset.user_ids),
        "video_id": _texts(videos, dataset.video_ids),
        "split": _texts(splits, PARTS),
    }
    if times is not None:
        columns["timestamp"] = pa.array(times, pa.int64())
    return pa.table(columns)


def _texts(rows: Rows, texts: Iterable[str]) -> pa.Array:
    """Return the text of each of `rows: (N,)`, every text held once."""
    known = pa.array(texts, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), known)


def _video_table(dataset: Dataset) -> pa.Table:
    rows = dataset.metadata or [{} for _ in dataset.video_ids]
    schema = pa.schema(
        [
            ("video_id", pa.string()),
            ("title", pa.string()),
            ("tags", pa.list_(pa.string())),
            ("uploader", pa.string()),
            ("language", pa.string()),
            ("published_at", pa.string()),
            ("expires_at", pa.string()),
        ]
    )
    pairs = zip(dataset.video_ids, rows, strict=True)
    table = pa.Table.from_pylist([{"video_id": i, **row} for i, row in pairs], schema)
    if not len(dataset.hidden):
        return table
    hidden = np.zeros(dataset.videos, np.bool_)
    hidden[dataset.hidden] = True
    return table.append_column(HIDDEN, pa.array(hidden))
