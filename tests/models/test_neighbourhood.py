"""What is drawn around some nodes stands for the whole graph, and is no larger than the limits."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from models import neighbourhood
from models.graph import InteractionGraph
from models.neighbourhood import NeighbourGraph, Neighbourhood
from models.propagation import GraphSage, LightGcn, Propagation
from tests.support.memory import largest_allocation

Scaling = Literal["symmetric", "mean"]
SCALINGS: tuple[Scaling, ...] = ("symmetric", "mean")
by_scaling = pytest.mark.parametrize("scaling", SCALINGS)
USERS, VIDEOS, WIDTH = 9, 12, 4
# User 0 has met nearly everything, user 8 and video 11 nothing.
EDGES = [(0, video) for video in range(10)]
EDGES += [(user, (user * 3 + step) % 11) for user in range(1, 8) for step in range(4)]
ENOUGH = (100, 100)


def drawing(limits: Sequence[int], scaling: Scaling = "symmetric") -> NeighbourGraph:
    users, videos = torch.tensor(EDGES).T.contiguous()
    sizes = (USERS, VIDEOS)
    return NeighbourGraph(users, videos, sizes=sizes, scaling=scaling, limits=limits)


def whole(scaling: Scaling = "symmetric") -> InteractionGraph:
    users, videos = torch.tensor(EDGES).T.contiguous()
    return InteractionGraph(users, videos, sizes=(USERS, VIDEOS), scaling=scaling)


def vectors() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    users, videos = (torch.randn(n, WIDTH, generator=generator) for n in (USERS, VIDEOS))
    return users.requires_grad_(), videos.requires_grad_()


def backbone(scaling: Scaling, graph: InteractionGraph | NeighbourGraph) -> Propagation:
    if scaling == "symmetric":
        return LightGcn(graph, layers=2)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return GraphSage(graph, width=WIDTH).eval()


def refined(network: Propagation, asked: tuple[Tensor, Tensor], draw: int = 0) -> list[Tensor]:
    """Vectors of the rows asked for, and the gradients of all rows."""
    users, videos = vectors()
    near = network.around(*asked, draw)
    first = (users, videos)
    if near.users is not None and near.videos is not None:
        first = users[near.users], videos[near.videos]
    sides = network(*first, near.hops)
    found = [side[places] for side, places in zip(sides, near.asked, strict=True)]
    torch.autograd.backward(sum(side.square().sum() for side in found))
    assert users.grad is not None
    assert videos.grad is not None
    return [side.detach() for side in found] + [users.grad, videos.grad]


@by_scaling
def test_with_room_for_all_neighbours_it_is_the_whole_graph(scaling: Scaling) -> None:
    asked = torch.tensor([8, 0, 3, 0, 1]), torch.tensor([11, 2, 10])
    expected = refined(backbone(scaling, whole(scaling)), asked)
    found = refined(backbone(scaling, drawing(ENOUGH, scaling)), asked, draw=7)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@by_scaling
@torch.no_grad()
def test_all_vectors_go_along_all_edges_some_at_a_time(
    scaling: Scaling, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = backbone(scaling, whole(scaling))(*vectors())
    for at_once in (1, 4, 7, 1000):
        monkeypatch.setattr(neighbourhood, "EDGES_AT_ONCE", at_once)
        found = backbone(scaling, drawing((1, 1), scaling))(*vectors())
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def drawn_edges(near: Neighbourhood, hop: int) -> list[tuple[int, int]]:
    """The (user, video) pairs over which videos reach users in one hop."""
    chosen = near.hops[hop]
    assert isinstance(chosen, neighbourhood.DrawnHop)
    links = chosen.into_users
    sources, targets = source_rows(near, hop)
    owners = targets.repeat_interleave(links.starts.diff())
    return list(zip(owners.tolist(), sources[links.columns].tolist(), strict=True))


def source_rows(near: Neighbourhood, hop: int) -> tuple[Tensor, Tensor]:
    """The video rows before a hop, and the user rows after it."""
    users, videos = near.users, near.videos
    assert users is not None
    assert videos is not None
    for one in near.hops[:hop]:
        assert isinstance(one, neighbourhood.DrawnHop)
        users, videos = users[one.users], videos[one.videos]
    last = near.hops[hop]
    assert isinstance(last, neighbourhood.DrawnHop)
    return videos, users[last.users]


def test_each_neighbour_is_as_likely_as_any_other_and_none_comes_twice() -> None:
    graph, draws = drawing((3,)), 2000
    counts: Counter[tuple[int, int]] = Counter()
    for draw in range(draws):
        near = graph.around(torch.tensor([0, 1]), torch.tensor([0]), draw)
        edges = drawn_edges(near, 0)
        assert len(set(edges)) == len(edges) == 6
        counts.update(edges)
    assert set(counts) == {edge for edge in EDGES if edge[0] < 2}
    for (user, _), count in counts.items():
        degree = 10 if user == 0 else 4
        # Four standard deviations of a share of 2,000 draws.
        assert count / draws == pytest.approx(3 / degree, abs=0.045)


@by_scaling
@torch.no_grad()
def test_what_arrives_has_the_expectation_of_the_whole_graph(scaling: Scaling) -> None:
    users, videos = vectors()
    everyone = torch.arange(USERS), torch.arange(VIDEOS)
    graph, draws = drawing((2,), scaling), 1000
    sums = [torch.zeros(USERS, WIDTH), torch.zeros(VIDEOS, WIDTH)]
    for draw in range(draws):
        near = graph.around(*everyone, draw)
        for total, part in zip(sums, near.hops[0](users, videos), strict=True):
            total.add_(part)
    for total, expected in zip(sums, whole(scaling)(users, videos), strict=True):
        torch.testing.assert_close(total / draws, expected, rtol=0, atol=0.12)


@torch.no_grad()
def test_light_gcn_is_right_in_the_mean_after_two_hops() -> None:
    network, draws = backbone("symmetric", drawing((2, 2))), 1500
    users, videos = vectors()
    expected = backbone("symmetric", whole())(users, videos)
    asked = torch.arange(USERS), torch.arange(VIDEOS)
    sums = [torch.zeros(USERS, WIDTH), torch.zeros(VIDEOS, WIDTH)]
    for draw in range(draws):
        near = network.around(*asked, draw)
        assert near.users is not None
        assert near.videos is not None
        sides = network(users[near.users], videos[near.videos], near.hops)
        for total, side, places in zip(sums, sides, near.asked, strict=True):
            total.add_(side[places])
    for total, side in zip(sums, expected, strict=True):
        torch.testing.assert_close(total / draws, side, rtol=0, atol=0.1)


def test_a_node_draws_alike_whoever_else_is_asked_for_and_otherwise_by_the_number() -> None:
    graph = drawing((3, 2))

    def of_user(user: int, others: list[int], draw: int) -> set[int]:
        near = graph.around(torch.tensor([user, *others]), torch.tensor([0]), draw)
        return {video for owner, video in drawn_edges(near, 1) if owner == user}

    assert of_user(0, [], 5) == of_user(0, [3, 7, 1], 5)
    assert len({frozenset(of_user(0, [], draw)) for draw in range(40)}) > 4
    # Each hop draws anew: a third one comes back to nodes that have drawn in the first.
    nears = [
        drawing((3, 3)).around(torch.tensor([0]), torch.tensor([0]), draw) for draw in range(20)
    ]
    hops = [[{v for u, v in drawn_edges(near, hop) if u == 0} for hop in (1, 0)] for near in nears]
    assert sum(first == second for first, second in hops) < 10
    # Those who have met the same do not draw in step.
    pairs = [(first, video) for first in (0, 1) for video in range(10)]
    table = torch.tensor(pairs).T.contiguous()
    twins = NeighbourGraph(table[0], table[1], sizes=(2, 10), scaling="mean", limits=(3,))
    found = [
        {v for u, v in drawn_edges(near, 0) if u == user}
        for near in [twins.around(torch.arange(2), torch.tensor([0]), draw) for draw in range(20)]
        for user in (0, 1)
    ]
    assert any(one != other for one, other in itertools.pairwise(found))
    assert sum(found[i] == found[i + 1] for i in range(0, 40, 2)) < 15


def test_without_any_edge_nothing_arrives() -> None:
    none = torch.empty(0, dtype=torch.int64)
    graph = NeighbourGraph(none, none, sizes=(2, 3), scaling="mean", limits=(4,))
    near = graph.around(torch.arange(2), torch.arange(3), 0)
    users, videos = near.hops[0](torch.ones(2, 5), torch.ones(3, 5))
    assert not users.any()
    assert not videos.any()
    users, videos = graph(torch.ones(2, 5), torch.ones(3, 5))
    assert not users.any()
    assert not videos.any()


@by_scaling
def test_a_step_is_no_larger_where_there_are_more_edges(scaling: Scaling) -> None:
    sizes = (2_000, 500)

    def largest(edges: int) -> int:
        keys = np.random.default_rng(0).permutation(sizes[0] * sizes[1])[:edges]
        users, videos = (torch.from_numpy(part.copy()) for part in np.divmod(keys, sizes[1]))
        limits = (4, 3)
        graph = NeighbourGraph(users, videos, sizes=sizes, scaling=scaling, limits=limits)
        network = backbone(scaling, graph)

        def step() -> None:
            near = network.around(torch.arange(30), torch.arange(20), 1)
            assert near.users is not None
            assert near.videos is not None
            first = [
                torch.ones(len(rows), WIDTH, requires_grad=True)
                for rows in (near.users, near.videos)
            ]
            torch.autograd.backward(torch.cat(network(*first, near.hops)).sum())

        return largest_allocation(step)

    # Every node has more neighbours than are drawn, in the smaller graph already.
    assert largest(200_000) <= 1.2 * largest(20_000) <= 100_000


def test_an_edge_takes_eight_bytes_and_no_part_of_the_weights() -> None:
    graph = drawing((2, 2))
    held = sum(buffer.numel() * buffer.element_size() for buffer in graph.buffers())
    assert held == 8 * len(EDGES) + 8 * (USERS + 1 + VIDEOS + 1)
    assert not graph.state_dict()
