"""The factorised layer is the layer of the paper: a weight matrix of its own for every video."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.meta_layer import LowRankMetaLayer

SIZES = st.integers(1, 12)


def layer_of(fan_in: int, fan_out: int, signal_dim: int, rank: int, seed: int) -> LowRankMetaLayer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LowRankMetaLayer(fan_in, fan_out, signal_dim=signal_dim, rank=rank).double()


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def meta_tensor(layer: LowRankMetaLayer) -> Tensor:
    """T[k, a, o] = sum_r C[r, k] A[a, r] B[r, o], written out: (S, I, O)."""
    return torch.einsum(
        "rk,ar,ro->kao", layer.signal_factor, layer.input_factor, layer.output_factor
    )


def by_explicit_weights(layer: LowRankMetaLayer, inputs: Tensor, signal: Tensor) -> Tensor:
    """Build W_i of every video and multiply, one video after the other."""
    tensor, rows = meta_tensor(layer), []
    for x, s in zip(inputs, signal, strict=True):
        weights = layer.base.clone()
        for k, strength in enumerate(s):
            weights = weights + strength * tensor[k]
        rows.append(x @ weights)
    return torch.stack(rows)


def collapsed_tensor(layer: LowRankMetaLayer) -> Tensor:
    """What the public code computes: T[k] = c_k (A B) with c_k = sum_r C[r, k]."""
    product = layer.input_factor @ layer.output_factor
    return layer.signal_factor.sum(0)[:, None, None] * product


def rank_in_the_meta_mode(tensor: Tensor) -> int:
    return int(torch.linalg.matrix_rank(tensor.reshape(len(tensor), -1)))


@settings(max_examples=60, deadline=None)
@given(sizes=st.tuples(SIZES, SIZES, SIZES, SIZES, SIZES), seed=st.integers(0, 99))
@torch.no_grad()
def test_the_factorised_layer_equals_the_explicit_weights_of_each_video(
    sizes: tuple[int, int, int, int, int], seed: int
) -> None:
    videos, fan_in, fan_out, signal, rank = sizes
    layer = layer_of(fan_in, fan_out, signal, rank, seed)
    inputs, signals = drawn(videos, fan_in, seed=seed + 1), drawn(videos, signal, seed=seed + 2)
    expected = by_explicit_weights(layer, inputs, signals)
    torch.testing.assert_close(layer(inputs, signals), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_the_collapsed_form_of_the_public_code_is_another_layer(seed: int) -> None:
    layer = layer_of(9, 7, 5, 4, seed)
    inputs, signals = drawn(6, 9, seed=seed), drawn(6, 5, seed=seed + 1)
    gate = signals @ layer.signal_factor.sum(0)
    collapsed = (
        gate[:, None] * (inputs @ layer.input_factor @ layer.output_factor) + inputs @ layer.base
    )
    difference = (layer(inputs, signals) - collapsed).abs().max().item()
    assert difference > 0.1


@pytest.mark.parametrize(("signal_dim", "rank"), [(5, 3), (3, 5), (4, 4), (8, 1)])
@torch.no_grad()
def test_the_meta_mode_has_the_rank_that_the_factors_allow(signal_dim: int, rank: int) -> None:
    layer = layer_of(9, 7, signal_dim, rank, seed=signal_dim)
    assert rank_in_the_meta_mode(meta_tensor(layer)) == min(signal_dim, rank)
    assert rank_in_the_meta_mode(collapsed_tensor(layer)) == 1


@torch.no_grad()
def test_with_rank_one_both_forms_are_the_same() -> None:
    layer = layer_of(9, 7, 5, 1, seed=0)
    torch.testing.assert_close(meta_tensor(layer), collapsed_tensor(layer))


@pytest.mark.parametrize(("fan_in", "fan_out", "signal_dim", "rank"), [
    (256, 64, 8, 8), (64, 65, 8, 8), (1024, 32, 4, 16), (32, 256, 16, 4),
])  # fmt: skip
@torch.no_grad()
def test_both_paths_start_with_half_of_a_unit_variance(
    fan_in: int, fan_out: int, signal_dim: int, rank: int
) -> None:
    static, dynamic = [], []
    for seed in range(40):
        layer = layer_of(fan_in, fan_out, signal_dim, rank, seed)
        inputs, signals = drawn(64, fan_in, seed=seed), drawn(64, signal_dim, seed=seed + 99)
        base = inputs @ layer.base
        static.append(base.square().mean())
        dynamic.append((layer(inputs, signals) - base).square().mean())
    assert torch.stack(static).mean().item() == pytest.approx(0.5, rel=0.15)
    assert torch.stack(dynamic).mean().item() == pytest.approx(0.5, rel=0.25)


def test_every_factor_is_learnt() -> None:
    layer = layer_of(6, 5, 4, 3, seed=0)
    layer(drawn(8, 6, seed=1), drawn(8, 4, seed=2)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
