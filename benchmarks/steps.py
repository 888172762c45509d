"""Takes some training steps on a dataset folder and prints, as JSON, what they cost.

`python -m benchmarks.steps FOLDER STEPS key=value…`, or the same started by `torchrun`. Knows how
long the fastest step took, its CPU seconds, those of making all vectors, and the peak of memory.
"""

import json
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from training.build import build
from training.compare.memory import peak_mib
from training.config import configure, read_settings
from training.data.folder import read_dataset
from training.team import joined
from training.trainer import Trainer


def main(folder: Path, steps: int, settings: list[str]) -> None:
    """Measure and print; of a team the leading process alone prints."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = configure(read_settings(None, settings))
    dataset = read_dataset(folder)
    with joined("cpu") as team:
        trainer = Trainer(build(dataset, config), dataset, config, np.random.default_rng(0), team)
        took: list[tuple[float, float]] = []
        # The first step allocates what the others use again.
        for batch in islice(trainer.batches(), steps + 1):
            started = time.perf_counter(), time.process_time()
            trainer.step(batch)
            took.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        if not team.leads:
            return
        learnt = trainer.finish(trainer.averages())
        begun = time.perf_counter()
        learnt.vectors()
        figures = {
            "step": min(wall for wall, _ in took[1:]),
            "cpu": min(work for _, work in took[1:]),
            "vectors": time.perf_counter() - begun,
            "peak": peak_mib(),
        }
        print(json.dumps(figures))  # noqa: T201 - read by who starts it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
