"""Along weighed edges flows what a dense product would say, and so do its gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from models.edges import EdgePair, IncomingEdges

TARGETS, SOURCES, WIDTH = 3, 4, 2
# Target 1 has no edge, source 2 neither.
ENDS = [(2, 0), (0, 3), (0, 0), (2, 3), (2, 1)]


def edges() -> IncomingEdges:
    targets, sources = torch.tensor(ENDS).T
    return IncomingEdges(targets, sources, sizes=(TARGETS, SOURCES))


def numbers(*shape: int, seed: int) -> Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn.requires_grad_()


def dense(values: Tensor, absent: float = 0.0) -> Tensor:
    """The values of the edges as a matrix of targets and sources."""
    found = edges()
    table = torch.full((TARGETS, SOURCES), absent, dtype=values.dtype)
    return table.index_put((found.targets, found.sources), values)


def same_with_gradients(found: Tensor, expected: Tensor, of: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected)
    weights = torch.arange(1.0, found.numel() + 1, dtype=found.dtype).view(found.shape)
    here = torch.autograd.grad((found * weights).sum(), of)
    there = torch.autograd.grad((expected * weights).sum(), of)
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(one, other)


def test_agreement_is_the_inner_product_of_the_ends() -> None:
    targets, sources = numbers(TARGETS, WIDTH, seed=0), numbers(SOURCES, WIDTH, seed=1)
    found = edges()
    expected = (targets @ sources.T)[found.targets, found.sources]
    same_with_gradients(found.agreement(targets, sources), expected, [targets, sources])


def test_what_is_carried_is_the_product_with_the_weights() -> None:
    weights, sources = numbers(len(ENDS), seed=0), numbers(SOURCES, WIDTH, seed=1)
    same_with_gradients(
        edges().carry(weights, sources), dense(weights) @ sources, [weights, sources]
    )


def test_the_same_edges_are_told_of_in_the_order_of_either_side() -> None:
    users, videos = torch.tensor(ENDS).T
    pair = EdgePair(users, videos, sizes=(TARGETS, SOURCES))
    ends = pair.into_users.targets, pair.into_users.sources
    assert [pair.by_video(side).tolist() for side in ends] == [
        pair.into_videos.sources.tolist(),
        pair.into_videos.targets.tolist(),
    ]
    assert sorted(zip(*(side.tolist() for side in ends), strict=True)) == sorted(ENDS)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_softmax_shares_out_one_among_the_edges_of_a_target(scale: float) -> None:
    scores, found = numbers(len(ENDS), seed=2), edges()
    table = dense(scale * scores, absent=-torch.inf)[[0, 2]].softmax(1)
    places = (found.targets == 2).long(), found.sources
    same_with_gradients(found.softmax(scale * scores), table[places], [scores])


def test_a_target_may_take_part_itself() -> None:
    scores, own, found = numbers(len(ENDS), seed=2), numbers(TARGETS, seed=3), edges()
    table = torch.cat([own[:, None], dense(scores, absent=-torch.inf)], dim=1).softmax(1)
    of_edges, of_own = found.softmax_beside(scores, own)
    expected = torch.cat([table[found.targets, found.sources + 1], table[:, 0]])
    same_with_gradients(torch.cat([of_edges, of_own]), expected, [scores, own])


def test_no_step_makes_a_vector_for_each_edge() -> None:
    many: Any = torch.arange(60)
    wide = IncomingEdges(many % 3, many, sizes=(3, 60))
    targets, sources = numbers(3, 50, seed=0), numbers(60, 50, seed=1)
    sizes: list[int] = []

    def measured(kept: Tensor) -> Tensor:
        sizes.append(kept.numel())
        return kept

    with torch.autograd.graph.saved_tensors_hooks(measured, lambda kept: kept):
        wide.carry(wide.softmax(wide.agreement(targets, sources)), sources)
    assert max(sizes) == sources.numel()
