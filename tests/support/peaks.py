"""Takes steps along a made-up graph of so many edges and prints the peak of memory in bytes.

`python -m tests.support.peaks EDGES key=value…`; users, videos and batch do not grow with edges.
"""

import resource
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from training.build import build
from training.config import configure, read_settings
from training.data.dataset import Dataset, Interactions, no_interactions
from training.trainer import Trainer

USERS, VIDEOS = 20_000, 4_000
STEPS = 3


def main(edges: int, settings: list[str]) -> None:
    """Train a few steps and make all vectors."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    # Every so many-th pair: sorting draws would itself take memory that grows with the edges.
    users, videos = np.divmod(np.arange(edges) * (USERS * VIDEOS // edges), VIDEOS)
    videos = (videos + users * 7) % VIDEOS
    dataset = Dataset(
        name="edges",
        user_ids=[""] * USERS,
        video_ids=[""] * VIDEOS,
        train=Interactions(users, videos),
        val=no_interactions(),
        test=no_interactions(),
        features={"visual": rng.standard_normal((VIDEOS, 4), dtype=np.float32)},
    )
    config = configure(read_settings(None, settings))
    trainer = Trainer(build(dataset, config), dataset, config, rng)
    for batch in islice(trainer.batches(), STEPS):
        trainer.step(batch)
    trainer.finish(trainer.averages()).vectors()
    print(_peak())  # noqa: T201 - read by a test


def _peak() -> int:
    # On Linux what getrusage tells includes the process that started this one, up to the start.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
