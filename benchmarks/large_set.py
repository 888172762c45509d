"""Writes a large made-up dataset folder, interactions block by block. Knows arrays, no `Dataset`.

`python -m benchmarks.large_set FOLDER INTERACTIONS USERS VIDEOS JUDGED`
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.modality import MODALITIES
from training.data.dataset import SPLITS
from training.data.folder import FORMAT_VERSION, USERS_WITHOUT_TRAINING

WIDTH: Final = 32
BLOCK: Final = 1 << 20


def make(folder: Path, *, interactions: int, users: int, videos: int, judged: int) -> None:
    """Write the set: users alike active, videos unlike popular, in an order as of a clock.

    A fifth of the interactions of the first `judged` users is held out.
    """
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    accept = [USERS_WITHOUT_TRAINING]
    header = {"format_version": FORMAT_VERSION, "name": folder.name, "accept": accept}
    (folder / "dataset.json").write_text(json.dumps(header))
    video_ids = pa.array([f"video-{row:07d}" for row in range(videos)])
    user_ids = pa.array([f"user-{row:08d}" for row in range(users)])
    pq.write_table(pa.table({"video_id": video_ids}), folder / "videos.parquet")
    for modality in MODALITIES:
        matrix = rng.standard_normal((videos, WIDTH), dtype=np.float32)
        np.save(folder / f"{modality}.npy", matrix)
    keys = _pairs(interactions, users, videos, rng)
    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("video_id", pa.string()),
            ("timestamp", pa.int64()),
            ("split", pa.string()),
        ]
    )
    with pq.ParquetWriter(folder / "interactions.parquet", schema) as writer:
        for start in range(0, len(keys), BLOCK):
            who, what = np.divmod(keys[start : start + BLOCK], videos)
            drawn = rng.choice(len(SPLITS), len(who), p=[0.8, 0.1, 0.1])
            split = np.where(who < judged, drawn, 0)
            columns = [
                user_ids.take(pa.array(who)),
                video_ids.take(pa.array(what)),
                pa.array(1_700_000_000 + start + np.arange(len(who))),
                pa.array(SPLITS).take(pa.array(split)),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def _pairs(count: int, users: int, videos: int, rng: np.random.Generator) -> Any:
    """Draw `count` different pairs in random order, each as user * videos + video."""
    drawn = count + count // 8
    # The square of a uniform draw: the share of a video falls with the root of its rank.
    keys = (videos * rng.random(drawn) ** 2).astype(np.int64)
    keys += rng.integers(users, size=drawn) * videos
    keys = np.unique(keys)
    if len(keys) < count:
        raise ValueError(f"{count} different pairs are too many for {users} and {videos}")
    rng.shuffle(keys)
    return keys[:count]


if __name__ == "__main__":
    names = ("interactions", "users", "videos", "judged")
    make(Path(sys.argv[1]), **dict(zip(names, map(int, sys.argv[2:]), strict=True)))
