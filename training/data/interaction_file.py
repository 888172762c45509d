"""Reads interactions.parquet block by block, so that no text is held for longer than its block.

Knows one file; nothing of features, and not whether there should be such users, videos and splits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.data.columns import NONE, Growing, Known, Numbered, SmallRows, check_text_columns
from training.data.dataset import PARTS
from training.data.faults import Faults

INTERACTIONS: Final = "interactions.parquet"
# Rows that are held as texts at once.
BLOCK: Final = 1 << 18


@dataclass(frozen=True, eq=False)
class InteractionFile:
    """The columns of the file, an entry a row.

    `users` are numbers of `user_ids`, in the order of their first interactions; `videos` are rows
    of the videos known; `splits` are numbers of `PARTS`, None without such a column. Any may be
    NONE: the first value of such a video or split is shown by `bad_video` or `bad_split`. `times`
    are kept where there are no splits, if the column's type, `time_type`, is integer; `untimed` is
    the first row that has none, or NONE.
    """

    users: SmallRows
    user_ids: list[str]
    videos: SmallRows
    bad_video: str
    splits: NDArray[np.int8] | None
    bad_split: str
    times: NDArray[Any] | None
    time_type: pa.DataType | None
    untimed: int


def read_interaction_file(
    folder: Path, video_rows: Known, faults: Faults
) -> InteractionFile | None:
    """Read the file of `folder` for the videos of `video_rows`.

    None if it cannot be read: why is added to `faults`.
    """
    try:
        with pq.ParquetFile(folder / INTERACTIONS) as file:
            wanted = ["user_id", "video_id"]
            if not check_text_columns(file.schema_arrow, wanted, INTERACTIONS, faults):
                return None
            return _read(file, video_rows)
    except FileNotFoundError:
        faults.add(INTERACTIONS, f"is missing in {folder}")
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        faults.add(INTERACTIONS, f"is not a readable parquet file: {error}")
    return None


def _read(file: pq.ParquetFile, video_rows: Known) -> InteractionFile:
    schema = file.schema_arrow
    divided = "split" in schema.names
    time_type = schema.field("timestamp").type if "timestamp" in schema.names else None
    timed = not divided and time_type is not None and pa.types.is_integer(time_type)
    known = Growing()
    users, videos = Numbered(known), Numbered(video_rows)
    splits = Numbered(Known((name, number) for number, name in enumerate(PARTS)), np.int8)
    times: list[NDArray[Any]] = []
    untimed = NONE
    for block in _blocks(file):
        block.validate(full=True)  # text that is not UTF-8 is found only here
        users.take(block["user_id"])
        videos.take(block["video_id"])
        if divided:
            splits.take(block["split"])
        if timed:
            null = pc.index(pc.is_null(block["timestamp"]), True).as_py()
            if null >= 0 and untimed == NONE:
                untimed = sum(map(len, times)) + null
            times.append(block["timestamp"].fill_null(0).to_numpy())
    pa.default_memory_pool().release_unused()
    return InteractionFile(
        users=users.numbers(),
        user_ids=list(known),
        videos=videos.numbers(),
        bad_video=videos.first_bad,
        splits=splits.numbers() if divided else None,
        bad_split=splits.first_bad,
        times=np.concatenate([np.empty(0, np.int64), *times]) if timed else None,
        time_type=time_type,
        untimed=untimed,
    )


def _blocks(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):
        # One after the other: asked for all, pyarrow reads far ahead of a slower caller.
        yield from file.iter_batches(BLOCK, row_groups=[group])
