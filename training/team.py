"""Processes that train one network together, as `torchrun` starts them. Knows torch.distributed."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import Parameter

from training.data.dataset import Mask, Rows
from training.data.sampling import Batch

# The others wait while the leading process judges, which takes it hours where there are many users.
# (Where a process dies, torchrun ends the others, whatever this is.)
LONGEST_WAIT: Final = timedelta(days=7)


class Share(NamedTuple):
    """What one process does of what all have drawn alike: ascending `places: (M,)`.

    With its mean loss counted `weight` times, the mean over processes is the mean of all places.
    """

    places: Rows
    weight: float

    def among(self, places: Rows) -> tuple[Mask, Rows]:
        """Return which of `places: (N,)` are in the share, and where in it these stand."""
        own = np.isin(places, self.places)
        return own, np.searchsorted(self.places, places[own])


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

    def share_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Make the gradients of `parameters` the mean over all processes.

        None stays where no process has one: where no video of a step lacks a modality, its stand-in
        has no gradient, and does not decay.
        """
        if self.size == 1:
            return
        mine = list(parameters)
        if not mine:
            return
        having = mine[0].new_tensor([float(one.grad is not None) for one in mine])
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in mine]
        # All in one message: most are so small that it is the number of messages that takes time.
        message = torch.cat([having, *(gradient.flatten() for gradient in gradients)])
        distributed.all_reduce(message)
        processes, *sums = torch.split(message, [len(mine), *(one.numel() for one in mine)])
        for parameter, count, total in zip(mine, processes.tolist(), sums, strict=True):
            if count:
                parameter.grad = total.view_as(parameter) / self.size

    def row_gradients(self, table: Parameter) -> tuple[Tensor, Tensor]:
        """Return the rows of `table: (R, D)` with a gradient and the gradients: (N,), (N, D).

        In a team the gradients are the mean over its processes, the same in all of them.
        """
        gradient: Tensor | None = table.grad
        if gradient is None:
            nothing = torch.empty(1, 0, dtype=torch.int64, device=table.device)
            gradient = torch.sparse_coo_tensor(
                nothing, table.detach()[:0], table.shape, check_invariants=True
            )
        gradient = gradient.coalesce()
        if self.size == 1:
            return gradient.indices()[0], gradient.values()
        rows = torch.cat(self._gathered(gradient.indices()[0]))
        values = torch.cat(self._gathered(gradient.values())) / self.size
        both = torch.sparse_coo_tensor(rows[None], values, table.shape, check_invariants=True)
        mean = both.coalesce()
        return mean.indices()[0], mean.values()

    def _gathered(self, mine: Tensor) -> list[Tensor]:
        """Return what every process has in the place of `mine: (N, …)`; N differs."""
        count = torch.tensor([len(mine)], device=mine.device)
        counts = [torch.empty_like(count) for _ in range(self.size)]
        distributed.all_gather(counts, count)
        lengths = [int(one) for one in counts]
        # Only what is equally long can be gathered.
        padded = mine.new_zeros(max(lengths), *mine.shape[1:])
        padded[: len(mine)] = mine
        found = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(found, padded)
        return [one[:length] for one, length in zip(found, lengths, strict=True)]

    def share(self, length: int) -> Share:
        """Return this process's share of `length` places.

        Fewer than the team has processes are done by all of them in full.
        """
        if length < self.size:
            return Share(np.arange(length), 1.0)
        mine = np.arange(self.rank, length, self.size)
        return Share(mine, len(mine) * self.size / length)

    def part(self, batch: Batch) -> tuple[Batch, float]:
        """Return this process's `share` of a batch that all have drawn alike, and its weight."""
        share = self.share(len(batch.users))
        mine, weight = share
        if len(mine) == len(batch.users):
            return batch, weight
        users, positives = batch.users[mine], batch.positives[mine]
        if batch.met is None:
            return Batch(users, positives, batch.negatives[mine], None), weight
        rows, columns = batch.met
        own, places = share.among(rows)
        return Batch(users, positives, batch.negatives, (places, columns[own])), weight

    def mean(self, value: float) -> float:
        """Return the mean of `value` over the processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.item() / self.size

    def shared(self, value: Any) -> Any:
        """Return the `value` of the leading process, in every process."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


ALONE: Final = Team()


def size_by_environment() -> int:
    """Return how many processes are in the team that `torchrun` has set up, 1 where it has none."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads_by_environment() -> bool:
    """Return whether this process will lead that team."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Join the team that `torchrun` has set up in the environment; alone where there is none.

    Once it is left, none of its threads remains.
    """
    size = size_by_environment()
    if size == 1:
        yield Team(device)
        return
    # Imported by an optimiser later, it would hold the group as a default of its functions. Threads
    # of a group that outlives `destroy_process_group` abort the process when the interpreter ends.
    import_module("torch.distributed.nn.functional")
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=LONGEST_WAIT)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield Team(device, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
