"""The loss is -log sigmoid of the margin, at any margin."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.objective import bpr_loss, squared_lengths


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
