"""Four users, six videos and two modalities, small enough to reckon a network by hand on."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.baselines.features import Features
from models.edges import EdgePair
from models.graph import InteractionGraph, Scaling

Doubles = NDArray[np.float64]

USERS, VIDEOS, WIDTH = 4, 6, 3
# Video 2 is cold; nobody but user 0 met anything twice.
EDGES: Final = [(0, 0), (0, 1), (1, 1), (2, 4), (3, 5), (3, 0), (1, 3)]
WIDTHS: Final = [3, 2]
PRESENT: Final = torch.tensor([[1, 1], [1, 0], [1, 1], [0, 1], [1, 1], [1, 1]]).bool()
JOINED: Final = torch.where(
    PRESENT.repeat_interleave(torch.tensor(WIDTHS), dim=1),
    torch.randn(VIDEOS, sum(WIDTHS), generator=torch.Generator().manual_seed(1)),
    0.0,
)
COLD: Final = torch.tensor([video == 2 for video in range(VIDEOS)])


def ends() -> tuple[Tensor, Tensor]:
    """Return the rows of users and of videos that met."""
    users, videos = torch.tensor(EDGES).T.contiguous()
    return users, videos


def graph(scaling: Scaling) -> InteractionGraph:
    """Return the whole graph."""
    return InteractionGraph(*ends(), sizes=(USERS, VIDEOS), scaling=scaling)


def edges() -> EdgePair:
    """Return the same edges, each with room for a weight of its own."""
    return EdgePair(*ends(), sizes=(USERS, VIDEOS))


def features() -> Features:
    """Return the features, of which videos 1 and 3 lack a modality each."""
    return Features(JOINED, PRESENT, WIDTHS)


def met() -> Doubles:
    """Return 1 where a user met a video: (U, V)."""
    table = np.zeros((USERS, VIDEOS))
    for user, video in EDGES:
        table[user, video] = 1
    return table


def drawn(build: Callable[[], Any]) -> Any:
    """Return a network whose parameters, biases too, are all drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
    return network


@torch.no_grad()
def scores(network: Any) -> Doubles:
    """Return the score of each user and video: (U, V)."""
    users, videos = network.all_vectors()
    found: Doubles = (users @ videos.T).double().numpy()
    return found


def double(tensor: Tensor) -> Doubles:
    """Return `tensor` as numpy has it, in float64."""
    found: Doubles = tensor.detach().double().numpy()
    return found


def leaky(values: Doubles, slope: float) -> Doubles:
    """Return LeakyReLU of `values`."""
    return np.where(values > 0, values, slope * values)


def unit(rows: Doubles) -> Doubles:
    """Return `rows`, each of unit length; a row of zeros stays."""
    lengths: Doubles = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths == 0, 1, lengths)
