"""What flows along the graph is what dense matrices of float64 say, and no dense one is made."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from models.graph import InteractionGraph
from tests.support.memory import largest_allocation

USERS, VIDEOS, WIDTH = 6, 5, 3
Scaling = Literal["symmetric", "mean"]
SCALINGS: tuple[Scaling, ...] = ("symmetric", "mean")
by_scaling = pytest.mark.parametrize("scaling", SCALINGS)
Doubles = NDArray[np.float64]
# The last user and the last video have no edge; some others may have none either.
EDGES = st.sets(st.tuples(st.integers(0, USERS - 2), st.integers(0, VIDEOS - 2)), max_size=20)


def graph_of(edges: list[tuple[int, int]], scaling: Scaling) -> InteractionGraph:
    table = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)
    return InteractionGraph(table[:, 0], table[:, 1], sizes=(USERS, VIDEOS), scaling=scaling)


def dense(edges: list[tuple[int, int]], scaling: Scaling) -> tuple[Doubles, Doubles]:
    """What the users get of the videos and the videos of the users: (U, V), (V, U)."""
    met = np.zeros((USERS, VIDEOS))
    for user, video in edges:
        met[user, video] = 1
    by_user, by_video = (np.maximum(met.sum(axis), 1) for axis in (1, 0))
    if scaling == "mean":
        return met / by_user[:, None], met.T / by_video[:, None]
    weighed = met / np.sqrt(np.outer(by_user, by_video))
    return weighed, weighed.T


def drawn(*, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    users, videos = (torch.randn(n, WIDTH, generator=generator) for n in (USERS, VIDEOS))
    return users.to(dtype).requires_grad_(), videos.to(dtype).requires_grad_()


@settings(max_examples=100, deadline=None)
@given(edges=EDGES.map(list), scaling=st.sampled_from(SCALINGS), seed=st.integers(0, 9))
def test_what_arrives_and_its_gradient_are_those_of_dense_matrices(
    edges: list[tuple[int, int]], scaling: Scaling, seed: int
) -> None:
    to_users, to_videos = (torch.from_numpy(matrix) for matrix in dense(edges, scaling))
    users, videos = drawn(seed=seed)
    got_users, got_videos = graph_of(edges, scaling)(users, videos)
    wanted_users, wanted_videos = to_users @ videos.double(), to_videos @ users.double()
    torch.testing.assert_close(got_users.double(), wanted_users, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got_videos.double(), wanted_videos, rtol=1e-5, atol=1e-6)
    # A gradient of its own for every number that comes out.
    weights = [torch.randn(n, WIDTH, dtype=torch.float64) for n in (USERS, VIDEOS)]
    torch.autograd.backward((got_users * weights[0]).sum() + (got_videos * weights[1]).sum())
    for part, expected in (
        (users, to_videos.T @ weights[1]),
        (videos, to_users.T @ weights[0]),
    ):
        assert part.grad is not None
        torch.testing.assert_close(part.grad.double(), expected, rtol=1e-5, atol=1e-6)


@by_scaling
def test_the_gradient_is_that_of_small_steps(scaling: Scaling) -> None:
    graph = graph_of([(0, 0), (0, 1), (1, 1), (2, 3), (3, 3), (4, 0), (4, 1)], scaling).double()
    assert torch.autograd.gradcheck(graph, drawn(dtype=torch.float64))


@by_scaling
def test_who_has_no_edge_gets_nothing(scaling: Scaling) -> None:
    users, videos = graph_of([(0, 0), (1, 0)], scaling)(*drawn())
    assert users[0].abs().min() > 0
    assert (users[2:] == 0).all()
    assert (videos[1:] == 0).all()


@by_scaling
def test_the_order_of_the_edges_makes_no_difference(scaling: Scaling) -> None:
    edges = [(user, (user * 3 + step) % 4) for user in range(5) for step in range(2)]
    there, back = (graph_of(e, scaling)(*drawn()) for e in (edges, edges[::-1]))
    assert torch.equal(there[0], back[0])
    assert torch.equal(there[1], back[1])


SIZES = (3_000, 2_000)


def many_edges() -> tuple[Tensor, Tensor]:
    """About five thousand edges between `SIZES` nodes, none twice."""
    pairs = np.unique(np.random.default_rng(0).integers(0, SIZES[0] * SIZES[1], 5_000))
    return torch.from_numpy(pairs // SIZES[1]), torch.from_numpy(pairs % SIZES[1])


def test_a_graph_is_as_large_as_its_edges_and_nodes() -> None:
    users, videos = many_edges()
    graph = InteractionGraph(users, videos, sizes=SIZES, scaling="mean")
    held = sum(buffer.numel() * buffer.element_size() for buffer in graph.buffers())
    # From either side: a column number and two weights an edge, a start a row.
    assert held <= 2 * (len(users) * (8 + 2 * 4) + (max(SIZES) + 1) * 8)


@by_scaling
def test_neither_building_nor_propagating_ever_holds_users_times_videos(scaling: Scaling) -> None:
    rows = many_edges()

    def work() -> None:
        graph = InteractionGraph(*rows, sizes=SIZES, scaling=scaling)
        users, videos = (torch.randn(size, WIDTH, requires_grad=True) for size in SIZES)
        got_users, got_videos = graph(users, videos)
        torch.autograd.backward(got_users.sum() + got_videos.square().sum())

    assert largest_allocation(work) <= 8 * max(2 * len(rows[0]), max(SIZES) * WIDTH)


def test_an_edge_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="distinct"):
        graph_of([(0, 0), (1, 1), (0, 0)], "mean")


def test_the_graph_is_no_part_of_the_weights() -> None:
    assert not graph_of([(0, 0)], "mean").state_dict()
