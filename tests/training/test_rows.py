"""A row is moved by the steps that touch it as Adam would, and averaged as in every step."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import Parameter

from training.rows import RowTable

ROWS, WIDTH, RATE = 6, 3, 0.05
Step = tuple[Tensor, Tensor]


def table_of(seed: int = 0) -> RowTable:
    generator = torch.Generator().manual_seed(seed)
    return RowTable(Parameter(torch.randn(ROWS, WIDTH, generator=generator)), RATE)


def step_on(rows: list[int], seed: int) -> Step:
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor(rows, dtype=torch.int64), torch.randn(len(rows), WIDTH, generator=generator)


def adam_of(start: Tensor, gradients: list[Tensor]) -> Tensor:
    """Where torch's own Adam goes from `start`."""
    parameter = Parameter(start.clone())
    adam = torch.optim.Adam([parameter], lr=RATE)
    for gradient in gradients:
        parameter.grad = gradient
        adam.step()
    return parameter.detach()


def test_where_every_step_touches_every_row_it_is_adam() -> None:
    table = table_of()
    start = table.parameter.detach().clone()
    steps = [step_on(list(range(ROWS)), seed) for seed in range(30)]
    for rows, gradients in steps:
        table.step(rows, gradients, 0.9)
    expected = adam_of(start, [gradients for _, gradients in steps])
    torch.testing.assert_close(table.parameter.detach(), expected, rtol=1e-5, atol=1e-6)


touched = st.lists(
    st.lists(st.integers(0, ROWS - 1), unique=True, max_size=ROWS), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(touched)
def test_a_row_is_adam_over_the_steps_that_touch_it_and_stays_otherwise(
    chosen: list[list[int]],
) -> None:
    table = table_of()
    start = table.parameter.detach().clone()
    steps = [step_on(rows, seed) for seed, rows in enumerate(chosen)]
    for rows, gradients in steps:
        table.step(rows, gradients, 0.9)
    for row in range(ROWS):
        mine = [gradients[rows == row] for rows, gradients in steps if (rows == row).any()]
        expected = adam_of(start[row : row + 1], mine)
        torch.testing.assert_close(
            table.parameter[row : row + 1].detach(), expected, rtol=1e-5, atol=1e-6
        )


@settings(max_examples=40, deadline=None)
@given(touched, st.sampled_from([0.0, 0.5, 0.99]))
def test_the_average_is_that_of_averaging_all_rows_in_every_step(
    chosen: list[list[int]], averaging: float
) -> None:
    table = table_of()
    average = table.parameter.detach().clone()
    for seed, some in enumerate(chosen):
        decay = min(averaging, (seed + 1) / (seed + 11))
        table.step(*step_on(some, seed), decay)
        average.lerp_(table.parameter.detach(), 1 - decay)
        torch.testing.assert_close(table.averaged(), average, rtol=1e-5, atol=1e-6)


def test_asking_for_the_average_changes_nothing() -> None:
    asked, left = table_of(), table_of()
    for seed in range(8):
        for table in (asked, left):
            table.step(*step_on([seed % ROWS, (seed + 2) % ROWS], seed), 0.9)
        asked.averaged()
    assert torch.equal(asked.parameter, left.parameter)
    assert torch.equal(asked.averaged(), left.averaged())


@pytest.mark.parametrize("cut", [1, 4])
def test_from_a_state_it_goes_on_bit_for_bit(cut: int) -> None:
    steps = [step_on([seed % ROWS, (seed + 1) % ROWS], seed) for seed in range(9)]
    whole, first = table_of(), table_of()
    for rows, gradients in steps:
        whole.step(rows, gradients, 0.9)
    for rows, gradients in steps[:cut]:
        first.step(rows, gradients, 0.9)
    second = RowTable(Parameter(first.parameter.detach().clone()), RATE)
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    for rows, gradients in steps[cut:]:
        second.step(rows, gradients, 0.9)
    assert torch.equal(second.parameter, whole.parameter)
    assert torch.equal(second.averaged(), whole.averaged())
