"""Takes steps along a made-up graph of so many edges and prints the peak of memory in bytes.

`python -m tests.support.peaks EDGES key=value…`; users, videos and batch do not grow with edges.
"""

import sys
from itertools import islice

import numpy as np
import torch

from training.build import build
from training.compare.memory import peak_mib
from training.config import configure, read_settings
from training.data.dataset import Dataset, Interactions, no_interactions
from training.trainer import Trainer

USERS, VIDEOS = 20_000, 4_000
STEPS = 3
MEBIBYTE = 1 << 20


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
    print(round(peak_mib() * MEBIBYTE))  # noqa: T201 - read by a test


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
