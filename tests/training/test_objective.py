"""The losses are those of their formulas, finite at any score."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.objective import bpr_loss, softmax_loss, squared_lengths


def with_margin(*margins: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Triples whose score differences are `margins`."""
    positives = torch.tensor([[margin, 1.0] for margin in margins], dtype=torch.float64)
    users = torch.ones(len(margins), 2, dtype=torch.float64)
    return users, positives, torch.tensor([[0.0, 1.0]] * len(margins), dtype=torch.float64)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=9))
def test_the_loss_is_the_mean_of_minus_log_sigmoid(margins: list[float]) -> None:
    expected = sum(-math.log(1 / (1 + math.exp(-margin))) for margin in margins) / len(margins)
    assert bpr_loss(*with_margin(*margins)).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("margin", "loss"), [(1e4, 0.0), (-1e4, 1e4), (-1e30, 1e30), (1e30, 0.0)])
def test_an_extreme_margin_gives_a_finite_loss_and_gradient(margin: float, loss: float) -> None:
    users, positives, negatives = (part.float() for part in with_margin(margin))
    positives.requires_grad_()
    value = bpr_loss(users, positives, negatives)
    torch.autograd.backward(value)
    assert value.item() == pytest.approx(loss)
    assert positives.grad is not None
    assert torch.isfinite(positives.grad).all()


def test_the_gradient_is_that_of_minus_log_sigmoid() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(3)
    ]
    users, positives, negatives = parts
    torch.autograd.backward(bpr_loss(users, positives, negatives))
    with torch.no_grad():
        margin = (users * (positives - negatives)).sum(1, keepdim=True)
        weight = -torch.sigmoid(-margin) / 6
    for part, expected in (
        (users, weight * (positives - negatives)),
        (positives, weight * users),
        (negatives, -weight * users),
    ):
        assert part.grad is not None
        torch.testing.assert_close(part.grad, expected.detach())


def test_a_better_margin_is_a_smaller_loss() -> None:
    losses = [bpr_loss(*with_margin(margin)).item() for margin in (-2.0, 0.0, 2.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[1] == pytest.approx(math.log(2))


def test_squared_lengths_are_those_of_each_vector() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1.0, 1.0]])
    assert squared_lengths(vectors).tolist() == [25, 0, 2]


Met = list[tuple[int, int]]


def places(met: Met) -> tuple[Tensor, Tensor]:
    table = torch.tensor(met, dtype=torch.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def reckoned(users: Tensor, positives: Tensor, negatives: Tensor, met: Met) -> float:
    """The mean of -log p(i), one interaction after the other, in float64."""
    total = 0.0
    for row, (user, positive) in enumerate(zip(users.double(), positives.double(), strict=True)):
        score = (user @ positive).item()
        others = [
            (user @ negative).item()
            for column, negative in enumerate(negatives.double())
            if (row, column) not in met
        ]
        top = max([score, *others])
        whole = sum(math.exp(other - top) for other in [score, *others])
        total -= score - top - math.log(whole)
    return total / len(users)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 5), columns=st.integers(1, 6), scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 999), share=st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_the_softmax_loss_is_minus_log_of_the_share_among_what_was_not_met(
    rows: int, columns: int, scale: float, seed: int, share: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    users, positives, negatives = (
        torch.randn(n, 4, generator=generator, dtype=torch.float64) * scale
        for n in (rows, rows, columns)
    )
    drawn = torch.rand(rows, columns, generator=generator) < share
    met = [(row, column) for row in range(rows) for column in range(columns) if drawn[row, column]]
    found = softmax_loss(users, positives, negatives, places(met)).item()
    expected = reckoned(users, positives, negatives, met)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    single = softmax_loss(users.float(), positives.float(), negatives.float(), places(met))
    assert single.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_the_gradient_of_the_softmax_loss_is_that_of_small_steps() -> None:
    generator = torch.Generator().manual_seed(0)
    users, positives, negatives = (
        torch.randn(n, 3, generator=generator, dtype=torch.float64).requires_grad_()
        for n in (4, 4, 5)
    )
    met = places([(0, 1), (0, 2), (3, 4)])
    assert torch.autograd.gradcheck(
        lambda u, p, n: softmax_loss(u, p, n, met), (users, positives, negatives)
    )


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_user_who_has_met_all_negatives_has_no_loss_and_a_finite_gradient(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    users, positives, negatives = (
        (torch.randn(n, 3, generator=generator) * scale).requires_grad_() for n in (2, 2, 4)
    )
    loss = softmax_loss(users, positives, negatives, places([(0, c) for c in range(4)]))
    torch.autograd.backward(loss)
    for part in (users, positives, negatives):
        assert part.grad is not None
        assert torch.isfinite(part.grad).all()
    assert users.grad is not None
    assert (users.grad[0] == 0).all()
    alone = softmax_loss(users[:1], positives[:1], negatives, places([(0, c) for c in range(4)]))
    assert alone.item() == 0


def test_a_pair_that_met_teaches_nothing() -> None:
    users, positives = torch.eye(2), torch.eye(2)
    negatives = torch.eye(2).requires_grad_()
    torch.autograd.backward(softmax_loss(users, positives, negatives, places([(0, 0), (1, 0)])))
    assert negatives.grad is not None
    assert (negatives.grad[0] == 0).all()
    assert (negatives.grad[1] != 0).any()
