"""Moves rows of a large table of vectors: those that a step touches, and no others.

Knows one table, its moments and its running average; nothing of losses or networks.
"""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import Parameter

# As torch.optim.Adam has them by default.
FIRST_DECAY: Final = 0.9
SECOND_DECAY: Final = 0.999
EPSILON: Final = 1e-8
# A running average that remembers nothing still has a logarithm.
SMALLEST_DECAY: Final = 1e-300
# So many stay in the caches from one operation to the next.
ROWS_AT_ONCE: Final = 4096


class RowTable:
    """A table whose every row is an Adam of its own: its time passes in the steps that touch it.

    Where every step touches every row this is Adam. Where not, a row that is not touched stays,
    while Adam would move it on by its momentum; and a row that is touched late moves as in a first
    step. Its running average is exactly that of a table which is averaged in every step: since a
    row stays until it is touched, what was missed is made up for by one product.
    """

    def __init__(self, parameter: Parameter, learning_rate: float) -> None:
        """Start at rest, with the average where `parameter: (R, D)` is."""
        self.parameter, self._learning_rate = parameter, learning_rate
        self._average = parameter.detach().clone()
        self._first, self._second = (torch.zeros_like(parameter.data) for _ in range(2))
        self._counts = torch.zeros(len(parameter), dtype=torch.int32, device=parameter.device)
        # The sum of the logarithms of all decays so far, and what it was when a row was touched.
        self._faded = 0.0
        self._seen = torch.zeros(len(parameter), dtype=torch.float64, device=parameter.device)

    @torch.no_grad()
    def step(self, rows: Tensor, gradients: Tensor, decay: float) -> None:
        """Move the different `rows: (N,)` against `gradients: (N, D)`; averages keep `decay`."""
        before, self._faded = self._faded, self._faded + math.log(max(decay, SMALLEST_DECAY))
        for some, theirs in zip(
            torch.split(rows, ROWS_AT_ONCE), torch.split(gradients, ROWS_AT_ONCE), strict=True
        ):
            now = self.parameter.data.index_select(0, some)
            kept = (before - self._seen.index_select(0, some)).exp()
            average = torch.lerp(now, self._average.index_select(0, some), _column(kept, now))
            moved = now.sub_(self._change(some, theirs))
            self.parameter.data.index_copy_(0, some, moved)
            self._average.index_copy_(0, some, average.lerp_(moved, 1 - decay))
            self._seen.index_fill_(0, some, self._faded)

    @torch.no_grad()
    def averaged(self) -> Tensor:
        """Return the running average of all rows as of now: (R, D)."""
        kept = (self._faded - self._seen).exp()
        return torch.lerp(self.parameter.data, self._average, _column(kept, self._average))

    def state(self) -> dict[str, Tensor]:
        """Return all that the next step depends on, the table apart."""
        faded = torch.tensor(self._faded, dtype=torch.float64)
        return {"faded": faded, **self._tensors()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Put a `state` in place."""
        self._faded = float(state["faded"])
        for name, tensor in self._tensors().items():
            tensor.copy_(state[name])

    def _tensors(self) -> dict[str, Tensor]:
        return {
            "average": self._average,
            "exp_avg": self._first,
            "exp_avg_sq": self._second,
            "counts": self._counts,
            "seen": self._seen,
        }

    def _change(self, rows: Tensor, gradients: Tensor) -> Tensor:
        """Return by how much `rows: (N,)` fall, and remember their gradients."""
        first = self._first.index_select(0, rows).lerp_(gradients, 1 - FIRST_DECAY)
        second = self._second.index_select(0, rows).mul_(SECOND_DECAY)
        second.addcmul_(gradients, gradients, value=1 - SECOND_DECAY)
        counts = self._counts.index_select(0, rows) + 1
        self._first.index_copy_(0, rows, first)
        self._second.index_copy_(0, rows, second)
        self._counts.index_copy_(0, rows, counts)
        times = counts.double()
        size = self._learning_rate / (1 - FIRST_DECAY**times)
        spread = (1 - SECOND_DECAY**times).sqrt()
        spread_out = second.sqrt_().div_(_column(spread, second)).add_(EPSILON)
        return first.mul_(_column(size, first)).div_(spread_out)


def _column(numbers: Tensor, like: Tensor) -> Tensor:
    """Return `numbers: (N,)` as (N, 1), of the type of `like`."""
    return numbers.to(like.dtype)[:, None]
