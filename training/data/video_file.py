"""Reads videos.parquet: which videos there are, what is told of them, which are hidden.

Knows one file; nothing of features or interactions.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.data.columns import NONE, Growing, Numbered, SmallRows, check_text_columns, is_text
from training.data.dataset import Rows
from training.data.faults import MAX_FAULTS_SHOWN, Faults

VIDEOS: Final = "videos.parquet"
METADATA: Final = ("title", "tags", "uploader", "language", "published_at", "expires_at")
HIDDEN: Final = "hidden"


def read_videos(folder: Path, faults: Faults) -> pa.Table:
    """Return the table of videos; an empty one if it cannot be read."""
    try:
        table = pq.read_table(folder / VIDEOS)
        table.validate(full=True)  # text that is not UTF-8 is found only here
    except FileNotFoundError:
        faults.add(VIDEOS, f"is missing in {folder}")
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        faults.add(VIDEOS, f"is not a readable parquet file: {error}")
    else:
        if check_text_columns(table.schema, ["video_id"], VIDEOS, faults):
            return table
    return pa.table({"video_id": pa.array([], pa.string())})


def number_videos(videos: pa.Table) -> tuple[SmallRows, list[str]]:
    """Return a number for each row of `videos`, NONE for a null, and the ids by their numbers.

    Where each row has an id of its own, the numbers are the rows.
    """
    known = Growing()
    numbered = Numbered(known)
    for chunk in videos["video_id"].chunks:
        numbered.take(chunk)
    return numbered.numbers(), list(known)


def check_unique(numbers: SmallRows, texts: list[str], faults: Faults) -> None:
    """Add to `faults` which ids occur more than once."""
    counts = np.bincount(numbers[numbers != NONE], minlength=1)
    for number in np.flatnonzero(counts > 1)[:MAX_FAULTS_SHOWN]:
        rows = np.flatnonzero(numbers == number)
        faults.add_rows(VIDEOS, rows, f"video_id {texts[number]!r} more than once")


def check_metadata(videos: pa.Table, faults: Faults) -> None:
    """Add to `faults` which columns of metadata are of another type."""
    for column in set(METADATA).intersection(videos.column_names):
        kind = videos[column].type
        if column == "tags":
            listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            fits = listed and is_text(kind.value_type)
        else:
            fits = is_text(kind)
        # A column of nulls alone has no other type.
        if not fits and not pa.types.is_null(kind):
            wanted = "list of string" if column == "tags" else "string"
            faults.add(VIDEOS, f"column {column!r} must be {wanted}, found {kind}")


def read_hidden(videos: pa.Table, faults: Faults) -> Rows:
    """Return the rows of hidden videos; a null says that a video is not."""
    if HIDDEN not in videos.column_names:
        return np.empty(0, np.int64)
    kind = videos[HIDDEN].type
    if not pa.types.is_boolean(kind):
        faults.add(VIDEOS, f"column {HIDDEN!r} must be bool, found {kind}")
        return np.empty(0, np.int64)
    return np.flatnonzero(videos[HIDDEN].fill_null(False).to_numpy())  # noqa: FBT003 - a value


def read_metadata(videos: pa.Table) -> list[dict[str, Any]]:
    """Return what is told of each video."""
    rows: list[dict[str, Any]] = [{} for _ in range(len(videos))]
    for column in METADATA:
        values = videos[column].to_pylist() if column in videos.column_names else []
        for row, value in enumerate(values):
            if value is not None:
                kept = [tag for tag in value if tag is not None] if column == "tags" else value
                rows[row][column] = kept
    return rows
