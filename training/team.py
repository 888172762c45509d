"""Processes that train one network together, as `torchrun` starts them. Knows torch.distributed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from training.data.sampling import Batch


@dataclass(frozen=True)
class Team:
    """Where training runs: this process's `device`, and its `rank` among `size` that share it."""

    device: str = "cpu"
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process reports, validates and writes."""
        return self.rank == 0

    def wrap(self, network: Any) -> Any:
        """Return `network` so that gradients become the mean over all processes."""
        if self.size == 1:
            return network
        # Where no video of a step lacks a modality, its stand-in has no gradient.
        return DistributedDataParallel(network, find_unused_parameters=True)

    def part(self, batch: Batch) -> tuple[Batch, float]:
        """Return this process's share of a batch that all have drawn alike, and its weight.

        Weighted so, the mean over processes of the mean losses is the mean loss of the batch. A
        batch smaller than the team is done by all of them in full.
        """
        if self.size == 1 or len(batch.users) < self.size:
            return batch, 1.0
        mine = np.arange(self.rank, len(batch.users), self.size)
        weight = len(mine) * self.size / len(batch.users)
        users, positives = batch.users[mine], batch.positives[mine]
        if batch.met is None:
            return Batch(users, positives, batch.negatives[mine], None), weight
        rows, columns = batch.met
        own = rows % self.size == self.rank
        met = rows[own] // self.size, columns[own]
        return Batch(users, positives, batch.negatives, met), weight

    def shared(self, value: Any) -> Any:
        """Return the `value` of the leading process, in every process."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


ALONE: Final = Team()


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Join the team that `torchrun` has set up in the environment; alone where there is none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device)
        return
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield Team(device, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
